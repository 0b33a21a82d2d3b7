/* Rows written by hand: what was committed is there, what was not is gone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/support/harness.h"
#include "tests/support/tempdir.h"

extern const struct destination_connector destination_my_connector;

static const struct column columns[] = {
    {.name = "id", .type = {.type = TYPE_INT}, .source_type = "", .nullable = false}};
static const struct schema schema = {columns, 1, NULL, 0};
static const struct stream stream = {.namespace = "", .name = "t", .schema = &schema};
static const struct selected_stream selected = {.stream = &stream,
                                                .schema = &schema,
                                                .sync_mode = SYNC_INCREMENTAL,
                                                .write_mode = WRITE_APPEND,
                                                .cursor = -1,
                                                .alias = "t",
                                                .destination_namespace = ""};
static const struct write_plan plan = {.pipeline = "test", .streams = &selected, .n = 1};

static void must(bool ok, const char *what, const struct error *err)
{
    if (ok)
        return;
    fprintf(stderr, "%s: %s\n", what, err->message);
    exit(1);
}

/* Writes `n` rows and commits them when `position` is not NULL; gives what was there before. */
static struct stream_position write_some(const void *config, struct run *run, int64_t n,
                                         const char *position)
{
    const char *upto[] = {position};
    struct counts dropped[1] = {{0}}, did[1] = {{0}};
    struct stream_position was;
    struct destination *d;
    struct error err = ERROR_INIT;
    struct batch *rows = batch_new(&schema);

    must(destination_my_connector.open(config, run, &plan, &d, &err) == 0, "opening", &err);
    must(d->ops->recover(d, &was, &err) == 0, "recovering", &err);
    for (int64_t i = 0; i < n; i++) {
        batch_put_int64(rows, 0, i);
        batch_end_row(rows);
    }
    must(d->ops->write(d, 0, rows, &err) == 0, "writing", &err);
    if (position) {
        must(d->ops->commit(d, upto, dropped, did, &err) == 0, "committing", &err);
        must(did[0].inserted == n && counts_balance(&did[0]), "the numbers", &err);
    }
    d->ops->close(d);
    batch_free(rows);
    return was;
}

int main(void)
{
    char dir[TEMPDIR_BYTES];
    struct arena *mem = arena_new();
    struct run run = {.mem = mem, .log = &log_nowhere, .id = "test"};
    struct error err = ERROR_INIT;
    struct doc *doc;
    void *config;
    struct stream_position p;
    struct stat st;

    tempdir_make(dir);
    must(cancel_new(&run.cancel, &err) == 0, "preparing", &err);
    must(harness_decode(destination_my_connector.options, destination_my_connector.config_size,
                        arena_printf(mem, "{\"path\": \"%s\"}", dir), mem, &config, &doc,
                        &err) == 0,
         "the configuration", &err);
    must(destination_my_connector.check(config, &run, &err) == 0, "checking", &err);
    p = write_some(config, &run, 3, "{\"next\":3}");
    must(!p.position && p.seq == 0, "it was not empty", &err);
    write_some(config, &run, 5, NULL);
    p = write_some(config, &run, 1, "{\"next\":4}");
    must(p.position && !strcmp(p.position, "{\"next\":3}") && p.counts.read == 3, "the position",
         &err);
    must(stat(arena_printf(mem, "%s/t.jsonl", dir), &st) == 0 &&
             st.st_size == 4 * (off_t)strlen("{\"id\":\"0\"}\n"),
         "rows that were not committed are there", &err);
    doc_free(doc);
    tempdir_remove(dir);
    cancel_free(run.cancel);
    arena_free(mem);
    return 0;
}
