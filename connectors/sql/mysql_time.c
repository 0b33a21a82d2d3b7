/*
 * Dates and times as the client library gives them: in numbers, and not always a date.
 */
#include <stdio.h>

#include "connectors/sql/mysql_source.h"

#define US_PER_SECOND INT64_C(1000000)

/* A server may send any number. */
static bool is_clock(const MYSQL_TIME *t)
{
    return t->minute < 60 && t->second < 60 && t->second_part < 1000000;
}

static int64_t time_us(const MYSQL_TIME *t)
{
    return ((int64_t)t->hour * 3600 + (int64_t)t->minute * 60 + t->second) * US_PER_SECOND +
           (int64_t)t->second_part;
}

/* Microseconds, or days for a date; false for a date that is none. */
static bool instant_of(const MYSQL_TIME *t, bool date, int64_t *out)
{
    int64_t days;

    if (!is_clock(t) || t->hour > 23 || !value_days_from_date(t->year, t->month, t->day, &days))
        return false;
    *out = date ? days : days * VALUE_US_PER_DAY + time_us(t);
    return true;
}

enum type mysql_time_type(enum enum_field_types type)
{
    if (type == MYSQL_TYPE_DATE)
        return TYPE_DATE;
    if (type == MYSQL_TYPE_TIME)
        return TYPE_TIME;
    return type == MYSQL_TYPE_TIMESTAMP ? TYPE_TIMESTAMPTZ : TYPE_TIMESTAMP;
}

bool mysql_time_read(const MYSQL_TIME *t, enum enum_field_types type, int64_t *out)
{
    if (type != MYSQL_TYPE_TIME)
        return instant_of(t, type == MYSQL_TYPE_DATE, out);
    if (t->neg || !is_clock(t) || t->day > 1 || t->day * 24 + t->hour > 24)
        return false;
    *out = t->day * VALUE_US_PER_DAY + time_us(t);
    return *out <= VALUE_US_PER_DAY;
}

int64_t mysql_time_above(const MYSQL_TIME *t, enum enum_field_types type)
{
    MYSQL_TIME next = {.year = t->year, .month = t->month ? t->month : 1, .day = 1};
    int64_t v = 0;

    if (t->month > 0 && t->day > 0 && ++next.month > 12) {
        next.month = 1;
        next.year++;
    }
    instant_of(&next, type == MYSQL_TYPE_DATE, &v);
    return v;
}

size_t mysql_time_format(const MYSQL_TIME *t, enum enum_field_types type, unsigned fraction,
                         char out[static VALUE_TEXT_BYTES])
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(VALUE_TEXT_BYTES);
    char digits[24];

    if (type == MYSQL_TYPE_TIME)
        buf_printf(&text, "%s%02u:", t->neg ? "-" : "", t->day * 24 + t->hour);
    else
        buf_printf(&text, "%04u-%02u-%02u", t->year, t->month, t->day);
    if (type == MYSQL_TYPE_TIME)
        buf_printf(&text, "%02u:%02u", t->minute, t->second);
    else if (type != MYSQL_TYPE_DATE)
        buf_printf(&text, " %02u:%02u:%02u", t->hour, t->minute, t->second);
    if (type != MYSQL_TYPE_DATE && fraction > 0) {
        snprintf(digits, sizeof digits, "%06lu", t->second_part);
        buf_printf(&text, ".%.*s", (int)fraction, digits);
    }
    memcpy(out, buf_str(&text), text.len);
    return text.len;
}
