#include "connectors/sql/literal.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "connectors/base/text.h"

static const char *skip_digits(const char *s)
{
    while (isdigit((unsigned char)*s))
        s++;
    return s;
}

bool literal_is_number(const char *sql)
{
    const char *s = sql + (*sql == '-' || *sql == '+');
    const char *whole = s, *behind = skip_digits(s);
    bool some = behind > whole;

    if (*behind == '.') {
        s = skip_digits(behind + 1);
        some |= s > behind + 1;
        behind = s;
    }
    if (some && (*behind == 'e' || *behind == 'E')) {
        s = behind + 1;
        s += *s == '-' || *s == '+';
        behind = skip_digits(s);
        some = behind > s;
    }
    return some && *behind == '\0';
}

bool literal_is_plain_integer(const char *sql)
{
    const char *s = sql + (*sql == '-');
    int64_t ignored;

    return *s && *skip_digits(s) == '\0' && (*s != '0' || strcmp(sql, "0") == 0) &&
           text_to_int64(sql, strlen(sql), &ignored);
}

/* What a backslash and this letter stand for; anything else stands for itself. */
static char unescape(char letter)
{
    static const char letters[256] = {
        ['n'] = '\n', ['r'] = '\r', ['t'] = '\t', ['b'] = '\b', ['Z'] = 26};
    char c = letters[(unsigned char)letter];

    return c ? c : letter;
}

bool literal_read_text(const char *sql, char quote, enum literal_escape how, struct buf *out)
{
    const char *s = sql;

    if (*s++ != quote)
        return false;
    for (; *s; s++) {
        if (*s == quote && *++s != quote)
            return *s == '\0';
        if (*s != '\\' || how == LITERAL_DOUBLED) {
            buf_putc(out, *s);
            continue;
        }
        if (*++s == '0' || *s == '\0')
            return false; /* a zero byte: no text of ours has one here */
        buf_putc(out, unescape(*s));
    }
    return false;
}

bool literal_read_bytes(const char *sql, struct buf *out)
{
    CLEANUP(buf_release) struct buf raw = BUF_INIT((size_t)1 << 20);
    size_t n = strlen(sql);

    if (strncasecmp(sql, "x'", 2) != 0 || n < 3 || sql[n - 1] != '\'' ||
        !text_unhex(&raw, sql + 2, n - 3))
        return false;
    text_put_base64(out, raw.data, raw.len);
    return true;
}

bool literal_read_bits(const char *sql, struct buf *out)
{
    const char *s = sql + 2;
    int64_t v = 0;

    if (strncasecmp(sql, "b'", 2) != 0)
        return false;
    for (; *s == '0' || *s == '1'; s++) {
        if (v > INT64_MAX / 2)
            return false;
        v = v << 1 | (*s - '0');
    }
    if (s == sql + 2 || strcmp(s, "'") != 0)
        return false;
    buf_printf(out, "%lld", (long long)v);
    return true;
}
