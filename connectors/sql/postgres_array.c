#include "connectors/sql/postgres_array.h"

#include <math.h>

#include "connectors/base/jsonwrite.h"
#include "connectors/base/text.h"
#include "connectors/sql/postgres_value.h"

#define MAX_DIMENSIONS 6 /* the server's own limit */

struct array {
    const char *at, *end;
    enum postgres_form form; /* of the elements */
    size_t n_dimensions;
    uint32_t sizes[MAX_DIMENSIONS];
    int32_t lower[MAX_DIMENSIONS];
    struct jsonw w;
    struct slice *bad;
};

static void put_quoted(struct jsonw *w, const char *text, size_t n)
{
    jsonw_string_n(w, text, n);
}

static bool put_float(struct array *a, const char *p, size_t n)
{
    unsigned bits = a->form == POSTGRES_FORM_FLOAT4 ? 32 : 64;
    char text[VALUE_TEXT_BYTES];
    double v;
    size_t len;

    if (!postgres_read_float(a->form, p, n, &v))
        return false;
    len = value_format_float(v, bits, text);
    if (isfinite(v))
        jsonw_raw(&a->w, text, len);
    else
        put_quoted(&a->w, text, len);
    return true;
}

static bool put_numeric(struct array *a, const char *p, size_t n)
{
    struct postgres_numeric v;
    struct buf *out = a->w.out;

    if (!postgres_read_numeric(p, n, &v))
        return false;
    if (v.special) {
        jsonw_string(&a->w, v.special);
        return true;
    }
    jsonw_raw(&a->w, "", 0); /* the comma */
    return postgres_put_numeric(p, n, out) || out->failed;
}

static bool put_text(struct array *a, const char *p, size_t n)
{
    if (text_is_utf8(p, n))
        jsonw_string_n(&a->w, p, n);
    else
        *a->bad = (struct slice){p, n};
    return true;
}

static bool put_json(struct array *a, const char *p, size_t n)
{
    if (a->form == POSTGRES_FORM_JSONB) {
        if (n == 0 || *p != 1)
            return false;
        p++;
        n--;
    }
    if (!text_is_utf8(p, n))
        *a->bad = (struct slice){p, n};
    else if (value_is_json(p, n))
        jsonw_raw(&a->w, p, n);
    else
        return false;
    return true;
}

static bool put_bytes(struct array *a, const char *p, size_t n)
{
    struct buf *out = a->w.out;

    jsonw_raw(&a->w, "\"", 1);
    text_put_base64(out, p, n);
    buf_putc(out, '"');
    return true;
}

static bool put_interval(struct array *a, const char *p, size_t n)
{
    char text[VALUE_TEXT_BYTES];
    struct interval v;
    int infinite;

    if (!postgres_read_interval(p, n, &v, &infinite))
        return false;
    if (infinite)
        jsonw_string(&a->w, infinite > 0 ? "infinity" : "-infinity");
    else
        put_quoted(&a->w, text, value_format_interval(v, text));
    return true;
}

static bool put_time(struct array *a, const char *p, size_t n)
{
    char text[VALUE_TEXT_BYTES];
    int64_t v;

    if (a->form == POSTGRES_FORM_TIME) {
        if (!postgres_read_integer(a->form, p, n, &v))
            return false;
        put_quoted(&a->w, text, value_format_time(v, text));
        return true;
    }
    if (n != (a->form == POSTGRES_FORM_DATE ? 4 : 8))
        return false;
    put_quoted(&a->w, text, postgres_format_timestamp(a->form, p, text));
    return true;
}

static bool put_element(struct array *a, const char *p, size_t n)
{
    char text[VALUE_TEXT_BYTES];
    int64_t v;

    switch (a->form) {
    case POSTGRES_FORM_BOOL:
        jsonw_bool(&a->w, n == 1 && *p != 0);
        return n == 1;
    case POSTGRES_FORM_INT2:
    case POSTGRES_FORM_INT4:
    case POSTGRES_FORM_INT8:
    case POSTGRES_FORM_OID:
        if (!postgres_read_integer(a->form, p, n, &v))
            return false;
        jsonw_int(&a->w, v);
        return true;
    case POSTGRES_FORM_FLOAT4:
    case POSTGRES_FORM_FLOAT8:
        return put_float(a, p, n);
    case POSTGRES_FORM_NUMERIC:
        return put_numeric(a, p, n);
    case POSTGRES_FORM_TEXT:
        return put_text(a, p, n);
    case POSTGRES_FORM_BYTES:
        return put_bytes(a, p, n);
    case POSTGRES_FORM_DATE:
    case POSTGRES_FORM_TIME:
    case POSTGRES_FORM_TIMESTAMP:
    case POSTGRES_FORM_TIMESTAMPTZ:
        return put_time(a, p, n);
    case POSTGRES_FORM_INTERVAL:
        return put_interval(a, p, n);
    case POSTGRES_FORM_UUID:
        if (n == 16)
            put_quoted(&a->w, text, value_format_uuid((const unsigned char *)p, text));
        return n == 16;
    case POSTGRES_FORM_JSON:
    case POSTGRES_FORM_JSONB:
        return put_json(a, p, n);
    case POSTGRES_FORM_NONE:
    case POSTGRES_FORM_ARRAY:
        break;
    }
    return false;
}

/* A length and as many bytes; length -1 is NULL. */
static bool take_element(struct array *a)
{
    const char *p = a->at + 4;
    int32_t n;

    if (a->end - a->at < 4)
        return false;
    n = (int32_t)postgres_get32(a->at);
    a->at = p;
    if (n == -1) {
        jsonw_null(&a->w);
        return true;
    }
    if (n < 0 || n > a->end - p)
        return false;
    a->at = p + n;
    return put_element(a, p, (size_t)n);
}

/* Goes on when `out` is full, since the bytes must be an array all the same. */
static bool put_dimension(struct array *a, size_t dimension)
{
    jsonw_array(&a->w);
    for (uint32_t i = 0; i < a->sizes[dimension] && !a->bad->ptr; i++) {
        bool last = dimension + 1 == a->n_dimensions;

        if (!(last ? take_element(a) : put_dimension(a, dimension + 1)))
            return false;
    }
    jsonw_array_end(&a->w);
    return true;
}

/* Every element has at least the four bytes of its length, so their number is bounded by `n`. */
static bool read_header(const char *p, size_t n, struct array *a)
{
    uint64_t n_elements = 1;

    if (n < 12 || postgres_get32(p) > MAX_DIMENSIONS)
        return false;
    a->n_dimensions = postgres_get32(p);
    a->form = postgres_form_of(postgres_get32(p + 8));
    a->at = p + 12;
    a->end = p + n;
    if (n - 12 < 8 * a->n_dimensions)
        return false;
    for (size_t i = 0; i < a->n_dimensions; i++, a->at += 8) {
        a->sizes[i] = postgres_get32(a->at);
        a->lower[i] = (int32_t)postgres_get32(a->at + 4);
        n_elements *= a->sizes[i];
        if (a->sizes[i] == 0 || n_elements > n / 4)
            return false;
    }
    return a->form != POSTGRES_FORM_NONE;
}

static bool put_elements(struct array *a)
{
    if (a->n_dimensions == 0) {
        jsonw_array(&a->w);
        jsonw_array_end(&a->w);
        return a->at == a->end;
    }
    return put_dimension(a, 0) && (a->bad->ptr || a->at == a->end);
}

bool postgres_put_array(const char *p, size_t n, struct buf *out, struct slice *out_bad)
{
    struct array a = {.w = JSONW_INIT(out), .bad = out_bad};
    bool plain = true;

    if (!read_header(p, n, &a))
        return false;
    for (size_t i = 0; i < a.n_dimensions; i++)
        plain &= a.lower[i] == 1;
    if (plain)
        return put_elements(&a);
    jsonw_object(&a.w);
    jsonw_key(&a.w, "lower_bounds");
    jsonw_array(&a.w);
    for (size_t i = 0; i < a.n_dimensions; i++)
        jsonw_int(&a.w, a.lower[i]);
    jsonw_array_end(&a.w);
    jsonw_key(&a.w, "values");
    if (!put_elements(&a))
        return false;
    jsonw_object_end(&a.w);
    return true;
}
