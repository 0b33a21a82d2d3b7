#include <string.h>
#include <strings.h>

#include "connectors/base/text.h"
#include "connectors/data/value.h"

#define US_PER_SECOND INT64_C(1000000)
#define MAX_OFFSET    (16 * INT64_C(3600)) /* seconds, exclusive: what PostgreSQL takes */

struct cursor {
    const char *at, *end;
};

static bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

/* Two digits as a number, or something above 99. */
static unsigned two(const char *s)
{
    unsigned a = (unsigned)(unsigned char)s[0] - '0', b = (unsigned)(unsigned char)s[1] - '0';

    return a > 9 || b > 9 ? 100 : 10 * a + b;
}

static void put_two(char *out, unsigned v)
{
    out[0] = (char)('0' + v / 10);
    out[1] = (char)('0' + v % 10);
}

/* --------------------------------------------------------------------- days */

/* Days since 1970 of the first of March of year 0, and of 400 years: the arithmetic counts years
 * that begin in March, so that the leap day is the last one. */
#define DAYS_BEFORE_1970 719468
#define DAYS_PER_ERA     INT64_C(146097)

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static unsigned month_days(int64_t year, unsigned month)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

bool value_days_from_date(int64_t year, unsigned month, unsigned day, int64_t *out)
{
    int64_t y, era, rest;
    unsigned year_of_era, day_of_year;

    if (month - 1 > 11 || day - 1 >= month_days(year, month))
        return false;
    y = year - (month <= 2);
    era = (y >= 0 ? y : y - 399) / 400;
    year_of_era = (unsigned)(y - era * 400);
    day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    rest = (int64_t)(year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year) -
           DAYS_BEFORE_1970;
    /* The product alone may not pass the end of 64 bits where the sum does not. */
    if (era > 4) {
        era -= 5;
        rest += 5 * DAYS_PER_ERA;
    }
    return !__builtin_mul_overflow(era, DAYS_PER_ERA, &era) &&
           !__builtin_add_overflow(era, rest, out);
}

int64_t value_date_from_days(int64_t days, unsigned *month, unsigned *day)
{
    /* Divided before the origin is moved: every 64-bit number of days has a date. */
    int64_t era = days / DAYS_PER_ERA;
    int64_t rest = days % DAYS_PER_ERA + DAYS_BEFORE_1970;
    unsigned day_of_era, year_of_era, day_of_year, shifted;

    era += rest / DAYS_PER_ERA; /* never negative: the origin is nearly five eras back */
    day_of_era = (unsigned)(rest % DAYS_PER_ERA);
    year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    shifted = (5 * day_of_year + 2) / 153;
    *day = day_of_year - (153 * shifted + 2) / 5 + 1;
    *month = shifted < 10 ? shifted + 3 : shifted - 9;
    return era * 400 + year_of_era + (*month <= 2);
}

/* ------------------------------------------------------------------- parsing */

static bool parse_infinity(const char *s, size_t n, int64_t *out)
{
    bool minus = n && s[0] == '-';

    if (n - minus != 8 || strncasecmp(s + minus, "infinity", 8) != 0)
        return false;
    *out = minus ? VALUE_MINUS_INFINITY : VALUE_INFINITY;
    return true;
}

/* "YYYY-MM-DD", the year with a sign or more than four digits where it needs them. */
static bool take_date(struct cursor *c, int64_t *out_days)
{
    const char *p = c->at;
    bool sign = p < c->end && (*p == '-' || *p == '+');
    const char *digits = p + sign;
    int64_t year = 0;
    bool ok;

    for (p = digits; p < c->end && is_digit(*p); p++) {
        if (p - digits > 16)
            return false;
        year = 10 * year + (*p - '0');
    }
    if (p - digits < 4 || c->end - p < 6 || p[0] != '-' || p[3] != '-')
        return false;
    ok = value_days_from_date(*c->at == '-' ? -year : year, two(p + 1), two(p + 4), out_days);
    c->at = p + 6;
    return ok;
}

/* Microseconds behind the point; digits beyond the sixth may only be zeros. */
static bool take_fraction(struct cursor *c, int64_t *out_us)
{
    static const int64_t units[] = {100000, 10000, 1000, 100, 10, 1, 0, 0, 0};
    const char *p = c->at;
    size_t i = 0;

    for (; p < c->end && is_digit(*p); p++, i++) {
        if (i == 9 || (*p != '0' && !units[i]))
            return false;
        *out_us += (*p - '0') * units[i];
    }
    c->at = p;
    return i > 0;
}

/* "HH:MM[:SS[.f]]"; 24:00:00 is the end of the day. */
static bool take_time(struct cursor *c, int64_t *out_us)
{
    const char *p = c->at;
    unsigned hour, minute, second = 0;
    int64_t us = 0;

    if (c->end - p < 5 || p[2] != ':')
        return false;
    hour = two(p);
    minute = two(p + 3);
    p += 5;
    if (c->end - p >= 3 && p[0] == ':') {
        second = two(p + 1);
        p += 3;
        if (p < c->end && *p == '.') {
            c->at = p + 1;
            if (!take_fraction(c, &us))
                return false;
            p = c->at;
        }
    }
    c->at = p;
    if (hour > 24 || minute > 59 || second > 59)
        return false;
    *out_us = (int64_t)((hour * 60 + minute) * 60 + second) * US_PER_SECOND + us;
    return *out_us <= VALUE_US_PER_DAY;
}

/* "Z" or "+HH[[:]MM[:SS]]" up to the end; seconds east of Greenwich. */
static bool take_offset(struct cursor *c, int64_t *out_seconds)
{
    const char *p = c->at;
    size_t n = (size_t)(c->end - p);
    unsigned hour, minute = 0, second = 0;

    if (n == 1) {
        *out_seconds = 0;
        return *p == 'Z' || *p == 'z';
    }
    if (n < 3 || (*p != '+' && *p != '-'))
        return false;
    hour = two(p + 1);
    if (n == 5) {
        minute = two(p + 3);
    } else if (n == 6 || n == 9) {
        minute = p[3] == ':' ? two(p + 4) : 100;
        second = n == 6 ? 0 : p[6] == ':' ? two(p + 7) : 100;
    } else if (n != 3) {
        return false;
    }
    if (hour > 99 || minute > 59 || second > 59)
        return false;
    *out_seconds = (hour * 60 + minute) * 60 + second;
    if (*out_seconds >= MAX_OFFSET)
        return false;
    if (*p == '-')
        *out_seconds = -*out_seconds;
    return true;
}

bool value_parse_date(const char *s, size_t n, int64_t *out_days)
{
    struct cursor c = {s, s + n};

    if (take_date(&c, out_days) && c.at == c.end)
        return *out_days != VALUE_INFINITY && *out_days != VALUE_MINUS_INFINITY;
    return parse_infinity(s, n, out_days);
}

bool value_parse_time(const char *s, size_t n, int64_t *out_us)
{
    struct cursor c = {s, s + n};

    return take_time(&c, out_us) && c.at == c.end;
}

/* Date and time of day; the cursor stands behind them. A day ends where the next one begins, so
 * 24:00:00 has no place here. A date alone is its midnight, but no instant. */
static bool take_timestamp(struct cursor *c, bool needs_time, int64_t *out_us)
{
    int64_t days, us = 0;

    if (!take_date(c, &days))
        return false;
    if (c->at < c->end && (*c->at == 'T' || *c->at == ' ' || *c->at == 't')) {
        c->at++;
        if (!take_time(c, &us) || us == VALUE_US_PER_DAY)
            return false;
    } else if (needs_time) {
        return false;
    }
    /* One day less and the rest back, because the first day of the range is not whole. */
    if (days < 0) {
        days++;
        us -= VALUE_US_PER_DAY;
    }
    return !__builtin_mul_overflow(days, VALUE_US_PER_DAY, out_us) &&
           !__builtin_add_overflow(*out_us, us, out_us);
}

static bool is_finite(int64_t us)
{
    return us != VALUE_INFINITY && us != VALUE_MINUS_INFINITY;
}

bool value_parse_timestamp(const char *s, size_t n, int64_t *out_us)
{
    struct cursor c = {s, s + n};

    if (take_timestamp(&c, false, out_us) && c.at == c.end)
        return is_finite(*out_us);
    return parse_infinity(s, n, out_us);
}

bool value_parse_timestamptz(const char *s, size_t n, int64_t *out_us)
{
    struct cursor c = {s, s + n};
    int64_t offset;

    if (take_timestamp(&c, true, out_us) && take_offset(&c, &offset))
        return !__builtin_sub_overflow(*out_us, offset * US_PER_SECOND, out_us) &&
               is_finite(*out_us);
    return parse_infinity(s, n, out_us);
}

/* ---------------------------------------------------------------- formatting */

static size_t put_infinity(int64_t v, char *out)
{
    static const char text[] = "-infinity";
    size_t skip = v == VALUE_INFINITY;

    memcpy(out, text + skip, sizeof text - 1 - skip);
    return sizeof text - 1 - skip;
}

static size_t put_year(int64_t year, char *out)
{
    char digits[24];
    size_t n, len = 0;

    if (year >= 0 && year <= 9999) {
        put_two(out, (unsigned)year / 100);
        put_two(out + 2, (unsigned)year % 100);
        return 4;
    }
    out[len++] = year < 0 ? '-' : '+';
    n = text_from_int64(year < 0 ? -year : year, digits);
    for (size_t zeros = n; zeros < 4; zeros++)
        out[len++] = '0';
    memcpy(out + len, digits, n);
    return len + n;
}

static size_t put_date(int64_t days, char *out)
{
    unsigned month, day;
    size_t n = put_year(value_date_from_days(days, &month, &day), out);

    out[n] = '-';
    put_two(out + n + 1, month);
    out[n + 3] = '-';
    put_two(out + n + 4, day);
    return n + 6;
}

/* Six decimals without the zeros at their end. */
static size_t put_fraction(unsigned us, char *out)
{
    size_t n = 7;

    if (!us)
        return 0;
    out[0] = '.';
    put_two(out + 1, us / 10000);
    put_two(out + 3, us / 100 % 100);
    put_two(out + 5, us % 100);
    while (out[n - 1] == '0')
        n--;
    return n;
}

/* Up to a day and a little more: `us` is not negative. */
static size_t put_time(int64_t us, char *out)
{
    unsigned seconds = (unsigned)(us / US_PER_SECOND);

    put_two(out, seconds / 3600);
    out[2] = ':';
    put_two(out + 3, seconds / 60 % 60);
    out[5] = ':';
    put_two(out + 6, seconds % 60);
    return 8 + put_fraction((unsigned)(us % US_PER_SECOND), out + 8);
}

static size_t put_timestamp(int64_t us, char *out)
{
    int64_t rest, days = value_split_us(us, &rest);
    size_t n = put_date(days, out);

    out[n++] = 'T';
    return n + put_time(rest, out + n);
}

size_t value_format_date(int64_t days, char out[static VALUE_TEXT_BYTES])
{
    return is_finite(days) ? put_date(days, out) : put_infinity(days, out);
}

/* A time outside of the day exists in no source; it is shown modulo a day rather than as garbage.
 */
size_t value_format_time(int64_t us, char out[static VALUE_TEXT_BYTES])
{
    if (us < 0 || us > VALUE_US_PER_DAY)
        us = (us % VALUE_US_PER_DAY + VALUE_US_PER_DAY) % VALUE_US_PER_DAY;
    return put_time(us, out);
}

size_t value_format_timestamp(int64_t us, char out[static VALUE_TEXT_BYTES])
{
    return is_finite(us) ? put_timestamp(us, out) : put_infinity(us, out);
}

size_t value_format_timestamptz(int64_t us, char out[static VALUE_TEXT_BYTES])
{
    size_t n;

    if (!is_finite(us))
        return put_infinity(us, out);
    n = put_timestamp(us, out);
    out[n++] = 'Z';
    return n;
}
