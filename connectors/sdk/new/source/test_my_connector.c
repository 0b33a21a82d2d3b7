/* The connector read by hand: everything, and again from each of its checkpoints. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/fake_sink.h"
#include "tests/support/harness.h"

extern const struct source_connector source_my_connector;

static void must(bool ok, const char *what, const struct error *err)
{
    if (ok)
        return;
    fprintf(stderr, "%s: %s\n", what, err->message);
    exit(1);
}

int main(void)
{
    struct fake_sink *whole = fake_sink_new(1);
    struct error err = ERROR_INIT;
    struct harness h;

    must(harness_open(&h, &source_my_connector, "{\"base_url\": \"http://x\", \"rows\": 5000}",
                      &err) == 0,
         "discovering", &err);
    must(harness_select(&h, "[{\"name\": \"items\", \"sync_mode\": \"incremental\"}]", &err) == 0,
         "selecting", &err);
    must(harness_read(&h, NULL, &whole->sink, &err) == 0, "reading", &err);
    must(!*whole->violation, whole->violation, &err);
    must(whole->streams[0].n_lines == 5000, "not every row came", &err);

    for (size_t i = 0; i < whole->streams[0].n_checkpoints; i++) {
        const struct fake_checkpoint *at = &whole->streams[0].checkpoints[i];
        const char *positions[] = {at->position};
        struct fake_sink *rest = fake_sink_new(1);

        fake_sink_copy(rest, whole, 0, at->n_lines);
        must(harness_read(&h, positions, &rest->sink, &err) == 0, "going on", &err);
        must(fake_sink_differ(&whole->streams[0], &rest->streams[0]) < 0, "other rows came", &err);
        fake_sink_free(rest);
    }
    fake_sink_free(whole);
    harness_close(&h);
    return 0;
}
