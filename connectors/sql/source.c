#include "connectors/sql/source.h"

#include <stdlib.h>
#include <string.h>

#include "connectors/base/clock.h"
#include "connectors/base/failpoint.h"
#include "connectors/sql/horizon.h"
#include "connectors/sql/position.h"
#include "connectors/sql/queries.h"
#include "connectors/sql/statement.h"

#define KEY_MAX         64       /* columns; wider keys are read as if there were none */
#define RECONCILE_MAX   10000000 /* rows up to which a full read is counted twice */
#define COUNT_NULLS_MAX 1000000
#define LOOKBACK_BLIND  600 /* seconds, where open transactions cannot be seen */

/* One stream being read. */
struct reading {
    struct sql_reader *r;
    const struct sql_source_settings *settings;
    struct sink *out;
    size_t index;
    const struct selected_stream *want;
    const char *position;
    struct arena *mem; /* of this stream */
    struct batch *rows;
    struct sql_scan scan;
    struct column_type key_types[KEY_MAX];
    const char *key_names[KEY_MAX];
    const struct horizon *horizon; /* NULL when no stream is incremental */
    bool wrote;
    bool sink_failed; /* the error is the sink's: not one of the stream */
    /* Incremental: what a checkpoint says. */
    enum type cursor;
    struct cursor_position at;
};

static int from_sink(struct reading *s, int rc)
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
    s->scan.n_key = schema->n_key <= KEY_MAX ? schema->n_key : 0;
    for (size_t i = 0; i < s->scan.n_key; i++) {
        s->key_names[i] = schema->columns[schema->key[i]].name;
        s->key_types[i] = schema->columns[schema->key[i]].type;
    }
}

static int number(struct reading *s, const char *sql, const struct sql_value *params, size_t n,
                  struct maybe_int *out, struct error *err)
{
    bool is_null;

    *out = (struct maybe_int){0};
    if (s->r->driver->number(s->r, sql, params, n, &out->value, &is_null, err) < 0)
        return -1;
    out->known = !is_null;
    return 0;
}

static int count_scan(struct reading *s, int64_t *out, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    struct sql_value params[SQL_SCAN_PARAMS];
    size_t n = sql_put_scan_count(s->r->dialect, &s->scan, &sql, params);
    struct maybe_int count;

    if (buf_ok(&sql, "a statement", err) < 0 ||
        number(s, buf_str(&sql), params, n, &count, err) < 0)
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
        return s->scan.n_key > 0 ? position_write_keyset(mem, buf_str(&key), false) : NULL;
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
        if (from_sink(s, sink_write(s->out, s->index, s->rows, err)) < 0)
            return -1;
        if (!s->wrote && failpoint("after_first_row", err) < 0)
            return -1;
        s->wrote = true;
        if (position && from_sink(s, sink_checkpoint(s->out, s->index, position, err)) < 0)
            return -1;
    }
    return 0;
}

/* Hands on all rows of the scan. */
static int pump(struct reading *s, int64_t *n_read, struct error *err)
{
    struct sql_cursor *c;
    int rc;

    *n_read = 0;
    if (s->r->driver->select(s->r, &s->scan, &c, err) < 0)
        return -1;
    c->look_ahead = s->scan.window == SQL_WINDOW_RANGE && s->scan.n_key == 0;
    rc = pump_batches(s, c, n_read, err);
    s->r->driver->end(c);
    return rc;
}

static int read_full(struct reading *s, struct error *err)
{
    struct keyset_position p = {0};
    bool counted = s->scan.n_key > 0 || s->want->stream->row_estimate >= 0;
    int64_t expected = 0, n_read;

    if (s->position &&
        position_read_keyset(s->position, s->key_types, s->scan.n_key, s->mem, &p, err) < 0)
        return -1;
    if (p.done)
        return from_sink(s, sink_end(s->out, s->index, s->position, err));
    s->scan.after_key = p.has_key;
    s->scan.resume_key = p.key;
    counted = counted && s->want->stream->row_estimate <= RECONCILE_MAX;
    if (counted && count_scan(s, &expected, err) < 0)
        return -1;
    if (pump(s, &n_read, err) < 0)
        return -1;
    if (counted && n_read != expected)
        return error_set(err, ERR_INTERNAL, "%lld rows were counted and %lld read in one snapshot",
                         (long long)expected, (long long)n_read);
    return from_sink(s, sink_end(s->out, s->index, position_write_keyset(s->mem, "", true), err));
}

/* --------------------------------------------------------------- incremental */

static int read_max(struct reading *s, struct maybe_int *out, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    struct sql_value params[SQL_SCAN_PARAMS];
    size_t n = sql_put_scan_max(s->r->dialect, &s->scan, &sql, params);

    return buf_ok(&sql, "a statement", err) < 0 ? -1
                                                : number(s, buf_str(&sql), params, n, out, err);
}

/* Text that is no time in any row would otherwise mean: every row once, and none ever again. */
static int check_text_cursor(struct reading *s, struct maybe_int max, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    struct maybe_int count;

    if (s->cursor != TYPE_STRING || max.known || s->scan.hint)
        return 0;
    buf_puts(&sql, "SELECT count(*) FROM ");
    sql_put_table(s->r->dialect, s->scan.schema, s->scan.table, &sql);
    buf_puts(&sql, " WHERE ");
    sql_put_name(s->r->dialect, s->scan.cursor, &sql);
    buf_puts(&sql, " IS NOT NULL");
    if (number(s, buf_str(&sql), NULL, 0, &count, err) < 0)
        return -1;
    if (count.value > 0)
        return error_set_reason(err, ERR_CONFIG, "cursor_not_time",
                                "no value of column \"%s\" is a point in time, so it is no cursor",
                                s->scan.cursor);
    return 0;
}

static int regressed(const struct reading *s, const char *what, struct error *err)
{
    return error_set_reason(err, ERR_RESYNC, "cursor_regressed",
                            "%s is behind the bookmark of cursor \"%s\": a full refresh is needed",
                            what, s->scan.cursor);
}

/* An integer cursor: everything committed is at or below the greatest value, and with a single
 * writer at a time nothing that is still open can become less. */
static int integer_horizon(struct reading *s, struct maybe_int max, struct maybe_int before,
                           struct error *err)
{
    int64_t last;
    bool known;

    if (s->r->driver->last_number(s->r, s->scan.schema, s->scan.table, s->scan.cursor, &last,
                                  &known, err) < 0)
        return -1;
    if (known && (!max.known || last > max.value))
        max = (struct maybe_int){true, last};
    if (before.known && (!max.known || position_minus(max.value, -1) < before.value))
        return regressed(s, "the greatest value", err);
    s->at.safe = (struct maybe_int){max.known, position_minus(max.value, -1)};
    return 0;
}

static int time_horizon(struct reading *s, struct maybe_int before, struct error *err)
{
    int64_t now = position_from_unix_us(s->cursor, s->horizon->unix_us);
    int64_t skew = position_skew(s->cursor, s->settings->skew_s);
    int64_t lookback_s = s->settings->lookback_s;

    if (before.known && position_minus(now, -skew) < before.value)
        return regressed(s, "the clock", err);
    if ((!s->horizon->visible || s->horizon->n_waiting_for > 0) && lookback_s < LOOKBACK_BLIND) {
        lookback_s = LOOKBACK_BLIND;
        log_warn(s->r->run->log,
                 .message =
                     "open transactions cannot be ruled out, so rows are read again for a while",
                 .fields = {log_text("stream", s->want->stream->name),
                            log_int("lookback_s", lookback_s)});
    }
    s->at.safe =
        (struct maybe_int){true, position_minus(now, position_lookback(s->cursor, lookback_s))};
    if (before.known && s->at.safe.value < before.value)
        s->at.safe.value = before.value;
    return 0;
}

/* B9: append reads what nothing can join any more, the others overlap and are absorbed by key. */
static void choose_window(struct reading *s, struct maybe_int max, struct maybe_int before)
{
    bool integer = s->cursor == TYPE_INT, closed = s->want->write_mode == WRITE_APPEND;
    int64_t skew = position_skew(s->cursor, s->settings->skew_s);

    s->at.lower = before;
    s->at.upper = max.known ? max.value : INT64_MIN;
    if (!closed) {
        if (before.known)
            s->at.lower.value = position_minus(before.value, skew);
        return;
    }
    if (integer || !s->at.safe.known)
        return;
    s->at.safe.value = position_minus(s->at.safe.value, skew);
    if (before.known && s->at.safe.value < before.value)
        s->at.safe.value = before.value;
    s->at.upper = position_minus(s->at.safe.value, 1);
}

/* Safe horizon, window and high of a new run. */
static int begin_window(struct reading *s, struct error *err)
{
    struct maybe_int before = s->at.safe, max;
    bool integer = s->cursor == TYPE_INT;

    if (before.known)
        s->scan.hint = position_hint(
            s->mem, s->cursor,
            position_minus(before.value, position_skew(s->cursor, s->settings->skew_s)));
    if (read_max(s, &max, err) < 0 || check_text_cursor(s, max, err) < 0)
        return -1;
    if ((integer ? integer_horizon(s, max, before, err) : time_horizon(s, before, err)) < 0)
        return -1;
    choose_window(s, max, before);
    if (max.known) {
        int64_t limit = integer
                            ? INT64_MAX
                            : position_minus(position_from_unix_us(s->cursor, s->horizon->unix_us),
                                             -position_skew(s->cursor, s->settings->skew_s));

        s->at.high = (struct maybe_int){true, max.value < limit ? max.value : limit};
    }
    return 0;
}

/* B8. Rows without a cursor come with the first run, with every run, or not at all. */
static int read_nulls(struct reading *s, bool first, struct error *err)
{
    const char *policy = s->settings->null_cursor;
    int64_t estimate = s->want->stream->row_estimate, n = 0;
    bool every = strcmp(policy, "every_run") == 0;

    s->scan.window = SQL_WINDOW_NULL;
    s->scan.after_cursor = false;
    if (strcmp(policy, "fail") == 0) {
        if (count_scan(s, &n, err) < 0)
            return -1;
        if (n > 0)
            return error_set_reason(err, ERR_DATA, "null_cursor",
                                    "%lld rows have no value in the cursor column \"%s\"",
                                    (long long)n, s->scan.cursor);
        return 0;
    }
    if (first || every)
        return pump(s, &n, err);
    if (estimate < 0 || estimate > COUNT_NULLS_MAX)
        return 0;
    if (count_scan(s, &n, err) < 0)
        return -1;
    if (n > 0)
        log_info(
            s->r->run->log, .message = "rows without a cursor are not read again",
            .fields = {log_text("stream", s->want->stream->name), log_int("rows_null_cursor", n)});
    return 0;
}

static struct sql_value cursor_value(const struct reading *s, int64_t v)
{
    struct sql_value out = sql_int(v);

    out.type = &s->want->schema->columns[s->want->cursor].type;
    return out;
}

static int read_range(struct reading *s, const struct cursor_position *from, struct error *err)
{
    bool resumed = from->within && from->cursor.known;
    int64_t n_read;

    s->scan.window = SQL_WINDOW_RANGE;
    s->scan.has_lower = s->at.lower.known;
    s->scan.lower = cursor_value(s, s->at.lower.value);
    s->scan.upper = cursor_value(s, s->at.upper);
    s->scan.after_cursor = resumed;
    s->scan.resume_cursor = cursor_value(s, from->cursor.value);
    s->scan.after_key = resumed && from->has_key;
    s->scan.resume_key = from->key;
    if (s->at.lower.known && s->at.upper < s->at.lower.value)
        return 0;
    return pump(s, &n_read, err);
}

static int read_incremental(struct reading *s, struct error *err)
{
    struct cursor_position from = {0};
    bool first = !s->position;
    const struct column *column = &s->want->schema->columns[s->want->cursor];

    s->scan.cursor = column->name;
    s->scan.cursor_type = s->cursor = column->type.type;
    if (!s->r->dialect->cursor[s->cursor])
        return error_set_reason(err, ERR_CONFIG, "cursor_type",
                                "column \"%s\" is of type %s, which cannot be a cursor here",
                                column->name, type_name(s->cursor));
    if (s->position && position_read_cursor(s->position, s->cursor, s->key_types, s->scan.n_key,
                                            s->mem, &from, err) < 0)
        return -1;
    s->at = from;
    s->at.within = false;
    if (!from.within && begin_window(s, err) < 0)
        return -1;
    if (!from.within || !from.cursor.known) {
        s->scan.after_key = from.within && from.has_key;
        s->scan.resume_key = from.key;
        if (read_nulls(s, first || from.within, err) < 0)
            return -1;
    }
    if (s->at.lower.known)
        s->scan.hint = position_hint(s->mem, s->cursor, s->at.lower.value);
    if (read_range(s, &from, err) < 0)
        return -1;
    s->at.within = false;
    return from_sink(
        s, sink_end(s->out, s->index, position_write_cursor(s->mem, s->cursor, &s->at, ""), err));
}

/* --------------------------------------------------------------------- calls */

static int read_stream(struct reading *s, struct error *err)
{
    struct error why = ERROR_INIT;
    int rc;

    if (from_sink(s, sink_begin(s->out, s->index, err)) < 0)
        return -1;
    rc = s->want->sync_mode == SYNC_INCREMENTAL ? read_incremental(s, &why) : read_full(s, &why);
    if (rc == 0)
        return 0;
    error_wrap(&why, "stream \"%s\"", s->want->stream->name);
    if (s->sink_failed || why.code == ERR_CANCELLED) {
        *err = why;
        return -1;
    }
    return sink_fail(s->out, s->index, &why, err);
}

static int read_one(struct reading *s, struct error *err)
{
    int rc;

    s->mem = arena_new();
    s->rows = batch_new(s->want->schema);
    s->scan.schema = s->want->stream->namespace ? s->want->stream->namespace : "";
    s->scan.table = s->want->stream->name;
    s->scan.query = sql_queries_find(s->settings->queries, s->mem, s->want->stream);
    s->scan.columns = s->want->schema;
    use_key(s);
    rc = read_stream(s, err);
    batch_free(s->rows);
    arena_free(s->mem);
    return rc;
}

static int read_all(struct sql_reader *r, const struct sql_source_settings *settings,
                    const struct read_request *req, struct sink *out, struct error *err)
{
    struct reading base = {.r = r, .settings = settings, .out = out};
    struct horizon horizon;
    bool incremental = false;

    for (size_t i = 0; i < req->n; i++)
        incremental |= req->streams[i].want->sync_mode == SYNC_INCREMENTAL;
    /* First the time, then what was open, then the snapshot (B4). */
    if (incremental && horizon_take(r, settings->safe_wait_s, r->run->mem, &horizon, err) < 0)
        return -1;
    base.horizon = &horizon;
    if (r->driver->snapshot(r, err) < 0)
        return -1;
    for (size_t i = 0; i < req->n; i++) {
        struct reading s = base;

        s.index = i;
        s.want = req->streams[i].want;
        s.position = req->streams[i].position;
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
