/*
 * SQL functions that only our own statements use.
 *
 * connectord_convert(value, from, to): the text that a column of the wider type holds, for a stored
 * value of the narrower one; used when a table is rebuilt.
 * connectord_instant(value, type): a date, timestamp or instant as a number that can be compared,
 * in days or microseconds; NULL for what is none, and for years of five digits without a sign,
 * since they sort before 2024 as text. Text is compared by meaning: '2024-01-01 00:00:00',
 * '2024-01-01T00:00:00' and '2024-01-01T00:00:00.000' are one point in time.
 * connectord_value(value, type): a bool as 0 or 1, a time or a UUID in its canonical text; NULL for
 * what is none.
 */
#include <sqlite3.h>
#include <string.h>

#include "connectors/base/text.h"
#include "connectors/sql/convert.h"
#include "connectors/sql/sqlite_internal.h"

static struct column_type type_argument(sqlite3_value *v)
{
    struct column_type t;
    const char *name = (const char *)sqlite3_value_text(v);

    return name && type_parse(name, &t) ? t : type_plain(TYPE_STRING);
}

/* The canonical text of a value as we store it. */
static void put_canonical(sqlite3_value *v, struct column_type from, struct buf *out)
{
    char digits[VALUE_TEXT_BYTES];

    switch (sqlite3_value_type(v)) {
    case SQLITE_INTEGER:
        if (from.type == TYPE_BOOL)
            buf_puts(out, sqlite3_value_int64(v) ? "true" : "false");
        else
            buf_put(out, digits, text_from_int64(sqlite3_value_int64(v), digits));
        return;
    case SQLITE_FLOAT:
        buf_put(out, digits,
                value_format_float(sqlite3_value_double(v), from.bits == 32 ? 32 : 64, digits));
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
    struct column_type from = type_argument(args[1]), to = type_argument(args[2]);

    (void)n;
    if (sqlite3_value_type(args[0]) == SQLITE_NULL)
        return;
    put_canonical(args[0], from, &text);
    sql_convert_text(from.type, to.type, buf_str(&text), text.len, &out);
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
    enum type t = type_argument(args[1]).type;
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

static void put_bool(sqlite3_context *ctx, sqlite3_value *v)
{
    bool parsed;

    if (sqlite3_value_type(v) == SQLITE_INTEGER) {
        if (sqlite3_value_int64(v) == 0 || sqlite3_value_int64(v) == 1)
            sqlite3_result_value(ctx, v);
    } else if (sqlite3_value_type(v) == SQLITE_TEXT &&
               value_parse_bool((const char *)sqlite3_value_text(v), (size_t)sqlite3_value_bytes(v),
                                &parsed)) {
        sqlite3_result_int(ctx, parsed);
    }
}

static void put_uuid(sqlite3_context *ctx, sqlite3_value *v)
{
    char out[VALUE_TEXT_BYTES];
    unsigned char uuid[16];
    bool ok = false;

    if (sqlite3_value_type(v) == SQLITE_TEXT) {
        ok = value_parse_uuid((const char *)sqlite3_value_text(v), (size_t)sqlite3_value_bytes(v),
                              uuid);
    } else if (sqlite3_value_type(v) == SQLITE_BLOB && sqlite3_value_bytes(v) == 16) {
        memcpy(uuid, sqlite3_value_blob(v), sizeof uuid);
        ok = true;
    }
    if (ok)
        sqlite3_result_text(ctx, out, (int)value_format_uuid(uuid, out), SQLITE_TRANSIENT);
}

static void put_time(sqlite3_context *ctx, sqlite3_value *v)
{
    char out[VALUE_TEXT_BYTES];
    int64_t us;

    if (sqlite3_value_type(v) == SQLITE_TEXT &&
        value_parse_time((const char *)sqlite3_value_text(v), (size_t)sqlite3_value_bytes(v), &us))
        sqlite3_result_text(ctx, out, (int)value_format_time(us, out), SQLITE_TRANSIENT);
}

static void value(sqlite3_context *ctx, int n, sqlite3_value **args)
{
    (void)n;
    switch (type_argument(args[1]).type) {
    case TYPE_BOOL:
        put_bool(ctx, args[0]);
        return;
    case TYPE_TIME:
        put_time(ctx, args[0]);
        return;
    case TYPE_UUID:
        put_uuid(ctx, args[0]);
        return;
    case TYPE_INT:
    case TYPE_DECIMAL:
    case TYPE_FLOAT:
    case TYPE_STRING:
    case TYPE_BYTES:
    case TYPE_DATE:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
    case TYPE_INTERVAL:
    case TYPE_JSON:
    case TYPE_COUNT:
        sqlite3_result_value(ctx, args[0]);
    }
}

int sqlite_add_functions(struct sqlite_conn *c, struct error *err)
{
    static const struct {
        const char *name;
        int n_args;
        void (*call)(sqlite3_context *ctx, int n, sqlite3_value **args);
    } functions[] = {
        {"connectord_convert", 3, convert},
        {"connectord_instant", 2, instant},
        {"connectord_value", 2, value},
    };
    const int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY;
    int rc = SQLITE_OK;

    for (size_t i = 0; i < sizeof functions / sizeof functions[0] && rc == SQLITE_OK; i++)
        rc = sqlite3_create_function_v2(c->db, functions[i].name, functions[i].n_args, flags, NULL,
                                        functions[i].call, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : sqlite_fail(c, rc, "preparing the connection", err);
}
