/*
 * The filters of templates: a table of pure functions from value to value.
 */
#include <string.h>
#include <time.h>

#include "connectors/base/hash.h"
#include "connectors/base/jsonread.h"
#include "connectors/base/jsonwrite.h"
#include "connectors/base/text.h"
#include "connectors/data/value.h"
#include "connectors/rest/template_internal.h"

#define US_PER_S    1000000
#define US_PER_DAY  (INT64_C(86400) * US_PER_S)
#define MS_FROM     INT64_C(100000000000) /* a number from here on counts milliseconds: 1973 */
#define SECONDS_MAX INT64_C(100000000000000)

struct rest_value rest_string(struct arena *mem, const char *s, size_t n)
{
    return (struct rest_value){VALUE_STRING, {arena_memdup(mem, s, n), n}};
}

struct rest_value rest_number(struct arena *mem, int64_t v)
{
    char digits[24];
    size_t n = text_from_int64(v, digits);

    return (struct rest_value){VALUE_NUMBER, {arena_memdup(mem, digits, n), n}};
}

bool rest_instant(const struct rest_value *v, int64_t *out_us)
{
    const char *s = v->text.ptr;
    size_t n = v->text.len;
    int64_t number;

    if (v->kind != VALUE_STRING && v->kind != VALUE_NUMBER)
        return false;
    if (text_to_int64(s, n, &number)) {
        if (number > SECONDS_MAX || number < -SECONDS_MAX)
            return false;
        *out_us = number >= MS_FROM || number <= -MS_FROM ? number * 1000 : number * US_PER_S;
        return true;
    }
    if (v->kind == VALUE_NUMBER)
        return false;
    if (value_parse_timestamptz(s, n, out_us) || value_parse_timestamp(s, n, out_us))
        return true;
    if (!value_parse_date(s, n, &number) || number > 3000000 || number < -1000000)
        return false;
    *out_us = number * US_PER_DAY;
    return true;
}

static int wrong(const struct rest_value *in, const char *what, struct error *err)
{
    return error_set_reason(err, ERR_DATA, "template_value", "\"%.*s\" is no %s",
                            (int)(in->text.len < 60 ? in->text.len : 60),
                            in->text.ptr ? in->text.ptr : "", what);
}

static int instant(const struct rest_value *in, int64_t *out, struct error *err)
{
    return rest_instant(in, out) ? 0 : wrong(in, "point in time", err);
}

static int put_instant(int64_t us, struct arena *mem, struct rest_value *out)
{
    char text[VALUE_TEXT_BYTES];

    *out = rest_string(mem, text, value_format_timestamptz(us, text));
    return 0;
}

/* -------------------------------------------------------------------- filters */

static int f_default(const struct rest_value *in, const struct filter_use *use, struct arena *mem,
                     struct rest_value *out, struct error *err)
{
    (void)mem;
    (void)err;
    *out = in->kind == VALUE_MISSING || in->kind == VALUE_NULL ? use->arg : *in;
    return 0;
}

static int f_int(const struct rest_value *in, const struct filter_use *use, struct arena *mem,
                 struct rest_value *out, struct error *err)
{
    struct slice s = in->text;
    int64_t v;

    (void)use;
    if (in->kind == VALUE_BOOL) {
        *out = rest_number(mem, s.len == 4);
        return 0;
    }
    /* 12.0 is twelve; 12.5 is no integer, and nothing is rounded. */
    for (const char *dot = memchr(s.ptr, '.', s.len); dot; dot = NULL) {
        size_t zeros = strspn(arena_memdup(mem, dot + 1, s.len - (size_t)(dot - s.ptr) - 1), "0");

        if (zeros == s.len - (size_t)(dot - s.ptr) - 1)
            s.len = (size_t)(dot - s.ptr);
    }
    if ((in->kind != VALUE_NUMBER && in->kind != VALUE_STRING) || !text_to_int64(s.ptr, s.len, &v))
        return wrong(in, "integer", err);
    *out = rest_number(mem, v);
    return 0;
}

static int f_string(const struct rest_value *in, const struct filter_use *use, struct arena *mem,
                    struct rest_value *out, struct error *err)
{
    (void)use;
    (void)err;
    *out = in->kind == VALUE_NULL ? rest_string(mem, "", 0)
                                  : rest_string(mem, in->text.ptr, in->text.len);
    return 0;
}

static int f_json(const struct rest_value *in, const struct filter_use *use, struct arena *mem,
                  struct rest_value *out, struct error *err)
{
    struct buf text = BUF_INIT(TEMPLATE_MAX_OUTPUT);
    int rc;

    (void)use;
    rest_value_put_json(in, &text);
    rc = buf_ok(&text, "what a template gives", err);
    if (rc == 0)
        *out = rest_string(mem, buf_str(&text), text.len);
    buf_release(&text);
    return rc;
}

/* ASCII alone: what it is used for are identifiers and enumerations. */
static int change_case(const struct rest_value *in, char from, char to, struct arena *mem,
                       struct rest_value *out)
{
    char *copy = arena_memdup(mem, in->text.ptr, in->text.len);

    for (size_t i = 0; i < in->text.len; i++) {
        if (copy[i] >= from && copy[i] <= from + 25)
            copy[i] = (char)(copy[i] - from + to);
    }
    *out = (struct rest_value){VALUE_STRING, {copy, in->text.len}};
    return 0;
}

static int f_lower(const struct rest_value *in, const struct filter_use *use, struct arena *mem,
                   struct rest_value *out, struct error *err)
{
    (void)use;
    (void)err;
    return change_case(in, 'A', 'a', mem, out);
}

static int f_upper(const struct rest_value *in, const struct filter_use *use, struct arena *mem,
                   struct rest_value *out, struct error *err)
{
    (void)use;
    (void)err;
    return change_case(in, 'a', 'A', mem, out);
}

static int f_trim(const struct rest_value *in, const struct filter_use *use, struct arena *mem,
                  struct rest_value *out, struct error *err)
{
    const char *s = in->text.ptr, *end = s + in->text.len;

    (void)use;
    (void)err;
    while (s < end && strchr(" \t\r\n", *s))
        s++;
    while (end > s && strchr(" \t\r\n", end[-1]))
        end--;
    *out = rest_string(mem, s, (size_t)(end - s));
    return 0;
}

static int f_join(const struct rest_value *in, const struct filter_use *use, struct arena *mem,
                  struct rest_value *out, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(TEMPLATE_MAX_OUTPUT);
    CLEANUP(jsonread_release) struct jsonread r;
    const char *between = "";
    enum jsonread_token t;
    struct rest_value v;
    struct slice raw;

    jsonread_init(&r);
    if (in->kind != VALUE_ARRAY)
        return wrong(in, "list", err);
    jsonread_start(&r, in->text.ptr, in->text.len);
    if (jsonread_next(&r, &t, err) < 0)
        return -1;
    for (;;) {
        if (jsonread_next(&r, &t, err) < 0)
            return -1;
        if (t == JSONREAD_ARRAY_END)
            break;
        if (jsonread_skip(&r, t, &raw, err) < 0 || rest_value_read(raw, mem, &v, err) < 0)
            return -1;
        buf_puts(&text, between);
        buf_puts(&text, rest_value_text(&v, mem));
        between = rest_value_text(&use->arg, mem);
    }
    if (buf_ok(&text, "what a template gives", err) < 0)
        return -1;
    *out = rest_string(mem, buf_str(&text), text.len);
    return 0;
}

/* "a, b" as ["a","b"]; nothing between two separators is left out. */
static int f_split(const struct rest_value *in, const struct filter_use *use, struct arena *mem,
                   struct rest_value *out, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(TEMPLATE_MAX_OUTPUT);
    struct jsonw w = JSONW_INIT(&text);
    const char *at = in->text.ptr, *end = at + in->text.len, *between = use->arg.text.ptr;
    size_t n = use->arg.text.len;

    if (in->kind != VALUE_STRING || n == 0)
        return wrong(in, "text to split", err);
    jsonw_array(&w);
    while (at < end) {
        const char *stop = memmem(at, (size_t)(end - at), between, n), *next;
        const char *from = at;

        next = stop ? stop + n : end;
        stop = stop ? stop : end;
        while (from < stop && *from == ' ')
            from++;
        while (stop > from && stop[-1] == ' ')
            stop--;
        if (stop > from)
            jsonw_string_n(&w, from, (size_t)(stop - from));
        at = next;
    }
    jsonw_array_end(&w);
    if (buf_ok(&text, "what a template gives", err) < 0)
        return -1;
    *out =
        (struct rest_value){VALUE_ARRAY, {arena_memdup(mem, buf_str(&text), text.len), text.len}};
    return 0;
}

static int element(const struct rest_value *in, long index, struct arena *mem,
                   struct rest_value *out, struct error *err)
{
    const struct path_step step = {PATH_INDEX, NULL, index};
    const struct path p = {"", &step, 1};

    if (in->kind != VALUE_ARRAY)
        return wrong(in, "list", err);
    return path_find(&p, in->text, mem, out, err);
}

static int f_first(const struct rest_value *in, const struct filter_use *use, struct arena *mem,
                   struct rest_value *out, struct error *err)
{
    (void)use;
    return element(in, 0, mem, out, err);
}

static int f_last(const struct rest_value *in, const struct filter_use *use, struct arena *mem,
                  struct rest_value *out, struct error *err)
{
    (void)use;
    return element(in, -1, mem, out, err);
}

/* Not found is the same as not there: a default may follow. */
static int f_regex(const struct rest_value *in, const struct filter_use *use, struct arena *mem,
                   struct rest_value *out, struct error *err)
{
    struct slice found;

    (void)err;
    *out = (struct rest_value){0};
    if (pattern_find(use->pattern, in->text, &found))
        *out = rest_string(mem, found.ptr, found.len);
    return 0;
}

static int f_urlencode(const struct rest_value *in, const struct filter_use *use, struct arena *mem,
                       struct rest_value *out, struct error *err)
{
    struct buf text = BUF_INIT(4 * TEMPLATE_MAX_OUTPUT);

    (void)use;
    (void)err;
    for (size_t i = 0; i < in->text.len; i++) {
        unsigned char c = (unsigned char)in->text.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     (c && strchr("-._~", c));

        if (plain)
            buf_putc(&text, (char)c);
        else
            buf_printf(&text, "%%%02X", (unsigned)c);
    }
    *out = rest_string(mem, buf_str(&text), text.len);
    buf_release(&text);
    return 0;
}

static int f_base64(const struct rest_value *in, const struct filter_use *use, struct arena *mem,
                    struct rest_value *out, struct error *err)
{
    struct buf text = BUF_INIT(2 * TEMPLATE_MAX_OUTPUT);

    (void)use;
    (void)err;
    text_put_base64(&text, in->text.ptr, in->text.len);
    *out = rest_string(mem, buf_str(&text), text.len);
    buf_release(&text);
    return 0;
}

static int f_sha256(const struct rest_value *in, const struct filter_use *use, struct arena *mem,
                    struct rest_value *out, struct error *err)
{
    char hex[HASH_HEX_BYTES];

    (void)use;
    (void)err;
    hash_bytes_hex(in->text.ptr, in->text.len, hex);
    *out = rest_string(mem, hex, strlen(hex));
    return 0;
}

static int f_iso(const struct rest_value *in, const struct filter_use *use, struct arena *mem,
                 struct rest_value *out, struct error *err)
{
    int64_t us;

    (void)use;
    return instant(in, &us, err) < 0 ? -1 : put_instant(us, mem, out);
}

/* The conversions of strftime that mean the same everywhere, and %f for microseconds. */
static bool put_conversion(struct buf *out, char name, const struct tm *tm, int64_t us)
{
    switch (name) {
    case 'Y':
        buf_printf(out, "%04d", tm->tm_year + 1900);
        return true;
    case 'y':
        buf_printf(out, "%02d", tm->tm_year % 100);
        return true;
    case 'm':
        buf_printf(out, "%02d", tm->tm_mon + 1);
        return true;
    case 'd':
        buf_printf(out, "%02d", tm->tm_mday);
        return true;
    case 'j':
        buf_printf(out, "%03d", tm->tm_yday + 1);
        return true;
    case 'H':
        buf_printf(out, "%02d", tm->tm_hour);
        return true;
    case 'M':
        buf_printf(out, "%02d", tm->tm_min);
        return true;
    case 'S':
        buf_printf(out, "%02d", tm->tm_sec);
        return true;
    case 'f':
        buf_printf(out, "%06lld", (long long)us);
        return true;
    case 'F':
        buf_printf(out, "%04d-%02d-%02d", tm->tm_year + 1900, tm->tm_mon + 1, tm->tm_mday);
        return true;
    case 'T':
        buf_printf(out, "%02d:%02d:%02d", tm->tm_hour, tm->tm_min, tm->tm_sec);
        return true;
    case '%':
        buf_putc(out, '%');
        return true;
    default:
        return false;
    }
}

static int f_date(const struct rest_value *in, const struct filter_use *use, struct arena *mem,
                  struct rest_value *out, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(4096);
    const char *format = rest_value_text(&use->arg, mem);
    struct tm tm;
    int64_t us, rest;
    time_t t;

    if (instant(in, &us, err) < 0)
        return -1;
    rest = (us % US_PER_S + US_PER_S) % US_PER_S;
    t = (time_t)((us - rest) / US_PER_S);
    if (!gmtime_r(&t, &tm))
        return wrong(in, "point in time", err);
    for (const char *at = format; *at; at++) {
        if (*at != '%')
            buf_putc(&text, *at);
        else if (!put_conversion(&text, *++at, &tm, rest))
            return error_set_reason(err, ERR_CONFIG, "template_value",
                                    "the format \"%.60s\" has an unknown %%", format);
    }
    if (buf_ok(&text, "what a template gives", err) < 0)
        return -1;
    *out = rest_string(mem, buf_str(&text), text.len);
    return 0;
}

static int f_epoch(const struct rest_value *in, const struct filter_use *use, struct arena *mem,
                   struct rest_value *out, struct error *err)
{
    int64_t us;

    (void)use;
    if (instant(in, &us, err) < 0)
        return -1;
    *out = rest_number(mem, us / US_PER_S - (us % US_PER_S < 0));
    return 0;
}

static int f_epoch_ms(const struct rest_value *in, const struct filter_use *use, struct arena *mem,
                      struct rest_value *out, struct error *err)
{
    int64_t us;

    (void)use;
    if (instant(in, &us, err) < 0)
        return -1;
    *out = rest_number(mem, us / 1000 - (us % 1000 < 0));
    return 0;
}

/* -PT5M: the sign in front belongs to the whole; months are no fixed time and are refused. */
static int f_add(const struct rest_value *in, const struct filter_use *use, struct arena *mem,
                 struct rest_value *out, struct error *err)
{
    struct slice s = use->arg.text;
    bool minus = s.len > 0 && s.ptr[0] == '-';
    struct interval span;
    int64_t us, more;

    if (!value_parse_interval(s.ptr + minus, s.len - minus, &span) || span.months != 0)
        return wrong(&use->arg, "duration of days and time, as in -PT5M", err);
    if (instant(in, &us, err) < 0)
        return -1;
    if (__builtin_mul_overflow(span.days, US_PER_DAY, &more) ||
        __builtin_add_overflow(more, span.micros, &more) ||
        __builtin_add_overflow(us, minus ? -more : more, &us))
        return wrong(in, "point in time within reach", err);
    return put_instant(us, mem, out);
}

/* clang-format off */
static const struct filter filters[] = {
    {"default",   f_default,   true,  true},
    {"int",       f_int,       false, false},
    {"string",    f_string,    false, false},
    {"json",      f_json,      false, false},
    {"lower",     f_lower,     false, false},
    {"upper",     f_upper,     false, false},
    {"trim",      f_trim,      false, false},
    {"join",      f_join,      true,  false},
    {"split",     f_split,     true,  false},
    {"first",     f_first,     false, false},
    {"last",      f_last,      false, false},
    {"regex",     f_regex,     true,  false},
    {"urlencode", f_urlencode, false, false},
    {"base64",    f_base64,    false, false},
    {"sha256",    f_sha256,    false, false},
    {"iso",       f_iso,       false, false},
    {"date",      f_date,      true,  false},
    {"epoch",     f_epoch,     false, false},
    {"epoch_ms",  f_epoch_ms,  false, false},
    {"add",       f_add,       true,  false},
};
/* clang-format on */

const struct filter *filter_find(const char *name)
{
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
        if (strcmp(filters[i].name, name) == 0)
            return &filters[i];
    }
    return NULL;
}
