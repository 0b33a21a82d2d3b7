/*
 * Any bytes as the file of --config: they are settings within their bounds, or every problem says
 * where and what. What is loaded can be printed, and written as a file gives the same settings.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "server/config.h"
#include "tests/fuzz/fuzz.h"

static bool load(const char *bytes, size_t n, struct arena *mem, struct config *out,
                 struct problems *problems)
{
    char flag[] = "--config", path[64];
    char *argv[] = {flag, path};
    int fd = memfd_create("config", MFD_CLOEXEC);
    bool loaded;

    MUST(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    loaded = config_load(2, argv, SECRETS_UNREAD, mem, out, problems);
    close(fd);
    return loaded;
}

static void check_again(const struct config *config, struct arena *mem)
{
    struct buf text = BUF_INIT((size_t)16 << 20), printed = BUF_INIT((size_t)16 << 20);
    struct problems problems = PROBLEMS_INIT(mem);
    struct config again;

    doc_write(config->values, &text);
    MUST(load(buf_str(&text), text.len, mem, &again, &problems));
    for (const struct option *o = settings_options; o->name; o++)
        MUST(config_is_same(config, &again, o));
    config_print(config, &printed);
    MUST(printed.len > 0 && !printed.failed);
    config_release(&again);
    buf_release(&printed);
    buf_release(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *mem = arena_new();
    struct problems problems = PROBLEMS_INIT(mem);
    struct config config;
    bool loaded = load((const char *)data, size, mem, &config, &problems);

    MUST(loaded == (problems.n == 0));
    for (size_t i = 0; i < problems.n; i++)
        MUST(*problems.items[i].pointer && *problems.items[i].message);
    if (loaded) {
        MUST(config.settings.workers >= 1 && config.settings.workers <= 64);
        MUST(config.settings.max_body_bytes >= 1024);
        check_again(&config, mem);
    }
    config_release(&config);
    arena_free(mem);
    return 0;
}
