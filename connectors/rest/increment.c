#include "connectors/rest/increment.h"

#include <string.h>

#include "connectors/base/jsonwrite.h"
#include "connectors/base/text.h"
#include "connectors/data/value.h"
#include "connectors/rest/template_internal.h"

#define US_PER_DAY (INT64_C(86400) * 1000000)

static bool is_time(enum rest_cursor_type t)
{
    return t == REST_CURSOR_TIMESTAMP || t == REST_CURSOR_DATE || t == REST_CURSOR_EPOCH ||
           t == REST_CURSOR_EPOCH_MS;
}

/* Seconds with a fraction, as some APIs write them: "1700000000.000200". */
static bool read_fraction(const char *s, size_t n, int64_t unit_us, int64_t *out)
{
    const char *dot = memchr(s, '.', n);
    size_t whole = dot ? (size_t)(dot - s) : n, digits = dot ? n - whole - 1 : 0;
    int64_t seconds, part = 0, scale = unit_us;

    if (!text_to_int64(s, whole, &seconds) || seconds > INT64_C(100000000000000) ||
        seconds < -INT64_C(100000000000000))
        return false;
    for (size_t i = 0; i < digits; i++) {
        if (dot[1 + i] < '0' || dot[1 + i] > '9')
            return false;
        scale /= 10;
        part += (dot[1 + i] - '0') * scale;
    }
    if (__builtin_mul_overflow(seconds, unit_us, out))
        return false;
    *out += seconds < 0 ? -part : part;
    return true;
}

bool bound_read(enum rest_cursor_type type, const struct rest_value *v, struct arena *mem,
                struct bound *out)
{
    const char *s = v->text.ptr;
    size_t n = v->text.len;

    *out = (struct bound){.known = true};
    if (v->kind != VALUE_STRING && v->kind != VALUE_NUMBER)
        return false;
    switch (type) {
    case REST_CURSOR_STRING:
        out->text = rest_value_text(v, mem);
        return true;
    case REST_CURSOR_INT:
        return text_to_int64(s, n, &out->n);
    case REST_CURSOR_EPOCH:
        return read_fraction(s, n, 1000000, &out->n) || rest_instant(v, &out->n);
    case REST_CURSOR_EPOCH_MS:
        return read_fraction(s, n, 1000, &out->n) || rest_instant(v, &out->n);
    case REST_CURSOR_TIMESTAMP:
    case REST_CURSOR_DATE:
        return rest_instant(v, &out->n);
    }
    return false;
}

const char *bound_text(enum rest_cursor_type type, const struct bound *b, struct arena *mem)
{
    char text[VALUE_TEXT_BYTES];
    size_t n = 0;

    if (!b->known)
        return NULL;
    if (type == REST_CURSOR_STRING)
        return b->text;
    if (type == REST_CURSOR_INT)
        n = text_from_int64(b->n, text);
    else if (type == REST_CURSOR_DATE)
        n = value_format_date((b->n - (b->n % US_PER_DAY + US_PER_DAY) % US_PER_DAY) / US_PER_DAY,
                              text);
    else
        n = value_format_timestamptz(b->n, text);
    return arena_memdup(mem, text, n);
}

const char *bound_json(enum rest_cursor_type type, const struct bound *b, struct arena *mem)
{
    const char *text = bound_text(type, b, mem);
    struct buf out = BUF_INIT((size_t)1 << 20);
    struct jsonw w = JSONW_INIT(&out);

    if (type == REST_CURSOR_INT && text)
        return text;
    jsonw_string(&w, text);
    text = arena_strdup(mem, buf_str(&out));
    buf_release(&out);
    return text;
}

int bound_compare(const struct bound *a, const struct bound *b)
{
    if (a->text && b->text)
        return strcmp(a->text, b->text);
    return (a->n > b->n) - (a->n < b->n);
}

static struct bound moved(struct bound b, int64_t by)
{
    if (b.known && !b.text && __builtin_add_overflow(b.n, by, &b.n))
        b.n = by < 0 ? INT64_MIN : INT64_MAX;
    return b;
}

void increment_init(struct increment *i, const struct rest_incremental *how, bool closed)
{
    *i = (struct increment){.how = how, .closed = closed, .high_text = BUF_INIT(PAGE_MAX_RECORD)};
}

void increment_release(struct increment *i)
{
    buf_release(&i->high_text);
}

/* Outlives the record it came with. */
static void set_high(struct increment *i, const struct bound *b)
{
    i->high = *b;
    if (!b->text)
        return;
    buf_clear(&i->high_text);
    buf_puts(&i->high_text, b->text);
    i->high.text = buf_str(&i->high_text);
}

int increment_begin(struct increment *i, const struct bound *start, const struct bound *end,
                    int64_t now_us, struct error *err)
{
    const struct rest_incremental *how = i->how;
    bool time = is_time(how->type);

    i->lower = i->safe.known ? i->safe : *start;
    i->upper = end->known ? *end : time ? (struct bound){true, now_us, NULL} : (struct bound){0};
    if (time && how->retention_us && i->safe.known && i->safe.n < now_us - how->retention_us)
        return error_set_reason(err, ERR_RESYNC, "cursor_too_old",
                                "the API keeps less than has passed since the bookmark: a full "
                                "refresh is needed");
    /* What is younger than the horizon waits for the next run, or would come twice. */
    if (i->closed && time)
        i->upper = moved(i->upper, -how->lookback_us);
    if (i->upper.known && bound_compare(&i->upper, &i->lower) < 0)
        i->upper = i->lower;
    i->from = i->to = (struct bound){0};
    i->read_any = false;
    return 0;
}

bool increment_next_window(struct increment *i)
{
    const struct rest_incremental *how = i->how;

    if (!i->read_any) {
        i->from = i->lower;
    } else {
        if (!how->window_us || !i->to.known || bound_compare(&i->to, &i->upper) >= 0)
            return false;
        i->from = i->to;
    }
    i->read_any = true;
    i->to = i->upper;
    if (how->window_us && i->from.known) {
        struct bound end = moved(i->from, how->window_us);

        if (!i->upper.known || bound_compare(&end, &i->upper) < 0)
            i->to = end;
    }
    return true;
}

static int64_t rounded(int64_t v, int64_t step, bool up)
{
    int64_t rest = step > 0 ? ((v % step) + step) % step : 0;

    return up && rest ? v - rest + step : v - rest;
}

struct bound increment_sent_from(const struct increment *i)
{
    const struct rest_incremental *how = i->how;
    struct bound b = i->from;

    if (!b.known || b.text)
        return b;
    if (!is_time(how->type))
        return moved(b, how->server == REST_SERVER_EXCLUSIVE ? -1 : 0);
    b.n = rounded(b.n, how->granularity_us, false);
    return moved(b, how->server == REST_SERVER_EXCLUSIVE ? -how->granularity_us : 0);
}

struct bound increment_sent_to(const struct increment *i)
{
    struct bound b = i->to;

    if (b.known && !b.text && is_time(i->how->type))
        b.n = rounded(b.n, i->how->granularity_us, true);
    return b;
}

int increment_keep(struct increment *i, const struct rest_value *cursor, struct arena *mem,
                   bool *out, struct error *err)
{
    const struct rest_incremental *how = i->how;
    struct bound b;

    *out = true;
    if (cursor->kind == VALUE_MISSING || cursor->kind == VALUE_NULL) {
        *out = how->missing != REST_MISSING_EXCLUDE;
        if (how->missing == REST_MISSING_FAIL)
            return error_set_reason(err, ERR_DATA, "null_cursor", "a record has no \"%s\"",
                                    how->field.text);
        return 0;
    }
    if (!bound_read(how->type, cursor, mem, &b))
        return error_set_reason(err, ERR_DATA, "cursor_type", "\"%.*s\" in \"%s\" is no %s",
                                (int)(cursor->text.len < 60 ? cursor->text.len : 60),
                                cursor->text.ptr, how->field.text,
                                is_time(how->type) ? "point in time" : "bookmark");
    if (!i->high.known || bound_compare(&b, &i->high) > 0)
        set_high(i, &b);
    if (how->client_filter && i->lower.known)
        *out = i->closed && !is_time(how->type) && i->safe.known && !i->fresh
                   ? bound_compare(&b, &i->lower) > 0
                   : bound_compare(&b, &i->lower) >= 0;
    if (i->closed && i->upper.known && bound_compare(&b, &i->upper) >= 0)
        *out = false;
    return 0;
}

void increment_end(struct increment *i, int64_t date_us)
{
    struct bound next = i->high;

    if (is_time(i->how->type)) {
        next = i->upper;
        if (date_us && !i->closed && date_us < next.n)
            next.n = date_us;
        if (!i->closed)
            next = moved(next, -i->how->lookback_us);
        /* A stamp in the future does not move the bookmark, nor what is shown of it. */
        if (i->high.known && i->upper.known && i->high.n > i->upper.n && !i->closed)
            i->high = i->upper;
    }
    if (next.known && (!i->safe.known || bound_compare(&next, &i->safe) > 0))
        i->safe = next;
}
