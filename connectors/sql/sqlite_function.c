/*
 * SQL functions that only our own statements use.
 *
 * connectord_convert(value, from, to): the text that a column of the wider type holds, for a stored
 * value of the narrower one; used when a table is rebuilt.
 * connectord_instant(value, type): a date, timestamp or instant as a number that can be compared,
 * in days or microseconds; NULL for what is none, and for years of five digits without a sign,
 * since they sort before 2024 as text. Text is compared by meaning: '2024-01-01 00:00:00',
 * '2024-01-01T00:00:00' and '2024-01-01T00:00:00.000' are one point in time.
 */
#include <sqlite3.h>

#include "connectors/base/text.h"
#include "connectors/sql/convert.h"
#include "connectors/sql/sqlite_internal.h"

static enum type type_argument(sqlite3_value *v)
{
    enum type t = TYPE_STRING;
    const char *name = (const char *)sqlite3_value_text(v);

    if (name)
        type_from_name(name, &t);
    return t;
}

/* The canonical text of a value as we store it. */
static void put_canonical(sqlite3_value *v, enum type from, struct buf *out)
{
    char digits[VALUE_TEXT_BYTES];

    switch (sqlite3_value_type(v)) {
    case SQLITE_INTEGER:
        if (from == TYPE_BOOL)
            buf_puts(out, sqlite3_value_int64(v) ? "true" : "false");
        else
            buf_put(out, digits, text_from_int64(sqlite3_value_int64(v), digits));
        return;
    case SQLITE_FLOAT:
        buf_put(out, digits, value_format_float(sqlite3_value_double(v), 64, digits));
        return;
    case SQLITE_BLOB:
        text_put_base64(out, sqlite3_value_blob(v), (size_t)sqlite3_value_bytes(v));
        return;
    default:
        buf_put(out, sqlite3_value_text(v), (size_t)sqlite3_value_bytes(v));
    }
}

static void convert(sqlite3_context *ctx, int n, sqlite3_value **args)
{
    struct buf text = BUF_INIT(2 * BATCH_MAX_VALUE), out = BUF_INIT(4 * BATCH_MAX_VALUE);
    enum type from = type_argument(args[1]), to = type_argument(args[2]);

    (void)n;
    if (sqlite3_value_type(args[0]) == SQLITE_NULL)
        return;
    put_canonical(args[0], from, &text);
    sql_convert_text(from, to, buf_str(&text), text.len, &out);
    if (text.failed || out.failed)
        sqlite3_result_error_toobig(ctx);
    else
        sqlite3_result_text64(ctx, buf_str(&out), out.len, SQLITE_TRANSIENT, SQLITE_UTF8);
    buf_release(&text);
    buf_release(&out);
}

static void instant(sqlite3_context *ctx, int n, sqlite3_value **args)
{
    const char *s = (const char *)sqlite3_value_text(args[0]);
    size_t len = (size_t)sqlite3_value_bytes(args[0]);
    enum type t = type_argument(args[1]);
    int64_t v;
    bool ok;

    (void)n;
    if (sqlite3_value_type(args[0]) != SQLITE_TEXT || !s ||
        (len > 4 && s[0] >= '0' && s[0] <= '9' && s[4] != '-'))
        return;
    if (t == TYPE_DATE)
        ok = value_parse_date(s, len, &v);
    else if (t == TYPE_TIMESTAMP)
        ok = value_parse_timestamp(s, len, &v);
    else if (t == TYPE_TIMESTAMPTZ)
        ok = value_parse_timestamptz(s, len, &v);
    else /* undeclared: with or without a zone */
        ok = value_parse_timestamptz(s, len, &v) || value_parse_timestamp(s, len, &v);
    if (ok)
        sqlite3_result_int64(ctx, v);
}

int sqlite_add_functions(struct sqlite_conn *c, struct error *err)
{
    const int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY;
    int rc = sqlite3_create_function_v2(c->db, "connectord_convert", 3, flags, NULL, convert, NULL,
                                        NULL, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_create_function_v2(c->db, "connectord_instant", 2, flags, NULL, instant, NULL,
                                        NULL, NULL);
    return rc == SQLITE_OK ? 0 : sqlite_fail(c, rc, "preparing the connection", err);
}
