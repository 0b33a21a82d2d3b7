#include "connectors/base/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

typedef int64_t clock_fn(void);

static _Atomic(clock_fn *) fake;

static int64_t reading(clockid_t id)
{
    clock_fn *fn = atomic_load_explicit(&fake, memory_order_relaxed);
    struct timespec ts;

    if (fn)
        return fn();
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t clock_unix_us(void)
{
    return reading(CLOCK_REALTIME);
}

int64_t clock_monotonic_us(void)
{
    return reading(CLOCK_MONOTONIC);
}

void clock_fake(int64_t (*now_us)(void))
{
    atomic_store(&fake, now_us);
}

struct date {
    int64_t year;
    int month, day;
};

/* The Gregorian calendar; 400 years of 146,097 days begin on 1 March of the year 0. */
static struct date date_of(int64_t days_since_1970)
{
    int64_t z = days_since_1970 + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int day_of_era = (int)(z - era * 146097);
    int year = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int day = day_of_era - (365 * year + year / 4 - year / 100);
    int march = (5 * day + 2) / 153; /* months since March */

    return (struct date){.year = era * 400 + year + (march >= 10),
                         .month = march < 10 ? march + 3 : march - 9,
                         .day = day - (153 * march + 2) / 5 + 1};
}

/* `value` in `n` digits. */
static char *put_digits(char *out, int64_t value, int n)
{
    for (int i = n - 1; i >= 0; i--, value /= 10)
        out[i] = (char)('0' + value % 10);
    return out + n;
}

/* By hand, since every answer holds several times: the C library's way takes a lock for each. */
static void format(int64_t unix_us, int digits, char *out)
{
    int64_t seconds = unix_us / 1000000, fraction = unix_us % 1000000, days;
    struct date d;
    char *p = out;

    if (fraction < 0) {
        fraction += 1000000;
        seconds--;
    }
    days = seconds / 86400 - (seconds % 86400 < 0);
    seconds -= days * 86400;
    d = date_of(days);
    if (d.year < 0 || d.year > 9999) { /* which no clock of ours shows */
        snprintf(out, CLOCK_TEXT_BYTES, "out of range");
        return;
    }
    p = put_digits(p, d.year, 4);
    *p++ = '-';
    p = put_digits(p, d.month, 2);
    *p++ = '-';
    p = put_digits(p, d.day, 2);
    *p++ = 'T';
    p = put_digits(p, seconds / 3600, 2);
    *p++ = ':';
    p = put_digits(p, seconds / 60 % 60, 2);
    *p++ = ':';
    p = put_digits(p, seconds % 60, 2);
    *p++ = '.';
    p = put_digits(p, digits == 3 ? fraction / 1000 : fraction, digits);
    *p++ = 'Z';
    *p = '\0';
}

void clock_format_ms(int64_t unix_us, char out[static CLOCK_TEXT_BYTES])
{
    format(unix_us, 3, out);
}

void clock_format_us(int64_t unix_us, char out[static CLOCK_TEXT_BYTES])
{
    format(unix_us, 6, out);
}

/* `n` digits at *s, which moves behind them; -1 when there are fewer. */
static int digits_at(const char **s, int n)
{
    int v = 0;

    for (; n; n--, (*s)++) {
        if (**s < '0' || **s > '9')
            return -1;
        v = v * 10 + (**s - '0');
    }
    return v;
}

static bool separator(const char **s, const char *accepted)
{
    if (!**s || !strchr(accepted, **s))
        return false;
    (*s)++;
    return true;
}

bool clock_parse(const char *text, int64_t *out_unix_us)
{
    const char *s = text;
    int field[6]; /* year, month, day, hour, minute, second */
    static const char *const before[] = {"", "-", "-", "Tt ", ":", ":"};
    static const int last[] = {9999, 12, 31, 23, 59, 60};
    int64_t fraction = 0, offset = 0;
    struct tm tm = {0};

    for (int i = 0; i < 6; i++) {
        if (i && !separator(&s, before[i]))
            return false;
        field[i] = digits_at(&s, i ? 2 : 4);
        if (field[i] < 0 || field[i] > last[i])
            return false;
    }
    if (*s == '.') {
        int64_t unit = 100000;

        if (s[1] < '0' || s[1] > '9')
            return false;
        for (s++; *s >= '0' && *s <= '9'; s++, unit /= 10)
            fraction += (*s - '0') * unit;
    }
    if (*s == '+' || *s == '-') {
        int sign = *s++ == '-' ? 1 : -1;
        int hours = digits_at(&s, 2);
        int minutes = separator(&s, ":") ? digits_at(&s, 2) : -1;

        if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59)
            return false;
        offset = (int64_t)sign * (hours * 3600 + minutes * 60);
    } else if (!separator(&s, "Zz")) {
        return false;
    }
    tm.tm_year = field[0] - 1900;
    tm.tm_mon = field[1] - 1;
    tm.tm_mday = field[2];
    tm.tm_hour = field[3];
    tm.tm_min = field[4];
    if (*s || !field[1] || !field[2])
        return false;
    *out_unix_us = ((int64_t)timegm(&tm) + field[5] + offset) * 1000000 + fraction;
    return tm.tm_mday == field[2]; /* otherwise timegm made March 1 of February 30 */
}
