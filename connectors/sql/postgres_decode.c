#include "connectors/sql/postgres_decode.h"

#include <endian.h>

#include "connectors/base/text.h"
#include "connectors/sql/postgres_array.h"
#include "connectors/sql/postgres_value.h"

static bool put_number(enum postgres_form form, const char *p, size_t n, struct batch *rows,
                       size_t column)
{
    int64_t v;

    if (!postgres_read_integer(form, p, n, &v))
        return false;
    batch_put_int64(rows, column, v);
    return true;
}

static bool put_float(enum postgres_form form, const char *p, size_t n, struct batch *rows,
                      size_t column)
{
    double v;

    if (!postgres_read_float(form, p, n, &v))
        return false;
    batch_put_double(rows, column, v);
    return true;
}

static bool put_numeric(const char *p, size_t n, struct buf *scratch, struct batch *rows,
                        size_t column)
{
    char few[POSTGRES_NUMERIC_FEW];
    struct postgres_numeric v;
    char *text = few;
    size_t most;

    if (!postgres_read_numeric(p, n, &v))
        return false;
    most = postgres_numeric_max(&v);
    if (most > sizeof few) {
        buf_clear(scratch);
        text = buf_reserve(scratch, most);
        if (!text)
            return false;
    }
    batch_put_text(rows, column, text, postgres_format_numeric(&v, text));
    return true;
}

/* Times beyond 64 bits of microseconds since 1970 exist: the last 30 years that the server has. */
static bool put_timestamp(enum postgres_form form, const char *p, size_t n, struct batch *rows,
                          size_t column)
{
    char text[VALUE_TEXT_BYTES];
    int64_t v;
    bool exact;

    if (!postgres_decode_cursor(form, p, n, &v, &exact))
        return false;
    if (exact)
        batch_put_int64(rows, column, v);
    else
        batch_put_odd(rows, column, REASON_OUT_OF_RANGE, text,
                      postgres_format_timestamp(form, p, text));
    return true;
}

static bool put_interval(const char *p, size_t n, struct batch *rows, size_t column)
{
    struct interval v;
    int infinite;

    if (!postgres_read_interval(p, n, &v, &infinite))
        return false;
    if (infinite == 0)
        batch_put_interval(rows, column, v);
    else if (infinite > 0)
        batch_put_odd(rows, column, REASON_OUT_OF_RANGE, "infinity", 8);
    else
        batch_put_odd(rows, column, REASON_OUT_OF_RANGE, "-infinity", 9);
    return true;
}

/* A database whose encoding is SQL_ASCII hands out whatever bytes somebody stored. */
static bool put_json(const char *p, size_t n, struct batch *rows, size_t column)
{
    if (n <= BATCH_MAX_VALUE && !text_is_utf8(p, n))
        batch_put_odd(rows, column, REASON_ENCODING, p, n);
    else
        batch_put_text(rows, column, p, n);
    return true;
}

static bool put_array(const char *p, size_t n, struct buf *scratch, struct batch *rows,
                      size_t column)
{
    struct slice bad = {0};

    buf_clear(scratch);
    if (!postgres_put_array(p, n, scratch, &bad))
        return false;
    if (bad.ptr)
        batch_put_odd(rows, column, REASON_ENCODING, bad.ptr, bad.len);
    else if (scratch->failed || scratch->len > BATCH_MAX_VALUE)
        batch_put_odd(rows, column, REASON_RECORD_TOO_LARGE, buf_str(scratch), scratch->len);
    else
        batch_put_text(rows, column, scratch->data, scratch->len);
    return true;
}

bool postgres_decode_cell(enum postgres_form form, const char *p, size_t n, struct buf *scratch,
                          struct batch *rows, size_t column)
{
    switch (form) {
    case POSTGRES_FORM_BOOL:
        if (n != 1)
            return false;
        batch_put_bool(rows, column, *p != 0);
        return true;
    case POSTGRES_FORM_INT2:
    case POSTGRES_FORM_INT4:
    case POSTGRES_FORM_INT8:
    case POSTGRES_FORM_OID:
    case POSTGRES_FORM_TIME:
        return put_number(form, p, n, rows, column);
    case POSTGRES_FORM_FLOAT4:
    case POSTGRES_FORM_FLOAT8:
        return put_float(form, p, n, rows, column);
    case POSTGRES_FORM_NUMERIC:
        return put_numeric(p, n, scratch, rows, column);
    case POSTGRES_FORM_TEXT:
    case POSTGRES_FORM_BYTES:
        batch_put_text(rows, column, p, n);
        return true;
    case POSTGRES_FORM_DATE:
    case POSTGRES_FORM_TIMESTAMP:
    case POSTGRES_FORM_TIMESTAMPTZ:
        return put_timestamp(form, p, n, rows, column);
    case POSTGRES_FORM_INTERVAL:
        return put_interval(p, n, rows, column);
    case POSTGRES_FORM_UUID:
        if (n != 16)
            return false;
        batch_put_uuid(rows, column, (const unsigned char *)p);
        return true;
    case POSTGRES_FORM_JSONB:
        return n > 0 && *p == 1 && put_json(p + 1, n - 1, rows, column);
    case POSTGRES_FORM_JSON:
        return put_json(p, n, rows, column);
    case POSTGRES_FORM_ARRAY:
        return put_array(p, n, scratch, rows, column);
    case POSTGRES_FORM_NONE:
        break;
    }
    return false;
}

/* "-0043-03-15T00:00:00Z" is "0044-03-15T00:00:00Z BC" to the server, and it knows no '+'. */
static void put_server_time(struct buf *out, const char *text, size_t n)
{
    const char *dash = n > 1 ? memchr(text + 1, '-', n - 1) : NULL;
    int64_t year;

    if (text[0] == '+') {
        buf_put(out, text + 1, n - 1);
    } else if (text[0] == '-' && dash &&
               text_to_int64(text + 1, (size_t)(dash - text) - 1, &year)) {
        buf_printf(out, "%04lld", (long long)year + 1);
        buf_put(out, dash, n - (size_t)(dash - text));
        buf_puts(out, " BC");
    } else if (n > 4 && strncmp(text, "0000-", 5) == 0) {
        buf_puts(out, "0001");
        buf_put(out, text + 4, n - 4);
        buf_puts(out, " BC");
    } else {
        buf_put(out, text, n);
    }
}

static bool key_text(enum postgres_form form, const char *p, size_t n, struct buf *out)
{
    char text[VALUE_TEXT_BYTES];
    int64_t v;

    switch (form) {
    case POSTGRES_FORM_NUMERIC:
        return postgres_put_numeric(p, n, out);
    case POSTGRES_FORM_TEXT:
        buf_put(out, p, n);
        return true;
    case POSTGRES_FORM_DATE:
        if (n != 4)
            return false;
        put_server_time(out, text, postgres_format_timestamp(form, p, text));
        return true;
    case POSTGRES_FORM_TIMESTAMP:
    case POSTGRES_FORM_TIMESTAMPTZ:
        if (n != 8)
            return false;
        put_server_time(out, text, postgres_format_timestamp(form, p, text));
        return true;
    case POSTGRES_FORM_TIME:
        if (!postgres_read_integer(form, p, n, &v))
            return false;
        buf_put(out, text, value_format_time(v, text));
        return true;
    case POSTGRES_FORM_UUID:
        if (n != 16)
            return false;
        buf_put(out, text, value_format_uuid((const unsigned char *)p, text));
        return true;
    case POSTGRES_FORM_NONE:
    case POSTGRES_FORM_BOOL:
    case POSTGRES_FORM_INT2:
    case POSTGRES_FORM_INT4:
    case POSTGRES_FORM_INT8:
    case POSTGRES_FORM_OID:
    case POSTGRES_FORM_FLOAT4:
    case POSTGRES_FORM_FLOAT8:
    case POSTGRES_FORM_BYTES:
    case POSTGRES_FORM_INTERVAL:
    case POSTGRES_FORM_JSON:
    case POSTGRES_FORM_JSONB:
    case POSTGRES_FORM_ARRAY:
        break;
    }
    return false;
}

bool postgres_decode_key(enum postgres_form form, const char *p, size_t n, struct buf *scratch,
                         struct sql_value *out)
{
    *out = (struct sql_value){0};
    if (form == POSTGRES_FORM_BOOL) {
        *out = sql_int(n == 1 && *p != 0);
        return n == 1;
    }
    if (form == POSTGRES_FORM_INT2 || form == POSTGRES_FORM_INT4 || form == POSTGRES_FORM_INT8 ||
        form == POSTGRES_FORM_OID) {
        out->kind = SQL_INT;
        return postgres_read_integer(form, p, n, &out->number);
    }
    if (form == POSTGRES_FORM_FLOAT4 || form == POSTGRES_FORM_FLOAT8) {
        out->kind = SQL_REAL;
        return postgres_read_float(form, p, n, &out->real);
    }
    if (form == POSTGRES_FORM_BYTES) {
        *out = (struct sql_value){.kind = SQL_BLOB, .bytes = {p, n}};
        return true;
    }
    buf_clear(scratch);
    if (!key_text(form, p, n, scratch) || scratch->failed)
        return false;
    *out = (struct sql_value){.kind = SQL_TEXT, .bytes = {buf_str(scratch), scratch->len}};
    return true;
}

static bool read_date(const char *p, size_t n, int64_t *out)
{
    int32_t days;

    if (n != 4)
        return false;
    days = (int32_t)postgres_get32(p);
    *out = days + (int64_t)POSTGRES_EPOCH_DAYS;
    if (days == INT32_MAX)
        *out = VALUE_INFINITY;
    if (days == INT32_MIN)
        *out = VALUE_MINUS_INFINITY;
    return true;
}

bool postgres_decode_cursor(enum postgres_form form, const char *p, size_t n, int64_t *out,
                            bool *out_exact)
{
    int64_t us;

    *out_exact = true;
    if (form == POSTGRES_FORM_DATE)
        return read_date(p, n, out);
    if (form != POSTGRES_FORM_TIMESTAMP && form != POSTGRES_FORM_TIMESTAMPTZ)
        return postgres_read_integer(form, p, n, out);
    if (n != 8)
        return false;
    us = (int64_t)postgres_get64(p);
    *out = us;
    if (us == VALUE_INFINITY || us == VALUE_MINUS_INFINITY)
        return true;
    if (__builtin_add_overflow(us, POSTGRES_EPOCH_US, out) || *out == VALUE_INFINITY) {
        *out = VALUE_INFINITY - 1;
        *out_exact = false;
    }
    return true;
}
