#include "connectors/sql/source.h"

#include <string.h>

#include "connectors/base/failpoint.h"
#include "connectors/base/hash.h"
#include "connectors/sql/queries.h"
#include "connectors/sql/source_internal.h"
#include "connectors/sql/statement.h"

#define RECONCILE_MAX 10000000 /* rows up to which a full read is counted twice */

int reading_from_sink(struct reading *s, int rc)
{
    s->sink_failed |= rc < 0;
    return rc;
}

/* The key the source declares, whatever the user calls key: only that one is known to be unique. */
static void use_key(struct reading *s)
{
    const struct schema *schema = s->want->stream->schema;

    s->scan.key = s->key_names;
    s->scan.key_types = s->key_types;
    s->scan.n_key = schema->n_key <= READING_KEY_MAX ? schema->n_key : 0;
    for (size_t i = 0; i < s->scan.n_key; i++) {
        s->key_names[i] = schema->columns[schema->key[i]].name;
        s->key_types[i] = schema->columns[schema->key[i]].type;
    }
}

int reading_ask(struct reading *s, const char *sql, const struct sql_value *params, size_t n,
                struct maybe_int *out, struct error *err)
{
    bool is_null;

    *out = (struct maybe_int){0};
    if (s->r->driver->number(s->r, sql, params, n, &out->value, &is_null, err) < 0)
        return -1;
    out->known = !is_null;
    return 0;
}

int reading_count(struct reading *s, int64_t *out, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    struct sql_value params[SQL_SCAN_PARAMS];
    size_t n = sql_put_scan_count(s->r->dialect, &s->scan, &sql, params);
    struct maybe_int count;

    if (buf_ok(&sql, "a statement", err) < 0 ||
        reading_ask(s, buf_str(&sql), params, n, &count, err) < 0)
        return -1;
    *out = count.value;
    return 0;
}

/* The position behind the last row fetched; NULL where the read could not go on exactly there. */
static const char *position_here(struct reading *s, struct sql_cursor *c, struct arena *mem)
{
    CLEANUP(buf_release) struct buf key = BUF_INIT((size_t)64 << 20);
    struct cursor_position p = s->at;

    if (c->done || !c->at_border)
        return NULL;
    if (s->scan.n_key > 0 && (!c->reader->driver->put_key(c, mem, &key) || key.failed))
        return NULL;
    if (s->scan.window == SQL_WINDOW_ALL)
        return s->scan.n_key > 0 ? position_write_keyset(mem, s->filter, buf_str(&key), false)
                                 : NULL;
    if (s->scan.window == SQL_WINDOW_NULL && s->scan.n_key == 0)
        return NULL;
    p.within = true;
    p.cursor = (struct maybe_int){s->scan.window == SQL_WINDOW_RANGE, c->last_cursor};
    return position_write_cursor(mem, s->cursor, &p, buf_str(&key));
}

static int pump_batches(struct reading *s, struct sql_cursor *c, int64_t *n_read, struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *scratch = arena_new();

    while (!c->done) {
        const char *position;

        arena_clear(scratch);
        if (cancel_check(s->r->run->cancel, err) < 0 || s->r->driver->fetch(c, s->rows, err) < 0)
            return -1;
        if (batch_is_empty(s->rows))
            continue;
        *n_read += (int64_t)batch_rows(s->rows);
        position = position_here(s, c, scratch);
        if (reading_from_sink(s, sink_write(s->out, s->index, s->rows, err)) < 0)
            return -1;
        if (!s->wrote && failpoint("after_first_row", err) < 0)
            return -1;
        s->wrote = true;
        if (position && reading_from_sink(s, sink_checkpoint(s->out, s->index, position, err)) < 0)
            return -1;
    }
    return 0;
}

/*
 * Level 1 of reconciliation. Rows in the order of a key come by an index, and are counted without
 * it, late: what was read last is still being written. A table that is read as it lies would be
 * counted by the same scan once more: the number that the database gives at its end says as much.
 */
static int check_number(struct reading *s, const struct sql_cursor *c, int64_t n_read, bool count,
                        struct error *err)
{
    int64_t expected;

    if (c->said >= 0 && n_read != c->said)
        return error_set(err, ERR_INTERNAL, "%lld rows were sent and %lld read", (long long)c->said,
                         (long long)n_read);
    if (!count || (s->scan.n_key == 0 && c->said >= 0))
        return 0;
    if (reading_count(s, &expected, err) < 0)
        return -1;
    if (n_read != expected)
        return error_set(err, ERR_INTERNAL, "%lld rows were counted and %lld read in one snapshot",
                         (long long)expected, (long long)n_read);
    return 0;
}

int reading_pump(struct reading *s, bool count, struct error *err)
{
    struct sql_cursor *c;
    int64_t n_read = 0;
    int rc;

    if (s->r->driver->select(s->r, &s->scan, &c, err) < 0)
        return -1;
    c->said = -1;
    c->look_ahead = s->scan.window == SQL_WINDOW_RANGE && s->scan.n_key == 0;
    rc = pump_batches(s, c, &n_read, err);
    /* Before the end, which lets the table go. */
    if (rc == 0)
        rc = check_number(s, c, n_read, count, err);
    s->r->driver->end(c);
    return rc;
}

static int read_full(struct reading *s, struct error *err)
{
    struct keyset_position p = {0};
    bool counted = s->scan.n_key > 0 || s->want->stream->row_estimate >= 0;

    if (s->position &&
        position_read_keyset(s->position, s->key_types, s->scan.n_key, s->mem, &p, err) < 0)
        return -1;
    if (p.done)
        return reading_from_sink(s, sink_end(s->out, s->index, s->position, err));
    if (s->position && strcmp(p.filter, s->filter) != 0)
        return error_set_reason(err, ERR_RESYNC, "filter_changed",
                                "the filter changed while the stream was half read: begin anew "
                                "with a full refresh");
    s->scan.after_key = p.has_key;
    s->scan.resume_key = p.key;
    counted = counted && s->want->stream->row_estimate <= RECONCILE_MAX;
    if (reading_pump(s, counted, err) < 0)
        return -1;
    return reading_from_sink(
        s, sink_end(s->out, s->index, position_write_keyset(s->mem, s->filter, "", true), err));
}

/* --------------------------------------------------------------------- calls */

static int read_stream(struct reading *s, struct error *err)
{
    struct error why = ERROR_INIT;
    int rc;

    if (reading_from_sink(s, sink_begin(s->out, s->index, err)) < 0)
        return -1;
    rc = s->want->sync_mode == SYNC_INCREMENTAL ? reading_incremental(s, &why) : read_full(s, &why);
    if (rc == 0)
        return 0;
    error_wrap(&why, "stream \"%s\"", s->want->stream->name);
    if (s->sink_failed || why.code == ERR_CANCELLED) {
        *err = why;
        return -1;
    }
    return sink_fail(s->out, s->index, &why, err);
}

/* Rows under one filter and rows under another make no table that anybody asked for. */
static const char *digest_filters(const struct selected_stream *want, struct arena *mem)
{
    CLEANUP(doc_free_cleanup) struct doc *d = filters_to_doc(want->filters, want->n_filters);
    CLEANUP(buf_release) struct buf text = BUF_INIT((size_t)512 << 20);
    char hex[HASH_HEX_BYTES];

    if (want->n_filters == 0)
        return "";
    doc_write(d, &text);
    hash_bytes_hex(buf_str(&text), text.len, hex);
    return arena_memdup(mem, hex, 16);
}

static void use_stream(struct reading *s)
{
    s->filter = digest_filters(s->want, s->mem);
    s->scan.schema = s->want->stream->namespace;
    s->scan.table = s->want->stream->name;
    s->scan.query = sql_queries_find(s->settings->queries, s->mem, s->want->stream);
    s->scan.columns = s->want->schema;
    s->scan.filters = s->want->filters;
    s->scan.n_filters = s->want->n_filters;
    use_key(s);
}

static int read_one(struct reading *s, struct error *err)
{
    int rc;

    s->mem = arena_new();
    s->rows = batch_new(s->want->schema);
    use_stream(s);
    rc = read_stream(s, err);
    batch_free(s->rows);
    arena_free(s->mem);
    return rc;
}

/* B4: first the numbers and the time, then what is open, then the snapshot. */
static int take_horizon(struct reading *base, const struct read_request *req,
                        struct reading_number *numbers, struct horizon *out, struct error *err)
{
    struct sql_reader *r = base->r;
    bool incremental = false;

    for (size_t i = 0; i < req->n; i++) {
        struct reading s = *base;

        s.want = req->streams[i].want;
        if (s.want->sync_mode != SYNC_INCREMENTAL)
            continue;
        s.mem = r->run->mem;
        use_stream(&s);
        reading_take_number(&s, &numbers[i]);
        incremental = true;
        if (cancel_check(r->run->cancel, err) < 0)
            return -1;
    }
    return incremental ? horizon_take(r, base->settings->safe_wait_s, r->run->mem, out, err) : 0;
}

static int read_all(struct sql_reader *r, const struct sql_source_settings *settings,
                    const struct read_request *req, struct sink *out, struct error *err)
{
    CLEANUP(free_cleanup) struct reading_number *numbers = xalloc((req->n + 1) * sizeof *numbers);
    struct reading base = {.r = r, .settings = settings, .out = out};
    struct horizon horizon = {0};

    if (take_horizon(&base, req, numbers, &horizon, err) < 0 || r->driver->snapshot(r, err) < 0)
        return -1;
    for (size_t i = 0; i < req->n; i++) {
        struct reading s = base;

        s.index = i;
        s.want = req->streams[i].want;
        s.position = req->streams[i].position;
        s.horizon = &horizon;
        s.number = &numbers[i];
        if (cancel_check(r->run->cancel, err) < 0 || read_one(&s, err) < 0)
            return -1;
    }
    return 0;
}

int sql_source_read(const struct sql_source_driver *driver, const void *config,
                    const struct sql_source_settings *settings, struct run *run,
                    const struct read_request *req, struct sink *out, struct error *err)
{
    struct sql_reader *r;
    int rc;

    if (driver->open(config, run, &r, err) < 0)
        return -1;
    rc = read_all(r, settings, req, out, err);
    driver->close(r);
    return rc;
}

int sql_source_discover(const struct sql_source_driver *driver, const void *config, struct run *run,
                        struct catalog *out, struct error *err)
{
    struct sql_reader *r;
    int rc;

    if (driver->open(config, run, &r, err) < 0)
        return -1;
    rc = driver->snapshot(r, err);
    if (rc == 0)
        rc = driver->discover(r, out, err);
    driver->close(r);
    return rc;
}

/* Queries are looked at where everything else is that can be discovered. */
int sql_source_check(const struct sql_source_driver *driver, const void *config,
                     const struct doc *queries, struct run *run, struct error *err)
{
    struct catalog ignored = CATALOG_INIT(run->mem);
    struct sql_reader *r;
    int rc;

    if (doc_count(queries) > 0)
        return sql_source_discover(driver, config, run, &ignored, err);
    if (driver->open(config, run, &r, err) < 0)
        return -1;
    rc = driver->snapshot(r, err);
    driver->close(r);
    return rc;
}

int sql_source_count(const struct sql_source_driver *driver, const void *config,
                     const struct sql_source_settings *settings, struct run *run,
                     const struct stream *stream, int64_t *out_count, bool *out_exact,
                     struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    struct sql_value params[SQL_SCAN_PARAMS];
    const struct sql_scan scan = {
        .schema = stream->namespace,
        .table = stream->name,
        .query = sql_queries_find(settings->queries, run->mem, stream),
    };
    struct sql_reader *r;
    bool is_null;
    size_t n;
    int rc;

    if (driver->open(config, run, &r, err) < 0)
        return -1;
    n = sql_put_scan_count(r->dialect, &scan, &sql, params);
    rc = driver->number(r, buf_str(&sql), params, n, out_count, &is_null, err);
    driver->close(r);
    *out_exact = true;
    return rc;
}
