/*
 * An incremental read: from a position to a window of cursor values, the rows of that window, and
 * the position behind it (rules B1 to B9).
 */
#include <string.h>

#include "connectors/data/value.h"
#include "connectors/filter.h"
#include "connectors/sql/source_internal.h"
#include "connectors/sql/statement.h"

#define COUNT_NULLS_MAX 1000000
#define LOOKBACK_BLIND  600                       /* seconds, where open transactions are hidden */
#define OPEN_TOO_LONG   (INT64_C(3600) * 1000000) /* microseconds until a warning */

int reading_use_cursor(struct reading *s, struct error *err)
{
    const struct column *column = &s->want->schema->columns[s->want->cursor];

    s->scan.cursor = column->name;
    s->scan.cursor_type = s->cursor = column->type.type;
    if (s->r->dialect->cursor[s->cursor])
        return 0;
    return error_set_reason(err, ERR_CONFIG, "cursor_type",
                            "column \"%s\" is of type %s, which cannot be a cursor here",
                            column->name, type_name(s->cursor));
}

static int read_max(struct reading *s, struct maybe_int *out, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    struct sql_value params[SQL_SCAN_PARAMS];
    size_t n = sql_put_scan_max(s->r->dialect, &s->scan, &sql, params);

    if (buf_ok(&sql, "a statement", err) < 0)
        return -1;
    return reading_ask(s, buf_str(&sql), params, n, out, err);
}

/* ------------------------------------------------------------------- horizon */

static int take_number(struct reading *s, struct maybe_int *out, struct error *err)
{
    if (reading_use_cursor(s, err) < 0)
        return -1;
    if (s->cursor != TYPE_INT || s->r->driver->single_writer)
        return 0;
    if (!s->scan.query &&
        s->r->driver->last_number(s->r, s->scan.schema, s->scan.table, s->scan.cursor, &out->value,
                                  &out->known, err) < 0)
        return -1;
    return out->known ? 0 : read_max(s, out, err);
}

void reading_take_number(struct reading *s, struct reading_number *out)
{
    out->failed = take_number(s, &out->value, &out->why) < 0;
}

static int regressed(const struct reading *s, const char *what, struct error *err)
{
    return error_set_reason(err, ERR_RESYNC, "cursor_regressed",
                            "%s is behind the bookmark of cursor \"%s\": a full refresh is needed",
                            what, s->scan.cursor);
}

/* With one writer at a time everything committed is settled; otherwise what was asked for before
 * the open transactions were looked at is settled once they have ended. */
static int integer_bound(struct reading *s, struct maybe_int max, struct maybe_int *out,
                         struct error *err)
{
    struct maybe_int last = s->number->value, before = s->at.safe;

    if (s->r->driver->single_writer) {
        if (!s->scan.query &&
            s->r->driver->last_number(s->r, s->scan.schema, s->scan.table, s->scan.cursor,
                                      &last.value, &last.known, err) < 0)
            return -1;
        if (max.known && (!last.known || max.value > last.value))
            last = max;
    }
    *out = (struct maybe_int){last.known, position_minus(last.value, -1)};
    if (before.known && (!out->known || out->value < before.value))
        return regressed(s, "the greatest value", err);
    return 0;
}

static int time_bound(struct reading *s, struct maybe_int *out, struct error *err)
{
    int64_t now = position_from_unix_us(s->cursor, s->horizon->unix_us);
    int64_t lookback_s = s->settings->lookback_s;

    if (!s->horizon->visible && lookback_s < LOOKBACK_BLIND)
        lookback_s = LOOKBACK_BLIND;
    if (s->at.safe.known && now < s->at.safe.value)
        return regressed(s, "the clock", err);
    now = position_minus(now, position_lookback(s->cursor, lookback_s));
    *out = (struct maybe_int){true,
                              position_minus(now, position_skew(s->cursor, s->settings->skew_s))};
    return 0;
}

static void warn_blind(const struct reading *s)
{
    if (s->cursor == TYPE_INT)
        log_warn(s->r->run->log,
                 .message =
                     "open transactions cannot be seen, so a row that is committed after one "
                     "with a greater number may be missed",
                 .fields = {log_text("stream", s->want->stream->name)});
    else
        log_warn(s->r->run->log,
                 .message = "open transactions cannot be seen, so rows count as settled only after "
                            "a while",
                 .fields = {log_text("stream", s->want->stream->name),
                            log_int("lookback_s", s->settings->lookback_s < LOOKBACK_BLIND
                                                      ? LOOKBACK_BLIND
                                                      : s->settings->lookback_s)});
}

static void warn_blocked(const struct reading *s)
{
    const struct candidate *oldest = &s->at.candidates[0];
    char since[VALUE_TEXT_BYTES];

    if (s->at.n_candidates == 0 || s->horizon->unix_us - oldest->unix_us < OPEN_TOO_LONG)
        return;
    since[value_format_timestamptz(oldest->unix_us, since)] = '\0';
    log_warn(s->r->run->log,
             .message = "a transaction has been open at the source for long: until it ends, rows "
                        "since then are not settled",
             .fields = {log_text("stream", s->want->stream->name),
                        log_text("transaction", oldest->open[0]), log_text("since", since)});
}

static int raise_safe(struct reading *s, struct maybe_int max, struct error *err)
{
    bool settled = s->cursor == TYPE_INT && s->r->driver->single_writer;
    struct maybe_int bound;

    if ((s->cursor == TYPE_INT ? integer_bound(s, max, &bound, err) : time_bound(s, &bound, err)) <
        0)
        return -1;
    if (s->horizon->visible && !settled) {
        horizon_offer(s->horizon, bound, s->mem, &s->at);
        warn_blocked(s);
        return 0;
    }
    if (!settled)
        warn_blind(s);
    if (bound.known && (!s->at.safe.known || bound.value > s->at.safe.value))
        s->at.safe = bound;
    return 0;
}

/* -------------------------------------------------------------------- window */

/* Text that is no time in any row would otherwise mean: every row once, and none ever again. */
static int check_text_cursor(struct reading *s, struct maybe_int max, struct error *err)
{
    const struct row_filter is_there = {
        .column = s->scan.cursor, .type = type_plain(s->cursor), .op = FILTER_IS_NOT_NULL};
    const struct sql_scan saved = s->scan;
    int64_t n = 0;
    int rc;

    if (s->cursor != TYPE_STRING || max.known || s->scan.hint)
        return 0;
    s->scan = (struct sql_scan){.schema = saved.schema,
                                .table = saved.table,
                                .query = saved.query,
                                .filters = &is_there,
                                .n_filters = 1};
    rc = reading_count(s, &n, err);
    s->scan = saved;
    if (rc < 0 || n == 0)
        return rc;
    return error_set_reason(err, ERR_CONFIG, "cursor_not_time",
                            "no value of column \"%s\" is a point in time, so it is no cursor",
                            s->scan.cursor);
}

/* B9: append reads what nothing can join any more, the others overlap and are absorbed by key. */
static void choose_window(struct reading *s, struct maybe_int max, struct maybe_int before)
{
    int64_t skew = position_skew(s->cursor, s->settings->skew_s);

    s->at.lower = before;
    if (s->want->write_mode == WRITE_APPEND) {
        s->nothing = !s->at.safe.known;
        s->at.upper = position_minus(s->at.safe.value, 1);
    } else {
        s->nothing = !max.known;
        s->at.upper = max.value;
        if (before.known)
            s->at.lower.value = position_minus(before.value, skew);
    }
    s->nothing |= s->at.lower.known && s->at.upper < s->at.lower.value;
}

/* B6. A row of the future is seen, and does not count as the greatest. */
static void choose_high(struct reading *s, struct maybe_int max)
{
    int64_t limit = INT64_MAX;

    if (!max.known)
        return;
    if (s->cursor != TYPE_INT)
        limit = position_minus(position_from_unix_us(s->cursor, s->horizon->unix_us),
                               -position_skew(s->cursor, s->settings->skew_s));
    s->at.high = (struct maybe_int){true, max.value < limit ? max.value : limit};
}

static void use_hint(struct reading *s, struct maybe_int lower)
{
    s->scan.hint = lower.known ? position_hint(s->mem, s->cursor, lower.value) : NULL;
}

static int begin_window(struct reading *s, struct error *err)
{
    struct maybe_int before = s->at.safe, max, lower = before;

    lower.value = position_minus(lower.value, position_skew(s->cursor, s->settings->skew_s));
    use_hint(s, lower);
    if (read_max(s, &max, err) < 0 || check_text_cursor(s, max, err) < 0 ||
        raise_safe(s, max, err) < 0)
        return -1;
    choose_window(s, max, before);
    choose_high(s, max);
    if (s->nothing && max.known && (!before.known || max.value >= before.value))
        log_info(s->r->run->log,
                 .message = "rows wait until it is certain that nothing can appear before them",
                 .fields = {log_text("stream", s->want->stream->name)});
    return 0;
}

/* ---------------------------------------------------------------------- rows */

enum nulls {
    NULLS_FIRST,    /* the first run, or the rest of it */
    NULLS_LATER,    /* a run that is not the first */
    NULLS_HAVE_RUN, /* this run has read the window of an earlier one to its end */
};

/* B8. Rows without a cursor come with the first run, with every run, or not at all. */
static int read_nulls(struct reading *s, enum nulls when, struct error *err)
{
    const char *policy = s->settings->null_cursor;
    int64_t estimate = s->want->stream->row_estimate, n = 0;
    bool every = strcmp(policy, "every_run") == 0;

    s->scan.window = SQL_WINDOW_NULL;
    s->scan.after_cursor = false;
    if (strcmp(policy, "fail") == 0) {
        if (reading_count(s, &n, err) < 0)
            return -1;
        if (n > 0)
            return error_set_reason(err, ERR_DATA, "null_cursor",
                                    "%lld rows have no value in the cursor column \"%s\"",
                                    (long long)n, s->scan.cursor);
        return 0;
    }
    if (when == NULLS_FIRST || (every && when == NULLS_LATER))
        return reading_pump(s, false, err);
    if (every || estimate < 0 || estimate > COUNT_NULLS_MAX)
        return 0;
    if (reading_count(s, &n, err) < 0)
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

/* The rows of the window, behind those of `from` when that is within it. */
static int read_range(struct reading *s, const struct cursor_position *from, struct error *err)
{
    bool resumed = from->within && from->cursor.known;

    if (s->nothing)
        return 0;
    use_hint(s, s->at.lower);
    s->scan.window = SQL_WINDOW_RANGE;
    s->scan.has_lower = s->at.lower.known;
    s->scan.lower = cursor_value(s, s->at.lower.value);
    s->scan.upper = cursor_value(s, s->at.upper);
    s->scan.after_cursor = resumed;
    s->scan.resume_cursor = cursor_value(s, from->cursor.value);
    s->scan.after_key = resumed && from->has_key;
    s->scan.resume_key = from->key;
    return reading_pump(s, false, err);
}

/* What an attempt before this one left of its window, and a checkpoint behind it. */
static int finish_window(struct reading *s, const struct cursor_position *from, struct error *err)
{
    s->scan.after_key = from->has_key;
    s->scan.resume_key = from->key;
    if (!from->cursor.known && read_nulls(s, NULLS_FIRST, err) < 0)
        return -1;
    if (read_range(s, from, err) < 0)
        return -1;
    return reading_from_sink(
        s, sink_checkpoint(s->out, s->index, position_write_cursor(s->mem, s->cursor, &s->at, ""),
                           err));
}

/*
 * A row that was written between discovery and the snapshot has what the source has in its new
 * columns. It would be delivered without them, and not be read again when they are known.
 */
static int check_columns(struct reading *s, struct error *err)
{
    const struct sql_value table[] = {sql_text(s->scan.schema), sql_text(s->scan.table)};
    struct maybe_int n;

    if (!s->want->stream->as_found || s->scan.query)
        return 0;
    if (reading_ask(s, s->r->driver->count_columns, table, 2, &n, err) < 0)
        return -1;
    if (n.known && n.value > (int64_t)s->want->stream->schema->n_columns)
        return error_set_reason(err, ERR_TRANSIENT, "schema_changed",
                                "table \"%s\" has got columns since it was discovered",
                                s->scan.table);
    return 0;
}

int reading_incremental(struct reading *s, struct error *err)
{
    static const struct cursor_position beginning = {0};
    struct cursor_position from = {0};
    enum nulls nulls = s->position ? NULLS_LATER : NULLS_FIRST;

    if (reading_use_cursor(s, err) < 0 || check_columns(s, err) < 0)
        return -1;
    if (s->number->failed) {
        *err = s->number->why;
        return -1;
    }
    if (s->position && position_read_cursor(s->position, s->cursor, s->key_types, s->scan.n_key,
                                            s->mem, &from, err) < 0)
        return -1;
    s->at = from;
    s->at.within = false;
    if (from.within && finish_window(s, &from, err) < 0)
        return -1;
    s->scan.after_key = s->scan.after_cursor = false;
    if (begin_window(s, err) < 0 || read_nulls(s, from.within ? NULLS_HAVE_RUN : nulls, err) < 0 ||
        read_range(s, &beginning, err) < 0)
        return -1;
    return reading_from_sink(
        s, sink_end(s->out, s->index, position_write_cursor(s->mem, s->cursor, &s->at, ""), err));
}
