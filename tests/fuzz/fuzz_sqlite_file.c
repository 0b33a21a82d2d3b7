/*
 * L3: a SQLite file of anybody, through the source: discovered, and every stream read. Whatever is
 * in it, that ends with rows or an error.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"
#include "tests/support/fake_sink.h"
#include "tests/support/harness.h"

extern const struct source_connector source_sqlite;

static void write_file(const char *path, const uint8_t *data, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    MUST(fd >= 0);
    MUST(write(fd, data, size) == (ssize_t)size);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = ERROR_INIT;
    char path[64], config[128];
    struct harness h = {0};

    snprintf(path, sizeof path, "/dev/shm/fuzz_sqlite_%d.db", (int)getpid());
    snprintf(config, sizeof config, "{\"path\":\"%s\",\"busy_timeout_s\":0,\"safe_wait_s\":0}",
             path);
    write_file(path, data, size);
    if (harness_open(&h, &source_sqlite, config, &err) == 0 &&
        harness_select(&h, NULL, &err) == 0 && h.selection.n > 0) {
        struct fake_sink *sink = fake_sink_new(h.selection.n);

        if (harness_read(&h, NULL, &sink->sink, &err) == 0)
            MUST(sink->violation[0] == '\0');
        fake_sink_free(sink);
    }
    harness_close(&h);
    unlink(path);
    return 0;
}
