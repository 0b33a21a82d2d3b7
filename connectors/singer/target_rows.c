/*
 * Rows on their way to a target, and what is no row. A target has no quarantine, so it gets one: a
 * stream of its own, _connectord_quarantine, with what could not be represented and why.
 */
#include <math.h>

#include "connectors/base/clock.h"
#include "connectors/base/jsonwrite.h"
#include "connectors/base/text.h"
#include "connectors/singer/target_internal.h"

#define FLUSH_BYTES   ((size_t)256 << 10)
#define MAX_ROW_BYTES ((size_t)512 << 20)
#define QUARANTINE    "_connectord_quarantine"

/* -------------------------------------------------------------------- quarantine */

static void tell_quarantine(struct target *t)
{
    if (t->quarantine_told)
        return;
    t->quarantine_told = true;
    buf_puts(&t->out, "{\"type\":\"SCHEMA\",\"stream\":\"" QUARANTINE "\",\"schema\":{\"type\":"
                      "\"object\",\"properties\":{");
    for (const char *const *name =
             (const char *const[]){"stream", "level", "column", "reason", "detail", "raw",
                                   "encoding", "run_id", NULL};
         *name; name++)
        buf_printf(&t->out, "\"%s\":{\"type\":[\"null\",\"string\"]},", *name);
    buf_puts(&t->out, "\"at\":{\"type\":[\"null\",\"string\"],\"format\":\"date-time\"}}},"
                      "\"key_properties\":[],\"bookmark_properties\":[]}\n");
}

struct odd_thing {
    const char *column; /* NULL = the whole row */
    enum reason reason;
    const char *detail;
    struct slice raw;
};

static void put_raw(struct jsonw *w, struct slice raw)
{
    CLEANUP(buf_release) struct buf base64 = BUF_INIT(2 * BATCH_ODD_BYTES + BATCH_MAX_VALUE);
    bool text = text_is_utf8(raw.ptr, raw.len);

    if (!text)
        text_put_base64(&base64, raw.ptr, raw.len);
    jsonw_key(w, "raw");
    jsonw_string_n(w, text ? raw.ptr : buf_str(&base64), text ? raw.len : base64.len);
    jsonw_put_string(w, "encoding", text ? "utf-8" : "base64");
}

static void quarantine(struct target *t, const struct selected_stream *want,
                       const struct odd_thing *q)
{
    struct jsonw w = JSONW_INIT(&t->out);

    tell_quarantine(t);
    jsonw_object(&w);
    jsonw_put_string(&w, "type", "RECORD");
    jsonw_put_string(&w, "stream", QUARANTINE);
    jsonw_key(&w, "record");
    jsonw_object(&w);
    jsonw_put_string(&w, "stream", want->alias);
    jsonw_put_string(&w, "level", q->column ? "cell" : "row");
    jsonw_put_string(&w, "column", q->column);
    jsonw_put_string(&w, "reason", reason_name(q->reason));
    jsonw_put_string(&w, "detail", q->detail);
    put_raw(&w, q->raw);
    jsonw_put_string(&w, "run_id", t->run->id);
    jsonw_put_time_ms(&w, "at", clock_unix_us());
    jsonw_object_end(&w);
    jsonw_object_end(&w);
    buf_putc(&t->out, '\n');
}

static void quarantine_beside(struct target *t, size_t stream, const struct batch *rows)
{
    const struct selected_stream *want = &t->plan->streams[stream];
    struct counts *c = &t->streams[stream].pending;
    size_t n_odd, n_rejected;
    const struct odd_cell *odd = batch_odd_cells(rows, &n_odd);
    const struct rejected_row *rejected = batch_rejected(rows, &n_rejected);

    for (size_t i = 0; i < n_rejected; i++)
        quarantine(t, want,
                   &(struct odd_thing){.reason = rejected[i].reason,
                                       .detail = rejected[i].detail,
                                       .raw = rejected[i].raw});
    for (size_t i = 0; i < n_odd; i++)
        quarantine(t, want,
                   &(struct odd_thing){.column = batch_schema(rows)->columns[odd[i].column].name,
                                       .reason = odd[i].reason,
                                       .raw = odd[i].original});
    c->read += (int64_t)n_rejected;
    c->quarantined_rows += (int64_t)n_rejected;
    c->quarantined_cells += (int64_t)n_odd;
}

/* The row itself is what goes to quarantine, as JSON. */
static void quarantine_row(struct target *t, size_t stream, const struct batch *rows, size_t row)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(MAX_ROW_BYTES);
    struct singer_rows *plain = singer_rows_new_plain(batch_schema(rows));
    struct odd_thing q = {.reason = REASON_NULL_KEY,
                          .detail = "a column of the key is NULL or NaN"};

    singer_rows_put(plain, &text, rows, row, row + 1, SIZE_MAX);
    singer_rows_free(plain);
    q.raw.ptr = buf_str(&text);
    q.raw.len = text_utf8_prefix(q.raw.ptr, text.len ? text.len - 1 : 0, BATCH_ODD_BYTES);
    quarantine(t, &t->plan->streams[stream], &q);
    t->streams[stream].pending.quarantined_rows++;
}

/* The first row from `from` on whose key is not whole, or the number of rows. */
static size_t next_keyless(const struct batch *rows, size_t from)
{
    const struct schema *schema = batch_schema(rows);
    size_t found = batch_rows(rows);

    for (size_t i = 0; i < schema->n_key; i++) {
        struct column_view v = batch_column(rows, schema->key[i]);

        if (v.n_null == 0 && v.storage != STORAGE_DOUBLE)
            continue;
        for (size_t row = from; row < found; row++) {
            if (!column_has(&v, row) || (v.storage == STORAGE_DOUBLE && isnan(v.doubles[row])))
                found = row;
        }
    }
    return found;
}

/* ------------------------------------------------------------------------- rows */

static int check_frozen(const struct selected_stream *want, const struct schema *schema,
                        struct error *err)
{
    for (size_t i = 0; want->drift == DRIFT_FREEZE && i < schema->n_columns; i++) {
        const struct column *c = &schema->columns[i];
        long at = schema_find(want->schema, c->name);

        if (at < 0 || !type_equal(want->schema->columns[at].type, c->type))
            return error_set_reason(err, ERR_SCHEMA, "schema_frozen",
                                    "the column \"%s\" of \"%s\" %s, and its schema is frozen",
                                    c->name, want->stream->name,
                                    at < 0 ? "is new" : "has another type");
    }
    return 0;
}

int target_tell_schema(struct target *t, size_t stream, const struct schema *schema,
                       struct error *err)
{
    const struct selected_stream *want = &t->plan->streams[stream];
    const struct schema *wanted = want->drift == DRIFT_IGNORE ? want->schema : NULL;
    struct target_stream *s = &t->streams[stream];

    if (s->rows && singer_rows_fit(s->rows, schema))
        return 0;
    if (check_frozen(want, schema, err) < 0)
        return -1;
    singer_rows_free(s->rows);
    s->rows = singer_rows_new(s->name, schema, wanted, s->version);
    singer_put_schema(&t->out, s->name, want, wanted ? wanted : schema);
    return 0;
}

/* Rows [first, end). */
static int put_rows(struct target *t, size_t stream, const struct batch *rows, size_t first,
                    size_t end, struct error *err)
{
    struct target_stream *s = &t->streams[stream];
    int64_t n = (int64_t)(end - first);

    while (first < end) {
        first = singer_rows_put(s->rows, &t->out, rows, first, end, FLUSH_BYTES);
        if ((t->out.len >= FLUSH_BYTES || t->out.failed) && target_flush(t, err) < 0)
            return -1;
    }
    s->pending.inserted += n; /* a target does not tell what it did */
    s->n_rows += n;
    t->rows_fed += n;
    return 0;
}

int target_write_rows(struct target *t, size_t stream, const struct batch *rows, struct error *err)
{
    struct target_stream *s = &t->streams[stream];
    bool keyed = t->plan->streams[stream].write_mode == WRITE_APPEND_DEDUP;
    int64_t bad = s->pending.quarantined_rows, read = s->pending.read;

    if (target_tell_schema(t, stream, batch_schema(rows), err) < 0)
        return -1;
    quarantine_beside(t, stream, rows);
    for (size_t row = 0; row < batch_rows(rows);) {
        size_t end = keyed ? next_keyless(rows, row) : batch_rows(rows);

        if (put_rows(t, stream, rows, row, end, err) < 0)
            return -1;
        if (end < batch_rows(rows))
            quarantine_row(t, stream, rows, end);
        row = end + 1;
    }
    s->pending.read += (int64_t)batch_rows(rows);
    bad_rows_add(&t->bad_rows, s->pending.read - read, s->pending.quarantined_rows - bad);
    return 0;
}
