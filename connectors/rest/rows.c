#include "connectors/rest/rows.h"

#include <stdlib.h>
#include <string.h>

#include "connectors/jsonrow.h"
#include "connectors/rest/rows_shape.h"

struct rows {
    const struct rest_stream *stream;
    struct shape shape;
    struct bind bind;
    struct jsonrow row;
    struct batch *batch;
};

/* Types that the document declares are the user's word, not a guess. */
static bool declared_type(const void *arg, const char *name, struct column_type *out)
{
    const struct rest_stream *s = arg;

    for (size_t i = 0; i < s->n_types; i++) {
        if (strcmp(s->types[i].column, name) == 0) {
            *out = s->types[i].type;
            return true;
        }
    }
    for (size_t i = 0; s->schema_kind == REST_SCHEMA_INLINE && i < s->schema->n_columns; i++) {
        if (strcmp(s->schema->columns[i].name, name) == 0) {
            *out = s->schema->columns[i].type;
            return true;
        }
    }
    return false;
}

struct rows *rows_new(const struct rest_stream *s, const struct selected_stream *want,
                      struct run *run)
{
    struct rows *r = xalloc(sizeof *r);

    r->stream = s;
    shape_init(&r->shape, s);
    /* Batches that were handed on still name their columns when the stream is over. */
    bind_init(&r->bind, want, declared_type, s, run->mem, run->log);
    jsonrow_init(&r->row, &r->bind);
    r->batch = batch_new(r->bind.schema);
    return r;
}

void rows_free(struct rows *r)
{
    if (!r)
        return;
    batch_free(r->batch);
    jsonrow_release(&r->row);
    shape_release(&r->shape);
    free(r);
}

/* A record on its way through the shape. */
struct passing {
    struct rows *r;
    const struct rows_sink *to;
    struct rows_counts *counts;
};

int rows_flush(struct rows *r, const struct rows_sink *to, struct error *err)
{
    return batch_is_empty(r->batch) ? 0 : to->flush(to->arg, r->batch, err);
}

static int is_wanted(struct passing *p, struct slice record, bool *out, struct error *err)
{
    struct rest_value cursor = {0};

    *out = true;
    if (!p->r->stream->incremental.present)
        return 0;
    if (path_find(&p->r->stream->incremental.field, record, p->r->shape.mem, &cursor, err) < 0)
        return -1;
    return p->to->keep(p->to->arg, &cursor, out, err);
}

static void reject(struct rows *r, struct slice record, const char *why)
{
    batch_drop_row(r->batch);
    batch_reject_row(r->batch, REASON_BAD_JSON_LINE, why, record.ptr, record.len);
}

static int put(void *arg, struct slice record, struct error *err)
{
    struct passing *p = arg;
    struct rows *r = p->r;
    enum jsonrow_outcome outcome;
    struct error why = ERROR_INIT;
    bool wanted;

    p->counts->read++;
    if (is_wanted(p, record, &wanted, err) < 0)
        return -1;
    if (!wanted) {
        p->counts->overlap++;
        return 0;
    }
    if (jsonrow_put(&r->row, record, r->batch, &outcome, &why, err) < 0)
        return -1;
    if (outcome == JSONROW_WIDENED) {
        if (rows_flush(r, p->to, err) < 0)
            return -1;
        batch_reset(r->batch, r->bind.schema);
        if (jsonrow_put(&r->row, record, r->batch, &outcome, &why, err) < 0)
            return -1;
    }
    if (outcome == JSONROW_BAD)
        reject(r, record, why.message);
    return batch_is_full(r->batch) ? rows_flush(r, p->to, err) : 0;
}

int rows_put(struct rows *r, struct slice record, const struct scopes *s,
             const struct rows_sink *to, struct rows_counts *counts, struct error *err)
{
    struct passing p = {r, to, counts};
    int64_t filtered = 0;

    if (shape_feed(&r->shape, record, s, put, &p, &filtered, err) < 0)
        return -1;
    counts->read += filtered;
    counts->filtered += filtered;
    return 0;
}
