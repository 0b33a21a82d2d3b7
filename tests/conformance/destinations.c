/*
 * What holds for every destination, whatever it writes to: the same assertions for each row of
 * cases.c. The rows come from the sample source.
 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>

#include "tests/conformance/cases.h"
#include "tests/support/fake_sink.h"
#include "tests/support/harness.h"
#include "tests/support/relay.h"
#include "tests/support/tempdir.h"

extern const struct source_connector source_sample;

static struct harness h; /* of the sample source, whose catalog is written */
static char dir[TEMPDIR_BYTES];
static const struct destination_case *now;
static void *config;
static struct doc *config_doc;
static struct write_plan plan;

#define EACH_DESTINATION(c)                                                                    \
    for (const struct destination_case *c = destination_cases; c->destination && open_case(c); \
         close_case(), c++)

#define USERS "\"name\":\"users\",\"fields\":{\"include\":[\"id\",\"name\",\"email\"]}"

static bool open_case(const struct destination_case *c)
{
    struct error err = ERROR_INIT;

    now = c;
    tempdir_make(dir);
    cr_assert_eq(harness_open(&h, &source_sample, "{\"rows\":7000,\"updates_per_run\":3000}", &err),
                 0, "%s", err.message);
    cr_assert_eq(harness_decode(c->destination->options, c->destination->config_size,
                                c->config(h.mem, dir), h.mem, &config, &config_doc, &err),
                 0, "%s: %s", c->destination->name, err.message);
    return true;
}

static void close_case(void)
{
    doc_free(config_doc);
    config_doc = NULL;
    harness_close(&h);
    tempdir_remove(dir);
}

/* A selection of users, and the plan to write it. False when the destination has not this mode. */
static bool plan_users(const char *sync_mode, enum write_mode mode)
{
    struct error err = ERROR_INIT;
    const char *json =
        arena_printf(h.mem, "[{" USERS ",\"sync_mode\":\"%s\",\"destination_sync_mode\":\"%s\"}]",
                     sync_mode, write_mode_name(mode));

    if (!(now->destination->write_modes & 1u << mode))
        return false;
    cr_assert_eq(harness_select(&h, json, &err), 0, "%s", err.message);
    plan = (struct write_plan){.pipeline = "pipeline-1",
                               .streams = h.selection.streams,
                               .n = h.selection.n,
                               .max_quarantined_rows = 1000,
                               .max_quarantined_ratio = 1,
                               .metadata = METADATA_NONE};
    return true;
}

static struct destination *open_destination(struct stream_position *out)
{
    struct error err = ERROR_INIT;
    struct destination *d;

    cr_assert_eq(now->destination->open(config, &h.run, &plan, &d, &err), 0, "%s: %s",
                 now->destination->name, err.message);
    *out = (struct stream_position){0};
    cr_assert_eq(d->ops->recover(d, out, &err), 0, "%s: %s", now->destination->name, err.message);
    return d;
}

/* One run from the position that the destination holds: 0, or -1 when it crashed as it was told. */
static int run_once(struct relay *r, size_t crash_at, bool after_commit)
{
    struct error err = ERROR_INIT;
    struct stream_position at;
    struct destination *d = open_destination(&at);
    const char *const positions[] = {at.position};
    int result;

    relay_init(r, h.mem, d, 1);
    r->crash_at = crash_at;
    r->after_commit = after_commit;
    result = harness_read(&h, positions, &r->sink, &err);
    cr_assert(result == 0 || (crash_at && err.code == ERR_CANCELLED), "%s: %s",
              now->destination->name, err.message);
    cr_assert_str_eq(r->violation, "", "%s: %s", now->destination->name, r->violation);
    d->ops->close(d);
    return result;
}

static struct fake_sink *read_back(void)
{
    struct fake_sink *f = fake_sink_new(1);

    now->read_back(dir, &f->streams[0]);
    return f;
}

/* What the sample source delivers from a position. */
static struct fake_sink *expected(const char *position)
{
    struct fake_sink *f = fake_sink_new(1);
    struct error err = ERROR_INIT;

    cr_assert_eq(harness_read(&h, &position, &f->sink, &err), 0, "%s", err.message);
    return f;
}

static void append(struct fake_sink *to, const struct fake_sink *more)
{
    fake_sink_copy(to, more, 0, more->streams[0].n_lines);
}

/* Replaces rows of the same id, or keeps the old ones. */
static void merge(struct fake_sink *to, const struct fake_sink *more, bool keep)
{
    struct fake_stream *s = &to->streams[0];

    for (size_t i = 0; i < more->streams[0].n_lines; i++) {
        const char *line = more->streams[0].lines[i];
        size_t n = (size_t)(strstr(line, ",\"name\"") - line), j = 0;

        while (j < s->n_lines && strncmp(s->lines[j], line, n + 1) != 0)
            j++;
        if (j == s->n_lines) {
            fake_sink_add_line(s, line, strlen(line));
        } else if (!keep) {
            free(s->lines[j]);
            s->lines[j] = xstrdup(line);
        }
    }
}

static void assert_holds(const struct fake_sink *wanted, const char *when)
{
    struct fake_sink *found = read_back();

    cr_assert(fake_sink_same_rows(&wanted->streams[0], &found->streams[0]),
              "%s %s: %zu rows instead of %zu, the first is %s", now->destination->name, when,
              found->streams[0].n_lines, wanted->streams[0].n_lines,
              found->streams[0].n_lines ? found->streams[0].lines[0] : "missing");
    fake_sink_free(found);
}

Test(destinations, check_what_works)
{
    EACH_DESTINATION(c)
    {
        struct error err = ERROR_INIT;

        cr_assert_eq(c->destination->check(config, &h.run, &err), 0, "%s: %s", c->destination->name,
                     err.message);
    }
}

Test(destinations, refuse_what_does_not_work)
{
    EACH_DESTINATION(c)
    {
        struct error err = ERROR_INIT;
        struct doc *d = NULL;
        void *broken;

        cr_assert_eq(harness_decode(c->destination->options, c->destination->config_size,
                                    c->broken(h.mem, dir), h.mem, &broken, &d, &err),
                     0, "%s: %s", c->destination->name, err.message);
        cr_assert_eq(c->destination->check(broken, &h.run, &err), -1, "%s", c->destination->name);
        cr_assert(err.code != ERR_NONE && err.code != ERR_INTERNAL, "%s", c->destination->name);
        doc_free(d);
    }
}

Test(destinations, begin_with_nothing)
{
    EACH_DESTINATION(c)
    {
        struct stream_position at;
        struct destination *d;

        cr_assert(plan_users("full_refresh", WRITE_OVERWRITE));
        d = open_destination(&at);
        cr_assert_null(at.position, "%s", c->destination->name);
        cr_assert_eq(at.seq, 0);
        cr_assert_eq(at.counts.read, 0);
        d->ops->close(d);
    }
}

Test(destinations, hold_what_was_written_and_know_where_they_are)
{
    static const enum write_mode modes[] = {WRITE_APPEND, WRITE_APPEND_DEDUP, WRITE_INSERT_ONLY};

    for (size_t m = 0; m < sizeof modes / sizeof *modes; m++) {
        EACH_DESTINATION(c)
        {
            struct stream_position at;
            struct fake_sink *wanted;
            struct destination *d;
            struct relay r;

            if (!plan_users("incremental", modes[m]))
                continue;
            wanted = expected(NULL);
            cr_assert_eq(run_once(&r, 0, false), 0);
            cr_assert_eq(r.totals[0].read, 7000, "%s", c->destination->name);
            cr_assert_eq(r.totals[0].inserted, 7000, "%s", c->destination->name);
            assert_holds(wanted, write_mode_name(modes[m]));
            d = open_destination(&at);
            cr_assert_str_eq(at.position, wanted->streams[0].end_position, "%s: %s",
                             c->destination->name, at.position);
            cr_assert_eq(at.counts.read, 7000, "%s counts %lld", c->destination->name,
                         (long long)at.counts.read);
            cr_assert(counts_balance(&at.counts));
            d->ops->close(d);
            fake_sink_free(wanted);
        }
    }
}

/* Two incremental runs; the second changes 3,000 of the 7,000 users. */
static void run_twice(enum write_mode mode, struct relay *second, struct fake_sink **out_wanted)
{
    struct fake_sink *more;

    *out_wanted = expected(NULL);
    more = expected((*out_wanted)->streams[0].end_position);
    cr_assert_eq(more->streams[0].n_lines, 3000);
    cr_assert_eq(run_once(second, 0, false), 0);
    cr_assert_eq(run_once(second, 0, false), 0);
    cr_assert_eq(second->totals[0].read, 3000, "%s", now->destination->name);
    if (mode == WRITE_APPEND)
        append(*out_wanted, more);
    else
        merge(*out_wanted, more, mode == WRITE_INSERT_ONLY);
    fake_sink_free(more);
}

Test(destinations, append_every_version)
{
    EACH_DESTINATION(c)
    {
        struct fake_sink *wanted;
        struct relay r;

        if (!plan_users("incremental", WRITE_APPEND))
            continue;
        run_twice(WRITE_APPEND, &r, &wanted);
        cr_assert_eq(r.totals[0].inserted, 3000);
        assert_holds(wanted, "append");
        fake_sink_free(wanted);
    }
}

Test(destinations, merge_by_key)
{
    EACH_DESTINATION(c)
    {
        struct fake_sink *wanted;
        struct relay r;

        if (!plan_users("incremental", WRITE_APPEND_DEDUP))
            continue;
        run_twice(WRITE_APPEND_DEDUP, &r, &wanted);
        cr_assert_eq(r.totals[0].inserted, 0, "%s", c->destination->name);
        cr_assert_eq(r.totals[0].updated + r.totals[0].unchanged, 3000, "%s", c->destination->name);
        cr_assert_gt(r.totals[0].updated, 2000, "%s", c->destination->name);
        assert_holds(wanted, "append_dedup");
        fake_sink_free(wanted);
    }
}

Test(destinations, leave_rows_that_are_there)
{
    EACH_DESTINATION(c)
    {
        struct fake_sink *wanted;
        struct relay r;

        if (!plan_users("incremental", WRITE_INSERT_ONLY))
            continue;
        run_twice(WRITE_INSERT_ONLY, &r, &wanted);
        cr_assert_eq(r.totals[0].inserted + r.totals[0].updated, 0, "%s", c->destination->name);
        assert_holds(wanted, "insert_only");
        fake_sink_free(wanted);
    }
}

/* Crashes before and after every commit of the first run; what is resumed must be as if not. */
static void assert_survives_crashes(const char *sync_mode, enum write_mode mode)
{
    for (size_t k = 1;; k++) {
        bool crashed = false;

        for (int after = 0; after <= 1; after++) {
            EACH_DESTINATION(c)
            {
                struct fake_sink *wanted;
                struct relay r;

                if (!plan_users(sync_mode, mode))
                    continue;
                wanted = expected(NULL);
                if (run_once(&r, k, after) < 0) {
                    crashed = true;
                    cr_assert_eq(run_once(&r, 0, false), 0);
                }
                assert_holds(wanted, after ? "crashed after a commit" : "crashed before a commit");
                fake_sink_free(wanted);
            }
        }
        if (!crashed)
            break;
    }
}

Test(destinations, survive_crashes_while_appending)
{
    assert_survives_crashes("incremental", WRITE_APPEND);
}

Test(destinations, survive_crashes_while_merging)
{
    assert_survives_crashes("incremental", WRITE_APPEND_DEDUP);
}

Test(destinations, survive_crashes_while_replacing)
{
    assert_survives_crashes("full_refresh", WRITE_OVERWRITE);
}

Test(destinations, forget_what_was_not_committed)
{
    EACH_DESTINATION(c)
    {
        struct fake_sink *found;
        struct stream_position at;
        struct destination *d;
        struct relay r;

        if (!plan_users("incremental", WRITE_APPEND))
            continue;
        cr_assert_eq(run_once(&r, 1, false), -1);
        found = read_back();
        cr_assert_eq(found->streams[0].n_lines, 0, "%s", c->destination->name);
        d = open_destination(&at);
        cr_assert_null(at.position);
        cr_assert_eq(at.counts.read, 0);
        d->ops->close(d);
        fake_sink_free(found);
    }
}

/* From now on the source is another shop. */
static void change_seed(struct doc **out)
{
    struct error err = ERROR_INIT;

    cr_assert_eq(harness_decode(source_sample.options, source_sample.config_size,
                                "{\"rows\":7000,\"seed\":2}", h.mem, &h.config, out, &err),
                 0, "%s", err.message);
}

Test(destinations, show_a_replaced_stream_only_when_it_is_complete)
{
    EACH_DESTINATION(c)
    {
        struct fake_sink *first, *second;
        struct doc *seed;
        struct relay r;

        cr_assert(plan_users("full_refresh", WRITE_OVERWRITE));
        first = expected(NULL);
        cr_assert_eq(run_once(&r, 0, false), 0);
        assert_holds(first, "after the first refresh");
        change_seed(&seed);
        second = expected(NULL);
        cr_assert_eq(run_once(&r, 2, true), -1);
        assert_holds(first, "in the middle of the second refresh");
        cr_assert_eq(run_once(&r, 0, false), 0);
        assert_holds(second, "after the second refresh");
        doc_free(seed);
        fake_sink_free(first);
        fake_sink_free(second);
    }
}

static int finish_empty(struct error *err)
{
    struct counts dropped = {0}, did = {0};
    struct stream_position at;
    struct destination *d = open_destination(&at);
    int result = d->ops->finish(d, 0, NULL, &dropped, &did, err);

    d->ops->close(d);
    return result;
}

Test(destinations, keep_the_rows_when_a_refresh_finds_none)
{
    EACH_DESTINATION(c)
    {
        struct error err = ERROR_INIT;
        struct fake_sink *wanted;
        struct relay r;

        cr_assert(plan_users("full_refresh", WRITE_OVERWRITE));
        wanted = expected(NULL);
        cr_assert_eq(run_once(&r, 0, false), 0);
        cr_assert_eq(finish_empty(&err), -1, "%s", c->destination->name);
        cr_assert_str_eq(error_reason(&err), "shrink_guard", "%s: %s", c->destination->name,
                         err.message);
        assert_holds(wanted, "after an empty refresh");
        h.selection.streams[0].allow_empty = true;
        err = ERROR_INIT;
        cr_assert_eq(finish_empty(&err), 0, "%s: %s", c->destination->name, err.message);
        fake_sink_free(wanted);
        wanted = fake_sink_new(1);
        assert_holds(wanted, "after an empty refresh that was allowed");
        fake_sink_free(wanted);
    }
}

Test(destinations, fence_off_older_writers)
{
    EACH_DESTINATION(c)
    {
        const struct schema *schema;
        struct stream_position at;
        struct destination *older, *newer;
        struct error err = ERROR_INIT;
        struct counts dropped = {0}, did = {0};
        struct batch *rows;
        const char *const upto[] = {"{\"n\":1}"};
        int written, committed = -1;

        cr_assert(plan_users("incremental", WRITE_APPEND));
        schema = plan.streams[0].schema;
        older = open_destination(&at);
        newer = open_destination(&at);
        rows = batch_new(schema);
        batch_put_int64(rows, 0, 1);
        batch_put_text(rows, 1, "x", 1);
        batch_end_row(rows);
        written = older->ops->write(older, 0, rows, &err);
        if (written == 0)
            committed = older->ops->commit(older, upto, &dropped, &did, &err);
        cr_assert_eq(committed, -1, "%s", c->destination->name);
        cr_assert_eq(err.code, ERR_FENCED, "%s: %s", c->destination->name, err.message);
        older->ops->close(older);
        newer->ops->close(newer);
        batch_free(rows);
    }
}

Test(destinations, quarantine_what_they_cannot_hold)
{
    EACH_DESTINATION(c)
    {
        struct stream_position at;
        struct destination *d;
        struct error err = ERROR_INIT;
        struct counts dropped = {0}, did = {0};
        struct batch *rows;
        const char *const upto[] = {"{\"n\":3}"};

        cr_assert(plan_users("incremental", WRITE_APPEND));
        d = open_destination(&at);
        rows = batch_new(plan.streams[0].schema);
        batch_put_int64(rows, 0, 1);
        batch_put_text(rows, 1, "good", 4);
        batch_end_row(rows);
        batch_put_int64(rows, 0, 2);
        batch_put_text(rows, 1, "half", 4);
        batch_put_odd(rows, 2, REASON_ENCODING, "\xff", 1);
        batch_end_row(rows);
        batch_reject_row(rows, REASON_PARSE, "users.csv line 4: a broken quote", "3,\"", 3);
        cr_assert_eq(d->ops->write(d, 0, rows, &err), 0, "%s: %s", c->destination->name,
                     err.message);
        cr_assert_eq(d->ops->commit(d, upto, &dropped, &did, &err), 0, "%s: %s",
                     c->destination->name, err.message);
        cr_assert(counts_balance(&did), "%s", c->destination->name);
        cr_assert_eq(did.read, 3, "%s", c->destination->name);
        cr_assert_eq(did.inserted, 2, "%s", c->destination->name);
        cr_assert_eq(did.quarantined_rows, 1, "%s", c->destination->name);
        cr_assert_eq(did.quarantined_cells, 1, "%s", c->destination->name);
        d->ops->close(d);
        batch_free(rows);
    }
}

Test(destinations, count_what_the_source_left_out)
{
    EACH_DESTINATION(c)
    {
        struct stream_position at;
        struct destination *d;
        struct error err = ERROR_INIT;
        struct counts dropped = {.filtered = 5, .overlap_dropped = 7}, did = {0};
        const char *const upto[] = {"{\"n\":3}"};

        cr_assert(plan_users("incremental", WRITE_APPEND));
        d = open_destination(&at);
        cr_assert_eq(d->ops->commit(d, upto, &dropped, &did, &err), 0, "%s: %s",
                     c->destination->name, err.message);
        cr_assert(counts_balance(&did), "%s", c->destination->name);
        cr_assert_eq(did.filtered, 5);
        cr_assert_eq(did.overlap_dropped, 7);
        cr_assert_eq(did.read, 12);
        d->ops->close(d);
    }
}

Test(destinations, clear_rows_and_state)
{
    EACH_DESTINATION(c)
    {
        struct stream_position at;
        struct error err = ERROR_INIT;
        struct fake_sink *found;
        struct destination *d;
        struct relay r;

        cr_assert(plan_users("incremental", WRITE_APPEND));
        cr_assert_eq(run_once(&r, 0, false), 0);
        cr_assert_eq(c->destination->clear(config, &h.run, &plan, &err), 0, "%s: %s",
                     c->destination->name, err.message);
        found = read_back();
        cr_assert_eq(found->streams[0].n_lines, 0, "%s", c->destination->name);
        fake_sink_free(found);
        d = open_destination(&at);
        cr_assert_null(at.position, "%s", c->destination->name);
        d->ops->close(d);
        cr_assert_eq(run_once(&r, 0, false), 0, "it can be filled again");
        cr_assert_eq(r.totals[0].inserted, 7000, "%s", c->destination->name);
    }
}
