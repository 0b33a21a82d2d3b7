#include <criterion/criterion.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "connectors/base/hash.h"
#include "connectors/files/manifest.h"
#include "tests/support/fake_sink.h"
#include "tests/support/folder.h"
#include "tests/support/harness.h"

extern const struct source_connector source_file;
extern const struct destination_connector destination_file;

#define MAX_STREAMS 12

/* Columns a (int, the key), b (string); streams s0, s1, ... of them. */
static const struct column columns[] = {
    {.name = "a", .type = {.type = TYPE_INT}, .source_type = "", .nullable = true},
    {.name = "b", .type = {.type = TYPE_STRING}, .source_type = "", .nullable = true},
    {.name = "c", .type = {.type = TYPE_DECIMAL}, .source_type = "", .nullable = true},
};
static const size_t key[] = {0};
static const struct schema narrow = {columns, 2, NULL, 0}, keyed = {columns, 2, key, 1},
                           wide = {columns, 3, NULL, 0};

static struct arena *mem;
static struct cancel *cancel;
static struct run run;
static struct error err;
static struct doc *config_doc;
static void *config;
static struct stream streams[MAX_STREAMS];
static struct selected_stream selected[MAX_STREAMS];
static struct write_plan plan;
static struct destination *d;
static struct stream_position at[MAX_STREAMS];
static struct counts counts[MAX_STREAMS];
static const struct counts none[MAX_STREAMS];

static void configure(const char *more)
{
    char json[600];

    doc_free(config_doc);
    config_doc = NULL;
    err = ERROR_INIT;
    snprintf(json, sizeof json, "{\"path\":\"%s\"%s}", folder_path("out"), more);
    cr_assert_eq(harness_decode(destination_file.options, destination_file.config_size, json, mem,
                                &config, &config_doc, &err),
                 0, "%s", err.message);
}

static void close_it(void)
{
    if (d)
        d->ops->close(d);
    d = NULL;
}

/* The destination borrows the plan, so it is closed first. */
static void plan_for(size_t n, enum write_mode mode, const struct schema *schema)
{
    close_it();
    for (size_t i = 0; i < n; i++) {
        const char *name = arena_printf(mem, "s%zu", i);

        streams[i] = (struct stream){.namespace = "", .name = name, .schema = schema};
        selected[i] = (struct selected_stream){
            .stream = &streams[i],
            .schema = schema,
            .write_mode = mode,
            .sync_mode = mode == WRITE_APPEND ? SYNC_INCREMENTAL : SYNC_FULL_REFRESH,
            .cursor = -1,
            .alias = name,
            .destination_namespace = ""};
    }
    plan = (struct write_plan){.pipeline = "p1",
                               .streams = selected,
                               .n = n,
                               .max_quarantined_rows = 1000,
                               .max_quarantined_ratio = 1,
                               .metadata = METADATA_NONE};
}

static void setup(void)
{
    folder_make();
    mem = arena_new();
    err = ERROR_INIT;
    cr_assert_eq(cancel_new(&cancel, &err), 0);
    run = (struct run){.mem = mem,
                       .cancel = cancel,
                       .log = &log_nowhere,
                       .id = "run-1",
                       .started_unix_us = 1700000000000000};
    configure("");
    plan_for(1, WRITE_APPEND, &narrow);
}

static void teardown(void)
{
    close_it();
    doc_free(config_doc);
    cancel_free(cancel);
    arena_free(mem);
    folder_remove();
}

TestSuite(file_destination, .init = setup, .fini = teardown);

#define ok(call)                                               \
    do {                                                       \
        err = ERROR_INIT;                                      \
        cr_assert_eq((call), 0, "%s: %s", #call, err.message); \
    } while (0)

#define fails(call, class, why)                                                               \
    do {                                                                                      \
        err = ERROR_INIT;                                                                     \
        cr_assert_eq((call), -1, "%s", #call);                                                \
        cr_assert_eq(err.code, class, "%s", err.message);                                     \
        cr_assert_str_eq(error_reason(&err), why, "%s: %s", error_reason(&err), err.message); \
    } while (0)

static int try_open(void)
{
    close_it();
    err = ERROR_INIT;
    if (destination_file.open(config, &run, &plan, &d, &err) < 0)
        return -1;
    return d->ops->recover(d, at, &err);
}

static void open_it(void)
{
    ok(try_open());
}

/* Rows from..to-1: a = the number, b = "row <number>". */
static int try_write(size_t stream, const struct schema *schema, int64_t from, int64_t to)
{
    CLEANUP(batch_free_cleanup) struct batch *rows = batch_new(schema);

    for (int64_t i = from; i < to; i++) {
        char text[32];

        batch_put_int64(rows, 0, i);
        batch_put_text(rows, 1, text,
                       (size_t)snprintf(text, sizeof text, "row %lld", (long long)i));
        if (schema->n_columns > 2)
            batch_put_text(rows, 2, "1.50", 4);
        batch_end_row(rows);
    }
    err = ERROR_INIT;
    return d->ops->write(d, stream, rows, &err);
}

static void write_rows(size_t stream, int64_t from, int64_t to)
{
    cr_assert_eq(try_write(stream, &narrow, from, to), 0, "%s", err.message);
}

static int try_commit(const char *position)
{
    const char *upto[MAX_STREAMS] = {position};

    err = ERROR_INIT;
    return d->ops->commit(d, upto, none, counts, &err);
}

static int try_finish(const char *position)
{
    err = ERROR_INIT;
    return d->ops->finish(d, 0, position, none, counts, &err);
}

static void next_run(void)
{
    static int n;

    run.id = arena_printf(mem, "run-%d", 100 + ++n);
}

/* A whole overwriting run, and the next one begins. */
static void replace_with(int64_t from, int64_t to)
{
    open_it();
    write_rows(0, from, to);
    ok(try_finish("{\"end\":1}"));
    close_it();
    next_run();
}

/* The lines of all data files of a stream that manifests name, in their order. */
static const char *content(const char *stream)
{
    struct buf out = BUF_INIT(8 << 20);
    const char *text;
    struct manifest_state st;
    int root = open(folder_path("out"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    ok(manifest_find(root, stream, mem, &st, &err));
    close(root);
    for (int64_t i = 0; st.has_live && i <= st.live.number; i++) {
        const char *path = arena_printf(mem, "out/_manifests/%s/%010lld/%010lld.json", stream,
                                        (long long)st.live.generation, (long long)i);
        struct doc *m = NULL;
        size_t n;
        char *json = folder_read(path, &n);

        ok(doc_parse_trusted(json, n, &m, &err));
        free(json);
        for (size_t k = 0; k < doc_count(doc_get(m, "files")); k++) {
            const struct doc *f = doc_at(doc_get(m, "files"), k);
            char hex[HASH_HEX_BYTES], *data;

            data = folder_read(arena_printf(mem, "out/%s", doc_string(doc_get(f, "name"), "")), &n);
            cr_assert_eq(doc_int(doc_get(f, "size"), -1), (int64_t)n);
            hash_bytes_hex(data, n, hex);
            cr_assert_str_eq(doc_string(doc_get(f, "sha256"), ""), hex);
            buf_puts(&out, data);
            free(data);
        }
        doc_free(m);
    }
    text = arena_strdup(mem, buf_str(&out));
    buf_release(&out);
    return text;
}

static size_t lines_of(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static const char *read_text(const char *name)
{
    size_t n;
    char *text = folder_read(name, &n);
    const char *out = arena_strdup(mem, text);

    free(text);
    return out;
}

/* --------------------------------------------------------------------- append */

Test(file_destination, appends_and_gives_the_position_back_as_it_was)
{
    open_it();
    cr_assert_null(at[0].position);
    cr_assert_eq(at[0].seq, 0);
    write_rows(0, 0, 3);
    ok(try_commit("{\"n\":1}"));
    cr_assert_eq(counts[0].inserted, 3);
    cr_assert_eq(counts[0].read, 3);
    write_rows(0, 3, 5);
    ok(try_commit("{\"n\":2}"));
    cr_assert_eq(counts[0].inserted, 2);
    open_it();
    cr_assert_str_eq(at[0].position, "{\"n\":2}");
    cr_assert_eq(at[0].seq, 2);
    cr_assert_eq(at[0].generation, 1);
    cr_assert_eq(at[0].counts.inserted, 5);
    cr_assert_str_eq(content("s0"), "{\"a\":0,\"b\":\"row 0\"}\n{\"a\":1,\"b\":\"row 1\"}\n"
                                    "{\"a\":2,\"b\":\"row 2\"}\n{\"a\":3,\"b\":\"row 3\"}\n"
                                    "{\"a\":4,\"b\":\"row 4\"}\n");
    cr_assert_eq(folder_count("out/s0/current", ".ndjson"), 2);
}

Test(file_destination, keeps_a_position_byte_for_byte)
{
    open_it();
    ok(try_commit("{\"n\": 1.10, \"deep\":[1e400],\"s\":\"\\u00e4\"}"));
    open_it();
    cr_assert_str_eq(at[0].position, "{\"n\": 1.10, \"deep\":[1e400],\"s\":\"\\u00e4\"}");
}

Test(file_destination, a_commit_without_rows_or_positions_leaves_no_trace)
{
    size_t before;

    open_it();
    before = folder_count("out/_manifests/s0/0000000001", ".json");
    ok(try_commit(NULL));
    cr_assert_eq(folder_count("out/_manifests/s0/0000000001", ".json"), before);
}

Test(file_destination, counts_what_the_source_dropped)
{
    const char *upto[] = {"{}"};
    const struct counts dropped[] = {{.filtered = 2, .overlap_dropped = 3, .bytes_read = 99}};

    open_it();
    write_rows(0, 0, 4);
    ok(d->ops->commit(d, upto, dropped, counts, &err));
    cr_assert_eq(counts[0].read, 9);
    cr_assert_eq(counts[0].filtered, 2);
    cr_assert_eq(counts[0].overlap_dropped, 3);
    cr_assert_eq(counts[0].bytes_read, 99);
    cr_assert(counts_balance(&counts[0]));
}

Test(file_destination, what_was_not_committed_is_forgotten)
{
    open_it();
    write_rows(0, 0, 3);
    close_it();
    cr_assert_eq(folder_count("out/s0/g0000000001", ""), 0);
    open_it();
    cr_assert_str_eq(content("s0"), "");
}

Test(file_destination, removes_what_a_crash_left_behind)
{
    open_it();
    write_rows(0, 0, 3);
    ok(try_commit("{}"));
    close_it();
    /* The crashed run had fenced with number 0 and committed 1: it was working on 2. */
    folder_puts("out/s0/g0000000001/0000000002-00aa.ndjson.part", "half");
    folder_puts("out/s0/g0000000001/0000000002-00ab.ndjson", "whole, not named");
    folder_puts("out/_manifests/s0/0000000001/.00ac.part", "{");
    cr_assert_eq(mkdir(folder_path("out/_connectord_quarantine"), 0700), 0);
    folder_puts("out/_connectord_quarantine/s0-0000000001-0000000002-00ad.ndjson", "x");
    folder_puts("out/_connectord_quarantine/s0-0000000001-0000000001-00ae.ndjson", "stays");
    open_it();
    cr_assert_eq(folder_count("out/s0/g0000000001", ""), 1);
    cr_assert_eq(folder_count("out/_connectord_quarantine", ""), 1);
    cr_assert_eq(folder_count("out/_manifests/s0/0000000001", ".part"), 0);
    cr_assert_eq(lines_of(content("s0")), 3);
}

/* --------------------------------------------------------------------- fences */

Test(file_destination, fences_the_older_writer)
{
    struct destination *old;

    open_it();
    write_rows(0, 0, 2);
    old = d;
    d = NULL;
    open_it();
    write_rows(0, 10, 13);
    ok(try_commit("{\"new\":1}"));
    {
        const char *upto[] = {"{\"old\":1}"};

        fails(old->ops->commit(old, upto, none, counts, &err), ERR_FENCED, "fenced");
        old->ops->close(old);
    }
    cr_assert_eq(lines_of(content("s0")), 3);
    open_it();
    cr_assert_str_eq(at[0].position, "{\"new\":1}");
}

Test(file_destination, fences_the_writer_of_a_generation_that_is_given_up)
{
    struct destination *old;

    plan_for(1, WRITE_OVERWRITE, &narrow);
    open_it();
    write_rows(0, 0, 2);
    ok(try_commit("{\"a\":1}"));
    write_rows(0, 2, 4);
    old = d;
    d = NULL;
    plan.restart = true;
    replace_with(10, 13);
    fails(old->ops->finish(old, 0, NULL, none, counts, &err), ERR_FENCED, "fenced");
    old->ops->close(old);
    cr_assert_eq(lines_of(content("s0")), 3);
    cr_assert_eq(folder_count("out/s0/current", ".ndjson"), 1);
}

Test(file_destination, refuses_what_belongs_to_others)
{
    open_it();
    plan.pipeline = "p2";
    fails(try_open(), ERR_CONFLICT, "table_owned");
    plan_for(2, WRITE_APPEND, &narrow);
    cr_assert_eq(mkdir(folder_path("out/s1"), 0700), 0);
    open_it(); /* an empty folder is nobody's */
    close_it();
    plan_for(3, WRITE_APPEND, &narrow);
    cr_assert_eq(mkdir(folder_path("out/s2"), 0700), 0);
    folder_puts("out/s2/precious.ndjson", "{}\n");
    fails(try_open(), ERR_CONFLICT, "table_exists");
    cr_assert_eq(folder_count("out/s2", "precious.ndjson"), 1);
}

Test(file_destination, refuses_two_streams_of_one_folder)
{
    plan_for(2, WRITE_APPEND, &narrow);
    selected[1].alias = selected[0].alias;
    fails(try_open(), ERR_CONFIG, "config_error");
}

Test(file_destination, names_folders_so_that_none_can_escape_or_be_ours)
{
    static const struct {
        const char *namespace, *name, *folder;
    } cases[] = {
        {"", "users", "users"},
        {"shop", "users", "shop.users"},
        {"", "../x", "%2E.%2Fx"},
        {"", "_manifests", "%5Fmanifests"},
        {"", ".hidden", "%2Ehidden"},
        {"", "a b\n", "a%20b%0A"},
        {"", "", "%"},
        {"", "gr\xc3\xbcn", "gr\xc3\xbcn"},
    };
    char long_name[400];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_assert_str_eq(manifest_stream_folder(mem, cases[i].namespace, cases[i].name),
                         cases[i].folder);
    memset(long_name, 'x', sizeof long_name);
    long_name[399] = '\0';
    cr_assert_lt(strlen(manifest_stream_folder(mem, "", long_name)), 151);
    long_name[150] = '\0';
    cr_assert_str_eq(manifest_stream_folder(mem, "", long_name), long_name);
}

/* ------------------------------------------------------------------ overwrite */

Test(file_destination, swaps_generations_and_removes_the_old_one)
{
    plan_for(1, WRITE_OVERWRITE, &narrow);
    replace_with(0, 3);
    cr_assert_eq(lines_of(content("s0")), 3);
    open_it();
    cr_assert_null(at[0].position, "a new generation begins at the beginning");
    cr_assert_eq(at[0].generation, 2);
    write_rows(0, 10, 14);
    ok(try_commit("{\"half\":1}"));
    cr_assert_eq(lines_of(content("s0")), 3, "the old generation is still the live one");
    close_it();
    open_it();
    cr_assert_str_eq(at[0].position, "{\"half\":1}", "an unfinished generation goes on");
    write_rows(0, 14, 16);
    ok(try_finish(NULL));
    cr_assert_eq(counts[0].inserted, 2);
    cr_assert_eq(lines_of(content("s0")), 6);
    cr_assert_eq(folder_count("out/s0", ""), 2, "g0000000002 and current");
    cr_assert_eq(folder_count("out/_manifests/s0", ""), 2, "0000000002 and live.json");
    cr_assert(strstr(read_text("out/_manifests/s0/live.json"), "\"generation\":2") != NULL);
}

Test(file_destination, a_restart_gives_an_unfinished_generation_up)
{
    plan_for(1, WRITE_OVERWRITE, &narrow);
    open_it();
    write_rows(0, 0, 3);
    ok(try_commit("{\"half\":1}"));
    plan.restart = true;
    open_it();
    cr_assert_null(at[0].position);
    cr_assert_eq(at[0].generation, 2);
    cr_assert_eq(at[0].counts.read, 0);
    write_rows(0, 5, 6);
    ok(try_finish(NULL));
    cr_assert_str_eq(content("s0"), "{\"a\":5,\"b\":\"row 5\"}\n");
}

Test(file_destination, guards_against_shrinking)
{
    plan_for(1, WRITE_OVERWRITE, &narrow);
    replace_with(0, 10);
    open_it();
    write_rows(0, 0, 4);
    ok(try_commit("{}"));
    fails(try_finish(NULL), ERR_CONFLICT, "shrink_guard");
    cr_assert_eq(lines_of(content("s0")), 10);
    open_it();
    cr_assert_null(at[0].position, "the refused generation is not gone on with");
    fails(try_finish(NULL), ERR_CONFLICT, "shrink_guard");
    cr_assert_eq(lines_of(content("s0")), 10);
    replace_with(0, 5); /* exactly half is allowed */
    cr_assert_eq(lines_of(content("s0")), 5);
    selected[0].allow_shrink = true;
    replace_with(0, 1);
    open_it();
    fails(try_finish(NULL), ERR_CONFLICT, "shrink_guard");
    selected[0].allow_empty = true;
    open_it();
    ok(try_finish(NULL));
    cr_assert_str_eq(content("s0"), "");
}

Test(file_destination, changes_between_appending_and_replacing)
{
    open_it();
    write_rows(0, 0, 3);
    ok(try_commit("{\"x\":1}"));
    plan_for(1, WRITE_OVERWRITE, &narrow);
    open_it();
    write_rows(0, 5, 9);
    ok(try_commit("{\"half\":1}"));
    plan_for(1, WRITE_APPEND, &narrow);
    open_it();
    cr_assert_str_eq(at[0].position, "{\"x\":1}");
    write_rows(0, 3, 4);
    ok(try_commit("{\"x\":2}"));
    cr_assert_eq(lines_of(content("s0")), 4);
    plan_for(1, WRITE_OVERWRITE, &narrow);
    replace_with(5, 9);
    cr_assert_eq(lines_of(content("s0")), 4);
    plan_for(1, WRITE_APPEND, &narrow);
    open_it();
    write_rows(0, 9, 10);
    ok(try_commit("{\"x\":3}"));
    cr_assert_eq(lines_of(content("s0")), 5);
}

Test(file_destination, takes_the_positions_a_user_has_edited)
{
    const char *edited[] = {"{\"edited\":true}"};

    open_it();
    ok(try_commit("{\"x\":1}"));
    plan.override_positions = edited;
    open_it();
    cr_assert_str_eq(at[0].position, "{\"edited\":true}");
    edited[0] = NULL;
    open_it();
    cr_assert_str_eq(at[0].position, "{\"edited\":true}");
    edited[0] = "";
    open_it();
    cr_assert_null(at[0].position);
}

Test(file_destination, a_second_attempt_knows_that_a_full_refresh_is_complete)
{
    static const enum write_mode modes[] = {WRITE_APPEND, WRITE_OVERWRITE};

    for (size_t m = 0; m < 2; m++) {
        run.id = "run-1";
        plan_for(1, modes[m], &narrow);
        selected[0].sync_mode = SYNC_FULL_REFRESH;
        open_it();
        write_rows(0, 0, 3);
        ok(try_finish("{\"end\":1}"));
        open_it(); /* the answer was lost: the same run again */
        cr_assert_str_eq(at[0].position, "{\"end\":1}");
        open_it(); /* and once more */
        cr_assert_str_eq(at[0].position, "{\"end\":1}");
        ok(try_finish("{\"end\":1}"));
        cr_assert_eq(lines_of(content("s0")), 3);
        run.id = "run-2";
        open_it();
        cr_assert_null(at[0].position, "another run begins at the beginning");
        write_rows(0, 0, 3);
        ok(try_finish("{\"end\":1}"));
        cr_assert_eq(lines_of(content("s0")), modes[m] == WRITE_APPEND ? 6 : 3);
        close_it();
        ok(destination_file.clear(config, &run, &plan, &err));
    }
}

Test(file_destination, clears_streams_and_only_those)
{
    struct write_plan one;

    plan_for(2, WRITE_OVERWRITE, &narrow);
    open_it();
    write_rows(0, 0, 3);
    write_rows(1, 0, 3);
    ok(try_finish(NULL));
    ok(d->ops->finish(d, 1, NULL, none, counts, &err));
    close_it();
    one = plan;
    one.n = 1;
    ok(destination_file.clear(config, &run, &one, &err));
    cr_assert_eq(access(folder_path("out/s0"), F_OK), -1);
    cr_assert_eq(access(folder_path("out/_manifests/s0"), F_OK), -1);
    cr_assert_eq(lines_of(content("s1")), 3);
    open_it();
    cr_assert_eq(at[0].generation, 1);
    one.pipeline = "p2";
    close_it();
    fails(destination_file.clear(config, &run, &one, &err), ERR_CONFLICT, "table_owned");
}

/* ------------------------------------------------------------------ quarantine */

static void write_broken(size_t n_rejected)
{
    CLEANUP(batch_free_cleanup) struct batch *rows = batch_new(&keyed);

    batch_put_int64(rows, 0, 1);
    batch_put_odd(rows, 1, REASON_ENCODING, "\xff\x01", 2);
    batch_end_row(rows);
    for (size_t i = 0; i < n_rejected; i++)
        batch_reject_row(rows, REASON_PARSE, "t.csv line 3: broken", "a,\"b", 4);
    batch_put_text(rows, 1, "no key", 6);
    batch_end_row(rows);
    batch_put_int64(rows, 0, 2);
    batch_end_row(rows);
    ok(d->ops->write(d, 0, rows, &err));
}

Test(file_destination, puts_broken_rows_and_cells_beside_with_the_same_commit)
{
    const char *text;

    plan_for(1, WRITE_APPEND, &keyed);
    plan.metadata = METADATA_MINIMAL;
    open_it();
    write_broken(1);
    ok(try_commit("{}"));
    cr_assert_eq(counts[0].read, 4);
    cr_assert_eq(counts[0].inserted, 2);
    cr_assert_eq(counts[0].quarantined_rows, 2);
    cr_assert_eq(counts[0].quarantined_cells, 1);
    cr_assert_str_eq(
        content("s0"),
        "{\"a\":1,\"b\":null,\"_connectord_synced_at\":\"2023-11-14T22:13:20.000000Z\","
        "\"_connectord_meta\":{\"q\":[\"b\"]}}\n"
        "{\"a\":2,\"b\":null,\"_connectord_synced_at\":\"2023-11-14T22:13:20.000000Z\","
        "\"_connectord_meta\":null}\n");
    text = read_text(folder_only("out/_connectord_quarantine", ".ndjson"));
    cr_assert(strstr(text, "{\"stream\":\"s0\",\"generation\":1,\"seq\":1,\"ordinal\":0,\"level\":"
                           "\"cell\",\"column\":\"b\",\"reason\":\"encoding\",\"detail\":null,"
                           "\"key\":[\"1\"],\"raw\":\"/wE=\",\"encoding\":\"base64\",\"run_id\":"
                           "\"run-1\",\"at\":\"") == text,
              "%s", text);
    cr_assert(strstr(text, "\"ordinal\":1,\"level\":\"row\",\"column\":null,\"reason\":\"parse\","
                           "\"detail\":\"t.csv line 3: broken\",\"key\":null,\"raw\":\"a,\\\"b\","
                           "\"encoding\":\"utf-8\"") != NULL,
              "%s", text);
    cr_assert(strstr(text, "\"reason\":\"null_key\"") != NULL, "%s", text);
    cr_assert(strstr(text, "\"raw\":\"{\\\"a\\\":null,\\\"b\\\":\\\"no key\\\"}\"") != NULL, "%s",
              text);
    cr_assert_eq(lines_of(text), 3);
    close_it();
    ok(destination_file.clear(config, &run, &plan, &err));
    cr_assert_eq(folder_count("out/_connectord_quarantine", ""), 0);
}

Test(file_destination, fails_the_commit_that_crosses_the_limit)
{
    plan_for(1, WRITE_APPEND, &keyed);
    plan.max_quarantined_rows = 3;
    open_it();
    write_broken(1); /* two rows */
    ok(try_commit("{\"a\":1}"));
    write_broken(1);
    fails(try_commit("{\"a\":2}"), ERR_DATA, "quarantine_limit");
    open_it();
    cr_assert_str_eq(at[0].position, "{\"a\":1}");
    write_broken(2);
    ok(try_commit("{\"a\":2}")); /* three in this run */
    plan.max_quarantined_rows = 0;
    open_it();
    write_broken(0);
    fails(try_finish(NULL), ERR_DATA, "quarantine_limit");
}

Test(file_destination, looks_at_the_ratio_after_ten_thousand_rows)
{
    plan.max_quarantined_ratio = 0.0003;
    plan_for(1, WRITE_APPEND, &keyed);
    plan.max_quarantined_ratio = 0.0003;
    open_it();
    write_broken(3);        /* six rows, four of them broken */
    write_rows(0, 0, 9993); /* one short of ten thousand */
    ok(try_commit("{\"a\":1}"));
    write_broken(0);
    fails(try_commit("{\"a\":2}"), ERR_DATA, "quarantine_limit");
}

/* -------------------------------------------------------------------- formats */

Test(file_destination, writes_csv_that_tells_null_from_empty)
{
    CLEANUP(batch_free_cleanup) struct batch *rows = batch_new(&narrow);
    static const char *const texts[] = {"",           "\\N",      "a,b",   "say \"hi\"",
                                        "two\nlines", " padded ", "plain", "a;b"};

    configure(",\"format\":\"csv\",\"delimiter\":\";\",\"null_value\":\"\\\\N\"");
    plan.metadata = METADATA_FULL;
    open_it();
    batch_end_row(rows);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        batch_put_text(rows, 1, texts[i], strlen(texts[i]));
        batch_end_row(rows);
    }
    ok(d->ops->write(d, 0, rows, &err));
    ok(try_commit("{}"));
    {
        const char *text = content("s0"), *line;

        cr_assert(strstr(text, "a;b;_connectord_synced_at;_connectord_run_id;"
                               "_connectord_extracted_at;_connectord_generation;_connectord_meta\n"
                               "\\N;\\N;2023-11-14T22:13:20.000000Z;run-1;") == text,
                  "%s", text);
        line = strchr(text, '\n');
        cr_assert(strstr(line, "\n\\N;\"\";") != NULL);
        cr_assert(strstr(line, "\n\\N;\"\\N\";") != NULL);
        cr_assert(strstr(line, "\n\\N;a,b;") != NULL);
        cr_assert(strstr(line, "\n\\N;\"say \"\"hi\"\"\";") != NULL);
        cr_assert(strstr(line, "\n\\N;\"two\nlines\";") != NULL);
        cr_assert(strstr(line, "\n\\N;\" padded \";") != NULL);
        cr_assert(strstr(line, "\n\\N;plain;") != NULL);
        cr_assert(strstr(line, "\n\\N;\"a;b\";") != NULL);
        cr_assert(strstr(line, ";1;\\N\n") != NULL);
    }
}

Test(file_destination, gives_columns_that_are_called_like_ours_a_mark)
{
    static const struct column clash[] = {{.name = "_connectord_meta",
                                           .type = {.type = TYPE_INT},
                                           .source_type = "",
                                           .nullable = true}};
    static const struct schema schema = {clash, 1, NULL, 0};
    CLEANUP(batch_free_cleanup) struct batch *rows = batch_new(&schema);

    plan_for(1, WRITE_APPEND, &schema);
    open_it();
    batch_put_int64(rows, 0, 7);
    batch_end_row(rows);
    ok(d->ops->write(d, 0, rows, &err));
    ok(try_commit("{}"));
    cr_assert_eq(strncmp(content("s0"), "{\"_connectord_meta_", 19), 0);
}

Test(file_destination, a_wider_schema_is_another_csv_file)
{
    configure(",\"format\":\"csv\"");
    open_it();
    write_rows(0, 0, 1);
    cr_assert_eq(try_write(0, &wide, 1, 2), 0, "%s", err.message);
    ok(try_commit("{}"));
    cr_assert_str_eq(content("s0"), "a,b\n0,row 0\na,b,c\n1,row 1,1.50\n");
    selected[0].drift = DRIFT_IGNORE;
    cr_assert_eq(try_write(0, &narrow, 2, 3), 0);
    open_it();
    cr_assert_eq(try_write(0, &wide, 3, 4), 0);
    ok(try_commit("{}"));
    cr_assert(strstr(content("s0"), "a,b\n3,row 3\n") != NULL);
    selected[0].drift = DRIFT_FREEZE;
    open_it();
    cr_assert_eq(try_write(0, &wide, 4, 5), -1);
    cr_assert_str_eq(error_reason(&err), "schema_frozen");
}

Test(file_destination, writes_more_streams_than_it_keeps_open)
{
    const char *upto[MAX_STREAMS];

    plan_for(MAX_STREAMS, WRITE_APPEND, &narrow);
    configure(",\"compression\":\"zstd\"");
    open_it();
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < MAX_STREAMS; i++) {
            write_rows(i, 10 * round, 10 * round + 10);
            upto[i] = "{}";
        }
    }
    ok(d->ops->commit(d, upto, none, counts, &err));
    for (size_t i = 0; i < MAX_STREAMS; i++)
        cr_assert_eq(counts[i].inserted, 30);
    cr_assert_gt(folder_count("out/s0/current", ".ndjson.zst"), 1);
    cr_assert_eq(folder_count("out/s0/current", ".part"), 0);
}

/* -------------------------------------------------------------- there and back */

static const struct column every[] = {
    {.name = "bool", .type = {.type = TYPE_BOOL}, .source_type = "", .nullable = true},
    {.name = "int", .type = {.type = TYPE_INT}, .source_type = "", .nullable = true},
    {.name = "decimal", .type = {.type = TYPE_DECIMAL}, .source_type = "", .nullable = true},
    {.name = "float",
     .type = {.type = TYPE_FLOAT, .bits = 64},
     .source_type = "",
     .nullable = true},
    {.name = "string", .type = {.type = TYPE_STRING}, .source_type = "", .nullable = true},
    {.name = "bytes", .type = {.type = TYPE_BYTES}, .source_type = "", .nullable = true},
    {.name = "date", .type = {.type = TYPE_DATE}, .source_type = "", .nullable = true},
    {.name = "time", .type = {.type = TYPE_TIME}, .source_type = "", .nullable = true},
    {.name = "timestamp", .type = {.type = TYPE_TIMESTAMP}, .source_type = "", .nullable = true},
    {.name = "timestamptz",
     .type = {.type = TYPE_TIMESTAMPTZ},
     .source_type = "",
     .nullable = true},
    {.name = "interval", .type = {.type = TYPE_INTERVAL}, .source_type = "", .nullable = true},
    {.name = "uuid", .type = {.type = TYPE_UUID}, .source_type = "", .nullable = true},
    {.name = "json", .type = {.type = TYPE_JSON}, .source_type = "", .nullable = true},
};
static const struct schema all_types = {every, sizeof every / sizeof *every, NULL, 0};

static const char *const values[][5] = {
    {"true", "false", "true", "false", NULL},
    {"0", "-9223372036854775808", "9223372036854775807", "7", NULL},
    {"0.10", "-123456789012345678901234567890.000000001", "NaN", "-Infinity", NULL},
    {"0.1", "NaN", "-Infinity", "1e+300", NULL},
    {"", "line\nbreak \"quoted\", \\ \t\r", "\xf0\x9f\x98\x80 \xc3\xa4", "NULL", NULL},
    {"", "AAH/", "TlVMTA==", "NULL", NULL},
    {"2024-02-29", "infinity", "-0044-03-15", "+12024-01-01", NULL},
    {"00:00:00", "23:59:59.999999", "12:30:00.5", "01:02:03", NULL},
    {"2024-01-01T00:00:00", "1969-12-31T23:59:59.999999", "-infinity", "2024-06-01T12:00:00.25",
     NULL},
    {"2024-01-01T00:00:00Z", "infinity", "1900-01-01T00:00:00Z", "2024-06-01T12:00:00.25Z", NULL},
    {"P1Y2M3DT4H5M6S", "PT0S", "P-1M", "PT0.000001S", NULL},
    {"00000000-0000-0000-0000-000000000000", "123e4567-e89b-12d3-a456-426614174000",
     "ffffffff-ffff-ffff-ffff-ffffffffffff", "00000000-0000-0000-0000-00000000000a", NULL},
    {"{\"a\": [1.10, 1e400]}", "[null]", "\"text, quoted\"", "0", NULL},
};

static struct batch *make_every(void)
{
    struct batch *rows = batch_new(&all_types);
    size_t n_odd;

    for (size_t row = 0; row < 5; row++) {
        for (size_t i = 0; i < all_types.n_columns; i++) {
            if (values[i][row])
                batch_put_parsed(rows, i, values[i][row], strlen(values[i][row]));
        }
        batch_end_row(rows);
    }
    (void)batch_odd_cells(rows, &n_odd);
    cr_assert_eq(n_odd, 0, "a value of the test is none");
    return rows;
}

static const char *declared_types(void)
{
    char *text = arena_strdup(mem, "");

    for (size_t i = 0; i < all_types.n_columns; i++) {
        char type[32];

        type_format(every[i].type, type);
        text = arena_printf(mem, "%s%s\"%s\":\"%s\"", text, i ? "," : "", every[i].name, type);
    }
    return text;
}

/* Writes every type, reads it with our own source, compares the cells. */
static void there_and_back(const char *format, const char *compression)
{
    CLEANUP(batch_free_cleanup) struct batch *rows = make_every();
    struct fake_sink *f = fake_sink_new(1);
    struct buf want = BUF_INIT(1 << 20), got = BUF_INIT(1 << 20);
    struct harness h;
    bool csv = !strcmp(format, "csv");

    configure(arena_printf(mem, ",\"format\":\"%s\",\"compression\":\"%s\"%s", format, compression,
                           csv ? ",\"null_value\":\"NULL\"" : ""));
    plan_for(1, WRITE_OVERWRITE, &all_types);
    open_it();
    ok(d->ops->write(d, 0, rows, &err));
    ok(try_finish(NULL));
    close_it();
    ok(harness_open(&h, &source_file,
                    arena_printf(mem, "{\"path\":\"%s\",\"stream\":\"s0\",\"types\":{%s}%s}",
                                 folder_path("out/s0/current"), declared_types(),
                                 csv ? ",\"null_values\":[\"NULL\"]" : ""),
                    &err));
    ok(harness_select(&h, NULL, &err));
    ok(harness_read(&h, NULL, &f->sink, &err));
    cr_assert_not(f->streams[0].failed, "%s", f->streams[0].why.message);
    fake_sink_write_lines(rows, &want);
    for (size_t i = 0; i < f->streams[0].n_lines; i++) {
        buf_puts(&got, f->streams[0].lines[i]);
        buf_putc(&got, '\n');
    }
    cr_assert_str_eq(buf_str(&got), buf_str(&want), "%s %s:\n%s\nis not\n%s", format, compression,
                     buf_str(&got), buf_str(&want));
    buf_release(&want);
    buf_release(&got);
    fake_sink_free(f);
    harness_close(&h);
}

Test(file_destination, every_type_comes_back_as_it_was)
{
    static const char *const formats[] = {"ndjson", "csv"}, *const how[] = {"none", "gzip", "zstd"};

    for (size_t i = 0; i < 2; i++) {
        for (size_t k = 0; k < 3; k++)
            there_and_back(formats[i], how[k]);
    }
}

/* ------------------------------------------------------------------- failures */

Test(file_destination, says_what_is_wrong_with_the_folder)
{
    folder_puts("out", "a file");
    fails(destination_file.check(config, &run, &err), ERR_CONFIG, "config_error");
    fails(try_open(), ERR_CONFIG, "config_error");
    configure(",\"format\":\"csv\",\"null_value\":\"a,b\"");
    fails(destination_file.check(config, &run, &err), ERR_CONFIG, "config_error");
    unlink(folder_path("out"));
    configure("");
    ok(destination_file.check(config, &run, &err));
    cr_assert_eq(folder_count("out", ""), 0, "the check leaves nothing behind");
}

Test(file_destination, a_folder_that_may_not_be_written_is_named)
{
    if (geteuid() == 0)
        cr_skip_test("root may write everywhere");
    cr_assert_eq(mkdir(folder_path("out"), 0500), 0);
    fails(destination_file.check(config, &run, &err), ERR_PERMISSION, "permission_denied");
    cr_assert(strstr(err.message, folder_path("out")) != NULL);
    chmod(folder_path("out"), 0700);
}

/* The limit of the size of a file is the nearest that a test has to a full disk. */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit;

    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &limit);
}

Test(file_destination, a_full_disk_loses_nothing_that_was_committed)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    int rc;

    sigaction(SIGXFSZ, &ignore, &before);
    open_it();
    write_rows(0, 0, 100);
    ok(try_commit("{\"a\":1}"));
    limit_files(64 << 10);
    rc = try_write(0, &narrow, 100, 20000);
    if (rc == 0)
        rc = try_commit("{\"a\":2}");
    limit_files(RLIM_INFINITY);
    sigaction(SIGXFSZ, &before, NULL);
    cr_assert_eq(rc, -1);
    cr_assert_eq(err.code, ERR_RESOURCE);
    cr_assert_str_eq(error_reason(&err), "disk_full");
    cr_assert(strstr(err.message, "s0/g0000000001/") != NULL, "%s", err.message);
    open_it();
    cr_assert_str_eq(at[0].position, "{\"a\":1}");
    cr_assert_eq(folder_count("out/s0/g0000000001", ""), 1, "half a file was left");
    cr_assert_eq(lines_of(content("s0")), 100);
}

Test(file_destination, a_damaged_manifest_is_named)
{
    open_it();
    ok(try_commit("{}"));
    close_it();
    folder_puts("out/_manifests/s0/0000000001/0000000001.json", "{\"pipeline\":\"p1\",");
    fails(try_open(), ERR_DATA, "damaged_manifest");
    cr_assert(strstr(err.message, "_manifests/s0/0000000001/0000000001.json") != NULL);
}

Test(file_destination, notices_cancellation)
{
    open_it();
    write_rows(0, 0, 1);
    cancel_request(cancel, CANCEL_USER);
    fails(try_commit("{}"), ERR_CANCELLED, "cancelled");
    close_it();
    fails(try_open(), ERR_CANCELLED, "cancelled");
}

/* F3: mode 0600, in a folder of mode 0700. */
Test(file_destination, files_are_for_their_owner_only)
{
    struct stat st;

    open_it();
    write_rows(0, 0, 1);
    ok(try_commit("{}"));
    stat(folder_path(folder_only("out/s0/g0000000001", ".ndjson")), &st);
    cr_assert_eq(st.st_mode & 0777, 0600);
    stat(folder_path("out/s0"), &st);
    cr_assert_eq(st.st_mode & 0777, 0700);
}

#ifdef CONNECTORD_FAILPOINTS
/* What a run does after whatever the run before it left. */
static bool run_to_the_end(void)
{
    int next = 0;

    if (try_open() < 0)
        return false;
    if (at[0].position)
        sscanf(at[0].position, "{\"n\":%d}", &next);
    for (; next < 3; next++) {
        char position[32];

        snprintf(position, sizeof position, "{\"n\":%d}", next + 1);
        if (try_write(0, &narrow, next * 10, next * 10 + 10) < 0 || try_commit(position) < 0)
            return false;
    }
    return try_finish("{\"n\":3}") == 0;
}

/* Whichever step fails: the next run repairs it, and every row is there once. */
static void fail_at(const char *point, int nth, enum write_mode mode)
{
    static int arrivals; /* the process counts those at all points together */
    char what[64];

    plan_for(1, mode, &narrow);
    arrivals += nth;
    snprintf(what, sizeof what, "%s:%d:error", point, arrivals);
    setenv("CONNECTORD_FAILPOINT", what, 1);
    cr_assert_not(run_to_the_end(), "%s %d was never reached", point, nth);
    cr_assert_eq(err.code, ERR_TRANSIENT, "%s %d: %s", point, nth, err.message);
    unsetenv("CONNECTORD_FAILPOINT");
    cr_assert(run_to_the_end(), "%s %d: %s", point, nth, err.message);
    cr_assert_eq(lines_of(content("s0")), 30, "%s %d %s: %zu lines", point, nth,
                 write_mode_name(mode), lines_of(content("s0")));
    close_it();
    ok(destination_file.clear(config, &run, &plan, &err));
}

/* F3: half written, synced, before and after the link, before and after the exchange of
 * generations; after a loss of power see tests/fault/test_power.py. */
Test(file_destination, survives_a_failure_at_every_step)
{
    static const struct {
        const char *name;
        int arrivals; /* of a run, at least */
    } points[] = {
        {"manifest_data_half", 3},  {"manifest_data_synced", 4}, {"manifest_before_link", 5},
        {"manifest_after_link", 5}, {"before_swap", 1},          {"after_swap", 1},
    };
    static const enum write_mode modes[] = {WRITE_APPEND, WRITE_OVERWRITE};

    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        for (int nth = 1; nth <= points[i].arrivals; nth++) {
            for (size_t m = 0; m < 2; m++)
                fail_at(points[i].name, nth, modes[m]);
        }
    }
}
#endif
