#include <criterion/criterion.h>

#include <stdio.h>

#include "tests/support/fake_sink.h"
#include "tests/support/harness.h"

extern const struct source_connector source_sample;

enum { USERS, PRODUCTS, PURCHASES, N };

static struct harness h;

static void teardown(void)
{
    harness_close(&h);
}

TestSuite(sample, .fini = teardown);

static const char incremental[] = "[{\"name\":\"users\",\"sync_mode\":\"incremental\"},"
                                  "{\"name\":\"products\",\"sync_mode\":\"incremental\"},"
                                  "{\"name\":\"purchases\",\"sync_mode\":\"incremental\"}]";

static void open_shop(const char *config, const char *streams)
{
    struct error err = ERROR_INIT;

    cr_assert_eq(harness_open(&h, &source_sample, config, &err), 0, "%s", err.message);
    cr_assert_eq(harness_select(&h, streams, &err), 0, "%s", err.message);
}

static struct fake_sink *read_shop(const char *const *positions)
{
    struct fake_sink *f = fake_sink_new(h.selection.n);
    struct error err = ERROR_INIT;

    cr_assert_eq(harness_read(&h, positions, &f->sink, &err), 0, "%s", err.message);
    cr_assert_str_eq(f->violation, "");
    return f;
}

/* Where each stream of a finished read continues. */
static const char *const *ends_of(const struct fake_sink *f)
{
    const char **ends = arena_array(h.mem, f->n_streams, sizeof *ends);

    for (size_t i = 0; i < f->n_streams; i++)
        ends[i] = arena_strdup(h.mem, f->streams[i].end_position);
    return ends;
}

static const char *cell(const struct doc *row, const char *column)
{
    return doc_string(doc_get(row, column), NULL);
}

Test(sample, delivers_every_row_once)
{
    struct fake_sink *f;

    open_shop("{\"rows\":25}", NULL);
    f = read_shop(NULL);
    cr_assert_eq(f->streams[USERS].n_lines, 25);
    cr_assert_eq(f->streams[PRODUCTS].n_lines, 2);
    cr_assert_eq(f->streams[PURCHASES].n_lines, 75);
    for (size_t i = 0; i < N; i++)
        cr_assert(f->streams[i].ended && f->streams[i].n_odd == 0);
    fake_sink_free(f);
}

Test(sample, has_a_product_for_a_single_user)
{
    struct fake_sink *f;

    open_shop("{\"rows\":1}", NULL);
    f = read_shop(NULL);
    cr_assert_eq(f->streams[USERS].n_lines, 1);
    cr_assert_eq(f->streams[PRODUCTS].n_lines, 1);
    cr_assert_eq(f->streams[PURCHASES].n_lines, 3);
    fake_sink_free(f);
}

Test(sample, is_the_same_each_time)
{
    struct fake_sink *a, *b;

    open_shop("{\"rows\":300,\"seed\":7}", NULL);
    a = read_shop(NULL);
    b = read_shop(NULL);
    for (size_t i = 0; i < N; i++)
        cr_assert_eq(fake_sink_differ(&a->streams[i], &b->streams[i]), -1);
    fake_sink_free(a);
    fake_sink_free(b);
}

Test(sample, is_another_shop_for_another_seed)
{
    struct fake_sink *a, *b;

    open_shop("{\"seed\":1}", NULL);
    a = read_shop(NULL);
    harness_close(&h);
    open_shop("{\"seed\":-2}", NULL);
    b = read_shop(NULL);
    for (size_t i = 0; i < N; i++)
        cr_assert_neq(fake_sink_differ(&a->streams[i], &b->streams[i]), -1);
    fake_sink_free(a);
    fake_sink_free(b);
}

/* The text is pinned, since a bookmark of yesterday must mean the same rows tomorrow. */
Test(sample, keeps_its_rows_between_releases)
{
    struct fake_sink *f;

    open_shop("{}", NULL);
    f = read_shop(NULL);
    cr_assert_str_eq(
        f->streams[USERS].lines[0],
        "{\"id\":\"1\",\"name\":\"José "
        "鈴木\",\"email\":\"user1@example.com\",\"signed_up\":\"2022-10-31\",\"score\":\"18.146\","
        "\"balance\":\"314.63\",\"preferences\":\"{\\\"theme\\\":\\\"light\\\",\\\"languages\\\":["
        "\\\"en\\\",\\\"fr\\\"],\\\"page_size\\\":22}\",\"is_active\":\"true\",\"created_at\":"
        "\"2022-10-31T21:17:24.84279Z\",\"updated_at\":\"2026-01-01T00:06:05.702143Z\"}");
    cr_assert_str_eq(f->streams[PRODUCTS].lines[0],
                     "{\"id\":\"4e5d48bd-7d2e-46ca-9eb4-6a9c81368f7d\",\"name\":\"Łyżka No. "
                     "1\",\"price\":\"79.35\",\"weight\":\"5.166\",\"tags\":\"[\\\"sale\\\"]\","
                     "\"released\":\"2021-01-12\",\"opens_at\":\"00:00:00\",\"photo\":null,"
                     "\"updated_at\":\"2026-01-01T00:29:54.375587Z\"}");
    cr_assert_str_eq(
        f->streams[PURCHASES].lines[0],
        "{\"user_id\":\"1\",\"line\":\"1\",\"product_id\":\"786d5135-45cf-4204-aeaa-0de3a24c893b\","
        "\"quantity\":\"9\",\"amount\":\"2764.26\",\"purchased_at\":\"2025-01-10T00:40:00.651974\","
        "\"warranty\":null,\"note\":null,\"updated_at\":\"2026-01-01T00:40:00.651974Z\"}");
    fake_sink_free(f);
}

Test(sample, has_unique_keys_and_unicode_and_nulls)
{
    size_t null_emails = 0, wide_names = 0;
    struct fake_sink *f;

    open_shop("{\"rows\":200}", NULL);
    f = read_shop(NULL);
    for (size_t i = 0; i < f->streams[USERS].n_lines; i++) {
        struct doc *row = fake_sink_row(&f->streams[USERS], i);
        char id[24];

        snprintf(id, sizeof id, "%zu", i + 1);
        cr_assert_str_eq(cell(row, "id"), id);
        null_emails += !cell(row, "email");
        for (const char *c = cell(row, "name"); *c; c++) {
            if (*c & 0x80) {
                wide_names++;
                break;
            }
        }
        doc_free(row);
    }
    cr_assert(null_emails > 5 && null_emails < 60, "%zu", null_emails);
    cr_assert_gt(wide_names, 50);
    for (size_t i = 0; i < f->streams[PURCHASES].n_lines; i++) {
        struct doc *row = fake_sink_row(&f->streams[PURCHASES], i);
        char user[24], line[24];

        snprintf(user, sizeof user, "%zu", i % 200 + 1);
        snprintf(line, sizeof line, "%zu", i / 200 + 1);
        cr_assert_str_eq(cell(row, "user_id"), user);
        cr_assert_str_eq(cell(row, "line"), line);
        doc_free(row);
    }
    fake_sink_free(f);
}

Test(sample, sells_only_products_it_has)
{
    struct fake_sink *f;

    open_shop("{\"rows\":40}", NULL);
    f = read_shop(NULL);
    for (size_t i = 0; i < f->streams[PURCHASES].n_lines; i++) {
        struct doc *row = fake_sink_row(&f->streams[PURCHASES], i);
        bool found = false;

        for (size_t j = 0; j < f->streams[PRODUCTS].n_lines; j++) {
            struct doc *product = fake_sink_row(&f->streams[PRODUCTS], j);

            found |= !strcmp(cell(product, "id"), cell(row, "product_id"));
            doc_free(product);
        }
        cr_assert(found);
        doc_free(row);
    }
    fake_sink_free(f);
}

Test(sample, delivers_only_the_selected_columns)
{
    struct fake_sink *f;

    open_shop("{\"rows\":1}",
              "[{\"name\":\"users\",\"fields\":{\"include\":[\"is_active\",\"id\"]}}]");
    f = read_shop(NULL);
    cr_assert_eq(strncmp(f->streams[0].lines[0], "{\"id\":\"1\",\"is_active\":\"", 22), 0);
    fake_sink_free(f);
}

/* Reads one stream from every checkpoint of `whole` and puts the rows behind those before it. */
static void assert_resumes(const struct fake_sink *whole, size_t stream, size_t checkpoint)
{
    const struct fake_checkpoint *c = &whole->streams[stream].checkpoints[checkpoint];
    const char *positions[N] = {whole->streams[USERS].end_position,
                                whole->streams[PRODUCTS].end_position,
                                whole->streams[PURCHASES].end_position};
    struct fake_sink *f = fake_sink_new(h.selection.n);
    struct error err = ERROR_INIT;

    positions[stream] = c->position;
    fake_sink_copy(f, whole, stream, c->n_lines);
    cr_assert_eq(harness_read(&h, positions, &f->sink, &err), 0, "%s", err.message);
    cr_assert_eq(fake_sink_differ(&whole->streams[stream], &f->streams[stream]), -1,
                 "stream %zu from checkpoint %zu", stream, checkpoint);
    cr_assert_str_eq(f->streams[stream].end_position, whole->streams[stream].end_position);
    fake_sink_free(f);
}

static void assert_resumes_everywhere(const struct fake_sink *whole)
{
    for (size_t i = 0; i < h.selection.n; i++) {
        cr_assert_gt(whole->streams[i].n_checkpoints, 0);
        for (size_t k = 0; k < whole->streams[i].n_checkpoints; k++)
            assert_resumes(whole, i, k);
    }
}

Test(sample, continues_the_first_incremental_run_from_every_checkpoint)
{
    struct fake_sink *f;

    open_shop("{\"rows\":5000}", incremental);
    f = read_shop(NULL);
    cr_assert_gt(f->streams[PURCHASES].n_checkpoints, 3);
    assert_resumes_everywhere(f);
    fake_sink_free(f);
}

Test(sample, continues_a_full_refresh_from_every_checkpoint)
{
    struct fake_sink *f;

    open_shop("{\"rows\":5000}", NULL);
    f = read_shop(NULL);
    assert_resumes_everywhere(f);
    fake_sink_free(f);
}

Test(sample, continues_a_later_incremental_run_from_every_checkpoint)
{
    struct fake_sink *first, *second;

    open_shop("{\"rows\":5000,\"updates_per_run\":4500}", incremental);
    first = read_shop(NULL);
    second = read_shop(ends_of(first));
    cr_assert_gt(second->streams[USERS].n_checkpoints, 2);
    assert_resumes_everywhere(second);
    fake_sink_free(first);
    fake_sink_free(second);
}

Test(sample, changes_a_little_in_every_later_run)
{
    struct fake_sink *f;
    const char *const *ends;

    open_shop("{\"rows\":100,\"updates_per_run\":10}", incremental);
    f = read_shop(NULL);
    for (int run = 0; run < 12; run++) {
        ends = ends_of(f);
        fake_sink_free(f);
        f = read_shop(ends);
        cr_assert_eq(f->streams[USERS].n_lines, 10);
        cr_assert_eq(f->streams[PRODUCTS].n_lines, 2);
        cr_assert_eq(f->streams[PURCHASES].n_lines, 10);
    }
    fake_sink_free(f);
}

Test(sample, changes_nothing_when_told_so)
{
    struct fake_sink *first, *second;

    open_shop("{\"rows\":10,\"updates_per_run\":0}", incremental);
    first = read_shop(NULL);
    second = read_shop(ends_of(first));
    for (size_t i = 0; i < N; i++)
        cr_assert(second->streams[i].ended && second->streams[i].n_lines == 0);
    fake_sink_free(first);
    fake_sink_free(second);
}

Test(sample, changes_each_user_at_most_once_in_a_run)
{
    struct fake_sink *first, *second;

    open_shop("{\"rows\":5,\"updates_per_run\":10}", incremental);
    first = read_shop(NULL);
    second = read_shop(ends_of(first));
    cr_assert_eq(second->streams[USERS].n_lines, 5);
    cr_assert_eq(second->streams[PRODUCTS].n_lines, 1);
    cr_assert_eq(second->streams[PURCHASES].n_lines, 10);
    fake_sink_free(first);
    fake_sink_free(second);
}

/* What a destination that merges by key would hold: the last line of each key, in key order. */
static void merge(struct fake_stream *into, const struct fake_stream *more)
{
    for (size_t i = 0; i < more->n_lines; i++) {
        const char *key_end = strstr(more->lines[i], "\",\"");
        size_t n = (size_t)(key_end - more->lines[i]), j = 0;

        while (j < into->n_lines && strncmp(into->lines[j], more->lines[i], n + 1) != 0)
            j++;
        if (j < into->n_lines) {
            cr_assert_str_neq(into->lines[j], more->lines[i], "a change that changes nothing");
            free(into->lines[j]);
            into->lines[j] = xstrdup(more->lines[i]);
        } else {
            fake_sink_add_line(into, more->lines[i], strlen(more->lines[i]));
        }
    }
}

Test(sample, shows_in_a_full_refresh_what_the_incremental_runs_delivered)
{
    struct fake_sink *merged, *f, *full;
    const char *tick = "{\"kind\":\"sample\",\"tick\":9,\"next\":0,\"of\":\"changes\"}";
    const char *const positions[] = {tick, tick};

    open_shop("{\"rows\":30,\"updates_per_run\":7,\"seed\":11}",
              "[{\"name\":\"users\",\"sync_mode\":\"incremental\"},"
              "{\"name\":\"products\",\"sync_mode\":\"incremental\"}]");
    merged = read_shop(NULL);
    for (int run = 0; run < 9; run++) {
        const char *const *ends = ends_of(merged);

        f = read_shop(ends);
        for (size_t i = 0; i < 2; i++) {
            merge(&merged->streams[i], &f->streams[i]);
            free(merged->streams[i].end_position);
            merged->streams[i].end_position = xstrdup(f->streams[i].end_position);
        }
        fake_sink_free(f);
    }
    h.selection.streams[0].sync_mode = SYNC_FULL_REFRESH;
    h.selection.streams[1].sync_mode = SYNC_FULL_REFRESH;
    full = read_shop(positions);
    for (size_t i = 0; i < 2; i++)
        cr_assert_eq(fake_sink_differ(&merged->streams[i], &full->streams[i]), -1);
    fake_sink_free(merged);
    fake_sink_free(full);
}

Test(sample, moves_updated_at_forward)
{
    struct fake_sink *first, *second;

    open_shop("{\"rows\":50}", incremental);
    first = read_shop(NULL);
    second = read_shop(ends_of(first));
    for (size_t i = 0; i < N; i++) {
        const char *highest = "";
        struct doc *kept = NULL;

        for (size_t j = 0; j < first->streams[i].n_lines; j++) {
            struct doc *row = fake_sink_row(&first->streams[i], j);

            if (strcmp(cell(row, "updated_at"), highest) > 0) {
                doc_free(kept);
                kept = row;
                highest = cell(row, "updated_at");
            } else {
                doc_free(row);
            }
        }
        for (size_t j = 0; j < second->streams[i].n_lines; j++) {
            struct doc *row = fake_sink_row(&second->streams[i], j);

            cr_assert_gt(strcmp(cell(row, "updated_at"), highest), 0);
            doc_free(row);
        }
        doc_free(kept);
    }
    fake_sink_free(first);
    fake_sink_free(second);
}

Test(sample, counts_exactly)
{
    struct error err = ERROR_INIT;
    int64_t n;
    bool exact = false;

    open_shop("{\"rows\":123}", NULL);
    cr_assert_eq(
        source_sample.count(h.config, &h.run, &h.catalog.streams[PURCHASES], &n, &exact, &err), 0);
    cr_assert_eq(n, 369);
    cr_assert(exact);
}

Test(sample, fails_a_stream_whose_position_is_foreign)
{
    static const char *const foreign[] = {
        "{",
        "[]",
        "{\"kind\":\"cursor\",\"tick\":0,\"next\":0,\"of\":\"rows\"}",
        "{\"kind\":\"sample\",\"tick\":-1,\"next\":0,\"of\":\"rows\"}",
        "{\"kind\":\"sample\",\"tick\":10000001,\"next\":0,\"of\":\"rows\"}",
        "{\"kind\":\"sample\",\"tick\":0,\"next\":-1,\"of\":\"rows\"}",
        "{\"kind\":\"sample\",\"tick\":0,\"next\":0,\"of\":\"changes\"}",
        "{\"kind\":\"sample\",\"tick\":1,\"next\":0,\"of\":\"columns\"}",
        "{\"kind\":\"sample\",\"next\":0,\"of\":\"rows\"}",
    };

    open_shop("{\"rows\":2}", incremental);
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        const char *positions[N] = {foreign[i], NULL, NULL};
        struct fake_sink *f = read_shop(positions);

        cr_assert(f->streams[USERS].failed, "%s", foreign[i]);
        cr_assert_eq(f->streams[USERS].why.code, ERR_RESYNC);
        cr_assert(f->streams[PRODUCTS].ended, "the other streams go on");
        fake_sink_free(f);
    }
}

Test(sample, fails_wherever_the_sink_fails)
{
    size_t calls;
    struct fake_sink *f;

    open_shop("{\"rows\":3000}", NULL);
    f = read_shop(NULL);
    calls = f->n_calls;
    fake_sink_free(f);
    cr_assert_gt(calls, 10);
    for (size_t n = 1; n <= calls; n++) {
        struct error err = ERROR_INIT;

        f = fake_sink_new(N);
        f->fail_at = n;
        cr_assert_eq(harness_read(&h, NULL, &f->sink, &err), -1);
        cr_assert_str_eq(error_reason(&err), "fake");
        cr_assert_eq(f->n_calls, n, "it went on after a failure");
        fake_sink_free(f);
    }
}

Test(sample, refuses_sizes_out_of_bounds)
{
    static const char *const wrong[] = {"{\"rows\":0}", "{\"rows\":100000001}",
                                        "{\"updates_per_run\":-1}",
                                        "{\"updates_per_run\":1000001}"};
    static const char *const right[] = {"{\"rows\":1}", "{\"rows\":100000000}",
                                        "{\"updates_per_run\":0}", "{\"updates_per_run\":1000000}"};

    for (size_t i = 0; i < 4; i++) {
        struct error err = ERROR_INIT;

        cr_assert_eq(harness_open(&h, &source_sample, wrong[i], &err), -1, "%s", wrong[i]);
        cr_assert_eq(err.code, ERR_CONFIG);
        harness_close(&h);
        err = ERROR_INIT;
        cr_assert_eq(harness_open(&h, &source_sample, right[i], &err), 0, "%s", right[i]);
        cr_assert_eq(source_sample.check(h.config, &h.run, &err), 0);
        harness_close(&h);
    }
    open_shop("{}", NULL);
}

Test(sample, checks_what_did_not_come_through_its_table)
{
    struct error err = ERROR_INIT;
    void *zeroed;

    open_shop("{}", NULL);
    zeroed = arena_alloc(h.mem, source_sample.config_size);
    cr_assert_eq(source_sample.check(zeroed, &h.run, &err), -1);
    cr_assert_eq(err.code, ERR_CONFIG);
}
