/*
 * One column of a COPY. The encoders that matter read straight from the batch; whatever else can
 * come together goes through canonical text, as does every value of a table that holds a type we
 * do not know.
 */
#include <stdlib.h>

#include "connectors/base/text.h"
#include "connectors/sql/convert.h"
#include "connectors/sql/postgres_encode.h"

/* A text that is JSON now and was binary may be six times as long. */
#define MAX_TEXT (8 * BATCH_MAX_VALUE)
/* Larger memory is given back behind the row that needed it. */
#define KEPT_TEXT ((size_t)1 << 20)

/* ------------------------------------------------------------- straight from the batch */

static bool encode_bool(struct postgres_out *o, struct postgres_field *f, size_t row)
{
    return postgres_encode_bool(o, f->view.bools[row]);
}

static bool encode_int8(struct postgres_out *o, struct postgres_field *f, size_t row)
{
    return postgres_encode_int8(o, f->view.ints[row]);
}

static bool encode_int4(struct postgres_out *o, struct postgres_field *f, size_t row)
{
    return postgres_encode_int4(o, f->view.ints[row]);
}

static bool encode_int2(struct postgres_out *o, struct postgres_field *f, size_t row)
{
    return postgres_encode_int2(o, f->view.ints[row]);
}

static bool encode_float8(struct postgres_out *o, struct postgres_field *f, size_t row)
{
    return postgres_encode_float8(o, f->view.doubles[row]);
}

static bool encode_float4(struct postgres_out *o, struct postgres_field *f, size_t row)
{
    return postgres_encode_float4(o, f->view.doubles[row]);
}

static bool encode_date(struct postgres_out *o, struct postgres_field *f, size_t row)
{
    return postgres_encode_date(o, f->view.ints[row]);
}

static bool encode_time(struct postgres_out *o, struct postgres_field *f, size_t row)
{
    return postgres_encode_time(o, f->view.ints[row], f->grain);
}

static bool encode_timestamp(struct postgres_out *o, struct postgres_field *f, size_t row)
{
    return postgres_encode_timestamp(o, f->view.ints[row], f->grain);
}

static bool encode_interval(struct postgres_out *o, struct postgres_field *f, size_t row)
{
    struct interval v;

    memcpy(&v, f->view.fixed[row], sizeof v);
    return postgres_encode_interval(o, v, f->grain);
}

static bool encode_uuid(struct postgres_out *o, struct postgres_field *f, size_t row)
{
    return postgres_encode_uuid(o, f->view.fixed[row]);
}

static bool encode_numeric(struct postgres_out *o, struct postgres_field *f, size_t row)
{
    struct slice v = column_text(&f->view, row);

    return postgres_encode_numeric(o, v.ptr, v.len, f->target.typmod);
}

static bool encode_text(struct postgres_out *o, struct postgres_field *f, size_t row)
{
    struct slice v = column_text(&f->view, row);

    if (!postgres_text_fits(v.ptr, v.len, f->max_chars))
        return false;
    postgres_encode_bytes(o, v.ptr, v.len);
    return true;
}

static bool encode_jsonb(struct postgres_out *o, struct postgres_field *f, size_t row)
{
    struct slice v = column_text(&f->view, row);

    postgres_encode_jsonb(o, v.ptr, v.len);
    return true;
}

/* clang-format off */
static const struct {
    enum type type;
    uint32_t oid;
    postgres_encoder *put;
} straight[] = {
    {TYPE_BOOL,        POSTGRES_BOOL,        encode_bool},
    {TYPE_INT,         POSTGRES_INT8,        encode_int8},
    {TYPE_INT,         POSTGRES_INT4,        encode_int4},
    {TYPE_INT,         POSTGRES_INT2,        encode_int2},
    {TYPE_DECIMAL,     POSTGRES_NUMERIC,     encode_numeric},
    {TYPE_FLOAT,       POSTGRES_FLOAT8,      encode_float8},
    {TYPE_FLOAT,       POSTGRES_FLOAT4,      encode_float4},
    {TYPE_STRING,      POSTGRES_TEXT,        encode_text},
    {TYPE_STRING,      POSTGRES_VARCHAR,     encode_text},
    {TYPE_STRING,      POSTGRES_BPCHAR,      encode_text},
    {TYPE_BYTES,       POSTGRES_BYTEA,       encode_text},
    {TYPE_DATE,        POSTGRES_DATE,        encode_date},
    {TYPE_TIME,        POSTGRES_TIME,        encode_time},
    {TYPE_TIMESTAMP,   POSTGRES_TIMESTAMP,   encode_timestamp},
    {TYPE_TIMESTAMPTZ, POSTGRES_TIMESTAMPTZ, encode_timestamp},
    {TYPE_INTERVAL,    POSTGRES_INTERVAL,    encode_interval},
    {TYPE_UUID,        POSTGRES_UUID,        encode_uuid},
    {TYPE_JSON,        POSTGRES_JSONB,       encode_jsonb},
    {TYPE_JSON,        POSTGRES_JSON,        encode_text},
};
/* clang-format on */

/* ------------------------------------------------------------- through text */

static int drop_bytes(void *arg, const char *bytes, size_t n)
{
    (void)arg;
    (void)bytes;
    (void)n;
    return 0;
}

/* Whether the column would keep the value as it is: what the server does with text of a type is
 * known from what its binary form would need. */
static bool fits(struct postgres_field *f, const char *s, size_t n)
{
    struct postgres_out nowhere = {.flush = drop_bytes};

    if (!postgres_knows_binary(f->target.oid))
        return true;
    if (!f->trial)
        f->trial = xalloc(POSTGRES_OUT_BYTES);
    nowhere.start = nowhere.at = f->trial;
    nowhere.end = f->trial + POSTGRES_OUT_BYTES;
    return postgres_encode_text(&nowhere, f->target, s, n);
}

static bool put_value(struct postgres_out *o, struct postgres_field *f, const char *s, size_t n)
{
    if (f->binary)
        return postgres_encode_text(o, f->target, s, n);
    if (!fits(f, s, n))
        return false;
    postgres_encode_copy_text(o, f->target.oid, s, n);
    return true;
}

void postgres_field_put_null(struct postgres_out *o, const struct postgres_field *f)
{
    if (f->binary)
        postgres_encode_null(o);
    else
        postgres_out_put(o, "\\N", 2);
}

static bool encode_converted(struct postgres_out *o, struct postgres_field *f, size_t row)
{
    bool ok;

    /* The text of a double may be that of a float nearby. */
    if (f->from_type == TYPE_FLOAT && f->target.oid == POSTGRES_FLOAT4 &&
        !postgres_is_float4(f->view.doubles[row]))
        return false;
    buf_clear(&f->text);
    sql_convert_cell(f->rows, f->from, row, f->from_type, f->to_type, &f->text);
    ok = !f->text.failed && put_value(o, f, buf_str(&f->text), f->text.len);
    if (f->text.cap > KEPT_TEXT)
        buf_release(&f->text);
    return ok;
}

static bool encode_meta(struct postgres_out *o, struct postgres_field *f, size_t row)
{
    const char *s = f->meta ? f->meta[row] : NULL;

    if (s)
        return put_value(o, f, s, strlen(s));
    postgres_field_put_null(o, f);
    return true;
}

static bool encode_order(struct postgres_out *o, struct postgres_field *f, size_t row)
{
    int64_t v = f->first_order + (int64_t)row;
    char digits[24];

    if (f->binary && f->target.oid == POSTGRES_INT8)
        return postgres_encode_int8(o, v);
    return put_value(o, f, digits, text_from_int64(v, digits));
}

static bool encode_constant(struct postgres_out *o, struct postgres_field *f, size_t row)
{
    (void)row;
    postgres_out_put(o, f->constant.data, f->constant.len);
    return true;
}

/* ------------------------------------------------------------- choosing */

void postgres_field_init(struct postgres_field *f, struct postgres_target target, enum type to,
                         bool binary)
{
    *f = (struct postgres_field){.target = target,
                                 .to_type = to,
                                 .binary = binary,
                                 .grain = postgres_grain(target),
                                 .max_chars = postgres_max_chars(target),
                                 .constant = BUF_INIT(MAX_TEXT),
                                 .text = BUF_INIT(MAX_TEXT)};
}

void postgres_field_release(struct postgres_field *f)
{
    buf_release(&f->constant);
    buf_release(&f->text);
    free(f->trial);
}

void postgres_field_column(struct postgres_field *f, const struct batch *rows, size_t from,
                           enum type from_type)
{
    f->rows = rows;
    f->from = from;
    f->from_type = from_type;
    f->view = batch_column(rows, from);
    f->put = encode_converted;
    for (size_t i = 0; f->binary && i < sizeof straight / sizeof straight[0]; i++) {
        if (straight[i].type == from_type && f->to_type == from_type &&
            straight[i].oid == f->target.oid)
            f->put = straight[i].put;
    }
}

void postgres_field_order(struct postgres_field *f, int64_t first)
{
    f->first_order = first;
    f->put = encode_order;
}

void postgres_field_meta(struct postgres_field *f, const char *const *meta)
{
    f->meta = meta;
    f->put = encode_meta;
}

static int keep_bytes(void *arg, const char *bytes, size_t n)
{
    struct buf *to = arg;

    buf_put(to, bytes, n);
    return to->failed ? -1 : 0;
}

bool postgres_field_constant(struct postgres_field *f, const char *text)
{
    CLEANUP(free_cleanup) char *room = xalloc(POSTGRES_OUT_BYTES);
    struct postgres_out o = {.start = room,
                             .at = room,
                             .end = room + POSTGRES_OUT_BYTES,
                             .flush = keep_bytes,
                             .arg = &f->constant};
    bool ok = true;

    buf_clear(&f->constant);
    if (text)
        ok = put_value(&o, f, text, strlen(text));
    else
        postgres_field_put_null(&o, f);
    postgres_out_flush(&o);
    f->put = encode_constant;
    return ok && !o.failed;
}
