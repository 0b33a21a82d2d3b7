#include "connectors/singer/intake.h"

#include <stdio.h>
#include <string.h>

#include "connectors/base/arena.h"

/* The type that the last SCHEMA gave a property; then whatever can be read as it is taken. */
static bool declared_type(const void *arg, const char *name, struct column_type *out)
{
    const struct intake *in = arg;
    long column = in->declared ? schema_find(in->declared, name) : -1;

    if (column >= 0)
        *out = in->declared->columns[column].type;
    return column >= 0 || schema_find(in->want->schema, name) >= 0;
}

void intake_init(struct intake *in, const struct selected_stream *want,
                 struct singer_parser *parser, struct arena *mem, struct log *log)
{
    *in = (struct intake){.want = want, .parser = parser, .mem = mem};
    bind_init(&in->bind, want, declared_type, in, mem, log);
    jsonrow_init(&in->row, &in->bind);
    in->rows = batch_new(in->bind.schema);
}

void intake_release(struct intake *in)
{
    if (!in->rows)
        return;
    batch_free(in->rows);
    jsonrow_release(&in->row);
}

/* How the bytes of a column are written, its SCHEMA says; what type it has, the stream. */
static void note_base16(struct intake *in)
{
    const struct schema *have = in->declared;

    in->row.n_base16 = in->bind.schema->n_columns;
    in->base16 = arena_array(in->mem, in->row.n_base16 + 1, sizeof *in->base16);
    for (size_t i = 0; i < have->n_columns; i++) {
        const struct column *c = &have->columns[i];
        long column = bind_find(&in->bind, c->name, strlen(c->name));

        if (column >= 0)
            in->base16[column] = !strcmp(c->source_type, "base16");
    }
    in->row.base16 = in->base16;
}

int intake_schema(struct intake *in, const struct singer_schema *s, struct error *err)
{
    const struct schema *have = s->schema;

    in->declared = have;
    for (size_t i = 0; i < have->n_columns; i++) {
        const char *name = have->columns[i].name;
        long ignored;

        if (bind_find(&in->bind, name, strlen(name)) == BIND_UNKNOWN &&
            bind_add(&in->bind, name, strlen(name), have->columns[i].type, &ignored, err) < 0)
            return -1;
    }
    in->required = arena_array(in->mem, s->n_required + 1, sizeof *in->required);
    in->n_required = 0;
    for (size_t i = 0; i < s->n_required; i++) {
        const char *name = have->columns[s->required[i]].name;
        long column = bind_find(&in->bind, name, strlen(name));

        if (column >= 0)
            in->required[in->n_required++] = (size_t)column;
    }
    in->row.required = in->required;
    in->row.n_required = in->n_required;
    in->row.closed = s->closed;
    note_base16(in);
    return 0;
}

static int reject(struct intake *in, struct slice record, const struct error *why,
                  struct error *err)
{
    char detail[ERROR_MESSAGE_BYTES + 300];

    snprintf(detail, sizeof detail, "record %llu of stream \"%.200s\": %s",
             (unsigned long long)in->n_records, in->want->stream->name, why->message);
    batch_drop_row(in->rows);
    if (in->strict)
        return error_set_reason(err, ERR_DATA, "bad_record", "%s", detail);
    batch_reject_row(in->rows, REASON_CONSTRAINT, detail, record.ptr, record.len);
    return 0;
}

/* A record that is none: unless it was only looked for in the wrong place. */
static int take_bad(struct intake *in, const struct singer_message *m, struct error *why,
                    enum jsonrow_outcome *got, struct slice *record, struct error *err)
{
    struct singer_message again;

    if (!m->guessed)
        return 0;
    if (singer_parse_again(in->parser, m->line, &again, err) < 0)
        return -1;
    if (again.stream.len != m->stream.len ||
        memcmp(again.stream.ptr, m->stream.ptr, m->stream.len) != 0)
        return error_set_reason(err, ERR_DATA, "bad_message", "a RECORD names two streams");
    if (again.record.len == record->len)
        return 0;
    batch_drop_row(in->rows);
    *record = again.record;
    *why = ERROR_INIT;
    return jsonrow_put(&in->row, *record, in->rows, got, why, err);
}

int intake_record(struct intake *in, const struct singer_message *m, enum intake_outcome *out,
                  struct error *err)
{
    struct slice record = m->record;
    struct error why = ERROR_INIT;
    enum jsonrow_outcome got;

    if (!in->declared)
        return error_set_reason(err, ERR_DATA, "record_before_schema",
                                "a RECORD of stream \"%s\" came before its SCHEMA",
                                in->want->stream->name);
    /* A SCHEMA has brought columns that the batch does not have yet. */
    *out = INTAKE_WIDENED;
    if (batch_schema(in->rows)->n_columns < in->bind.schema->n_columns)
        return 0;
    if (jsonrow_put(&in->row, record, in->rows, &got, &why, err) < 0 ||
        (got == JSONROW_BAD && take_bad(in, m, &why, &got, &record, err) < 0))
        return -1;
    if (got == JSONROW_WIDENED)
        return 0;
    in->n_records++;
    if (got == JSONROW_BAD && reject(in, record, &why, err) < 0)
        return -1;
    *out = batch_is_full(in->rows) ? INTAKE_FULL : INTAKE_TAKEN;
    return 0;
}
