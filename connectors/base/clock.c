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

static void format(int64_t unix_us, int digits, char *out)
{
    int64_t seconds = unix_us / 1000000, fraction = unix_us % 1000000;
    char text[CLOCK_TEXT_BYTES];
    struct tm tm;
    time_t t;

    if (fraction < 0) {
        fraction += 1000000;
        seconds--;
    }
    t = (time_t)seconds;
    gmtime_r(&t, &tm);
    if (!strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm))
        text[0] = '\0'; /* a year of many digits, which no clock of ours shows */
    snprintf(out, CLOCK_TEXT_BYTES, "%.19s.%0*dZ", text, digits,
             (int)(digits == 3 ? fraction / 1000 : fraction) % 1000000);
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
