#include "connectors/http/retry.h"

#include <string.h>
#include <strings.h>
#include <time.h>

#include "connectors/base/hash.h"
#include "connectors/base/text.h"

#define WAIT_MAX_MS INT64_C(31622400000) /* a year: more is nonsense */

static uint64_t random_below(uint64_t bound)
{
    uint64_t r;

    hash_random(&r, sizeof r);
    return bound ? r % bound : 0;
}

int64_t retry_backoff_ms(int64_t base_ms, int64_t cap_ms, int64_t n)
{
    int64_t most = base_ms > 0 ? base_ms : 0;

    while (n-- > 0 && most < cap_ms)
        most *= 2;
    return (int64_t)random_below((uint64_t)(most < cap_ms ? most : cap_ms) + 1);
}

int64_t retry_jitter_ms(int64_t ms)
{
    return ms + (int64_t)random_below((uint64_t)(ms > 0 ? ms / 10 : 0) + 1);
}

/* ---------------------------------------------------------------------- dates */

static bool take_number(const char **at, size_t digits, int *out)
{
    int64_t v;

    if (strspn(*at, "0123456789") < digits || !text_to_int64(*at, digits, &v))
        return false;
    *out = (int)v;
    *at += digits;
    return true;
}

static bool take_month(const char **at, int *out)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

    for (int i = 0; i < 12; i++) {
        if (strncasecmp(*at, &names[3 * (size_t)i], 3) == 0) {
            *out = i;
            *at += 3;
            return true;
        }
    }
    return false;
}

static bool take(const char **at, const char *text)
{
    size_t n = strlen(text);

    if (strncmp(*at, text, n) != 0)
        return false;
    *at += n;
    return true;
}

static bool take_clock(const char **at, struct tm *tm)
{
    return take_number(at, 2, &tm->tm_hour) && take(at, ":") && take_number(at, 2, &tm->tm_min) &&
           take(at, ":") && take_number(at, 2, &tm->tm_sec);
}

/* "06 Nov 1994 08:49:37 GMT", or with dashes and a year of two digits. */
static bool take_day_first(const char **at, struct tm *tm)
{
    bool dashes;
    int year;

    if (!take_number(at, 2, &tm->tm_mday))
        return false;
    dashes = **at == '-';
    if (!take(at, dashes ? "-" : " ") || !take_month(at, &tm->tm_mon) ||
        !take(at, dashes ? "-" : " ") || !take_number(at, dashes ? 2 : 4, &year))
        return false;
    tm->tm_year = dashes ? year + (year < 70 ? 100 : 0) : year - 1900;
    return take(at, " ") && take_clock(at, tm) && take(at, " GMT");
}

/* "Nov  6 08:49:37 1994" */
static bool take_month_first(const char **at, struct tm *tm)
{
    int year;

    if (!take_month(at, &tm->tm_mon) || !take(at, " "))
        return false;
    if (!take_number(at, take(at, " ") ? 1 : 2, &tm->tm_mday) || !take(at, " ") ||
        !take_clock(at, tm) || !take(at, " ") || !take_number(at, 4, &year))
        return false;
    tm->tm_year = year - 1900;
    return true;
}

bool retry_parse_date(const char *text, int64_t *out_unix_us)
{
    const char *comma = strchr(text, ','), *at = comma ? comma + 1 : text;
    struct tm tm = {0};
    time_t t;
    bool good;

    if (comma) {
        at += strspn(at, " ");
        good = take_day_first(&at, &tm);
    } else {
        good = strlen(text) > 4 && text[3] == ' ';
        at += good ? 4 : 0;
        good = good && take_month_first(&at, &tm);
    }
    if (!good || *at || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 || tm.tm_min > 59 ||
        tm.tm_sec > 60)
        return false;
    t = timegm(&tm);
    *out_unix_us = (int64_t)t * 1000000;
    return true;
}

bool retry_after_ms(const char *retry_after, const char *date, int64_t now_unix_us, int64_t *out_ms)
{
    int64_t when, then = now_unix_us, seconds;
    double fraction;

    if (text_to_int64(retry_after, strlen(retry_after), &seconds)) {
        *out_ms = seconds <= 0 ? 0 : seconds > WAIT_MAX_MS / 1000 ? WAIT_MAX_MS : seconds * 1000;
        return true;
    }
    if (text_to_double(retry_after, strlen(retry_after), &fraction)) { /* "1.5" is seen */
        *out_ms = fraction <= 0 ? 0 : fraction > 3e7 ? WAIT_MAX_MS : (int64_t)(fraction * 1000);
        return true;
    }
    if (!retry_parse_date(retry_after, &when))
        return false;
    if (date && !retry_parse_date(date, &then))
        then = now_unix_us;
    *out_ms = when <= then                         ? 0
              : (when - then) / 1000 > WAIT_MAX_MS ? WAIT_MAX_MS
                                                   : (when - then) / 1000;
    return true;
}
