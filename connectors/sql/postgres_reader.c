/*
 * The PostgreSQL source: one session that can only read, in one transaction of one snapshot.
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/base/text.h"
#include "connectors/sql/postgres_oid.h"
#include "connectors/sql/postgres_source.h"

/* The least and the greatest point in time that the server takes, counted from 2000. */
#define MIN_TIMESTAMP INT64_C(-211813488000000000)
#define MAX_TIMESTAMP INT64_C(9223371331199999999)
#define MIN_DATE      INT64_C(-2451545)
#define MAX_DATE      INT64_C(2145031948)

static int64_t clamp(int64_t v, int64_t min, int64_t max)
{
    return v < min ? min : v > max ? max : v;
}

/* Infinities are the same on both sides; what the server does not have is put at its own ends. */
static int64_t to_server_us(int64_t us)
{
    int64_t out;

    if (us == VALUE_INFINITY || us == VALUE_MINUS_INFINITY)
        return us;
    if (__builtin_sub_overflow(us, POSTGRES_EPOCH_US, &out))
        return MIN_TIMESTAMP;
    return clamp(out, MIN_TIMESTAMP, MAX_TIMESTAMP);
}

static int32_t to_server_days(int64_t days)
{
    if (days == VALUE_INFINITY)
        return INT32_MAX;
    if (days == VALUE_MINUS_INFINITY)
        return INT32_MIN;
    return (int32_t)(clamp(days, MIN_DATE + POSTGRES_EPOCH_DAYS, MAX_DATE + POSTGRES_EPOCH_DAYS) -
                     POSTGRES_EPOCH_DAYS);
}

static void bind_bytes(struct arena *mem, size_t i, Oid type, const void *bytes, size_t n,
                       struct postgres_params *out)
{
    out->types[i] = type;
    out->formats[i] = 1;
    out->lengths[i] = (int)n;
    out->values[i] = arena_memdup(mem, bytes, n);
}

static void bind_number(struct arena *mem, size_t i, const struct sql_value *v,
                        struct postgres_params *out)
{
    enum type type = v->type ? v->type->type : TYPE_INT;
    uint32_t days;
    uint64_t us;

    if (type == TYPE_DATE) {
        days = htobe32((uint32_t)to_server_days(v->number));
        bind_bytes(mem, i, POSTGRES_DATE, &days, sizeof days, out);
    } else if (type == TYPE_TIMESTAMP || type == TYPE_TIMESTAMPTZ) {
        us = htobe64((uint64_t)to_server_us(v->number));
        bind_bytes(mem, i, type == TYPE_TIMESTAMP ? POSTGRES_TIMESTAMP : POSTGRES_TIMESTAMPTZ, &us,
                   sizeof us, out);
    } else if (type == TYPE_INT || type == TYPE_DECIMAL || type == TYPE_FLOAT) {
        out->types[i] = POSTGRES_INT8; /* a bound may be beyond a narrower column */
    }
}

void postgres_bind_typed(struct arena *mem, const struct sql_value *params, size_t n,
                         struct postgres_params *out)
{
    postgres_bind(mem, params, n, out);
    for (size_t i = 0; i < n; i++) {
        if (params[i].kind == SQL_INT)
            bind_number(mem, i, &params[i], out);
    }
}

int postgres_describe(struct postgres_conn *c, const char *sql, PGresult **out, struct error *err)
{
    CLEANUP(postgres_clear) PGresult *prepared = NULL;

    if (cancel_check(c->run->cancel, err) < 0)
        return -1;
    if (PQsendPrepare(c->pg, "", sql, 0, NULL))
        prepared = postgres_last_result(c);
    if (PQresultStatus(prepared) != PGRES_COMMAND_OK)
        return postgres_fail(c, prepared, "the statement is not accepted", err);
    *out = PQsendDescribePrepared(c->pg, "") ? postgres_last_result(c) : NULL;
    if (PQresultStatus(*out) == PGRES_COMMAND_OK)
        return 0;
    postgres_fail(c, *out, "the statement cannot be described", err);
    PQclear(TAKE(*out));
    return -1;
}

/* ------------------------------------------------------------------- types */

/* Which of the types that are not the server's own are arrays: "{16385,16390}". */
static int find_arrays(struct postgres_conn *c, const PGresult *described, PGresult **out,
                       struct error *err)
{
    CLEANUP(buf_release) struct buf oids = BUF_INIT((size_t)1 << 20);
    struct sql_value param;

    for (int i = 0; i < PQnfields(described); i++) {
        Oid oid = PQftype(described, i);

        if (postgres_reading_of(oid, -1, false).foreign)
            buf_printf(&oids, "%s%u", oids.len > 0 ? "," : "{", oid);
    }
    if (oids.len == 0)
        return 0;
    buf_putc(&oids, '}');
    if (buf_ok(&oids, "a list of types", err) < 0)
        return -1;
    param = sql_text(buf_str(&oids));
    return postgres_query(
        c,
        "SELECT a.oid::text FROM pg_catalog.pg_type AS a"
        " JOIN pg_catalog.pg_type AS e ON e.oid = a.typelem AND e.typarray = a.oid"
        " WHERE a.oid = ANY ($1::pg_catalog.oid[])",
        &param, 1, false, out, err);
}

static bool is_listed(const PGresult *arrays, Oid oid)
{
    for (int i = 0; arrays && i < PQntuples(arrays); i++) {
        int64_t v;

        if (text_to_int64(PQgetvalue(arrays, i, 0), (size_t)PQgetlength(arrays, i, 0), &v) &&
            v == (int64_t)oid)
            return true;
    }
    return false;
}

int postgres_readings(struct postgres_conn *c, const PGresult *described, struct arena *mem,
                      struct postgres_reading **out, struct error *err)
{
    CLEANUP(postgres_clear) PGresult *arrays = NULL;
    int n = PQnfields(described);

    if (find_arrays(c, described, &arrays, err) < 0)
        return -1;
    *out = arena_array(mem, (size_t)n + 1, sizeof **out);
    for (int i = 0; i < n; i++) {
        Oid oid = PQftype(described, i);

        (*out)[i] = postgres_reading_of(oid, PQfmod(described, i), is_listed(arrays, oid));
    }
    return 0;
}

/* -------------------------------------------------------------- the session */

static int open_reader(const void *config, struct run *run, struct sql_reader **out,
                       struct error *err)
{
    CLEANUP(postgres_clear) PGresult *result = NULL;
    const struct postgres_source *from = config;
    struct postgres_reader *r;
    struct postgres_conn *c;

    if (postgres_connect(&from->server, true, run, &c, err) < 0)
        return -1;
    if (postgres_query(c,
                       "SELECT pg_catalog.pg_try_advisory_lock_shared(" POSTGRES_READERS_CLASS
                       ", " POSTGRES_READERS_OBJECT ")",
                       NULL, 0, false, &result, err) < 0) {
        postgres_disconnect(c);
        return -1;
    }
    r = xalloc(sizeof *r);
    r->base = (struct sql_reader){&postgres_source_driver, &sql_postgres, run};
    r->conn = c;
    r->config = from;
    *out = &r->base;
    return 0;
}

static void close_reader(struct sql_reader *base)
{
    struct postgres_reader *r = (struct postgres_reader *)base;

    postgres_disconnect(r->conn);
    free(r);
}

static int run_each(struct postgres_conn *c, const char *const *statements, struct error *err)
{
    for (; *statements; statements++) {
        CLEANUP(postgres_clear) PGresult *result = NULL;

        if (postgres_query(c, *statements, NULL, 0, false, &result, err) < 0)
            return -1;
    }
    return 0;
}

/* BEGIN alone takes nothing; the first statement does. A statement that fails would end all of it
 * but for the savepoint. */
static int snapshot(struct sql_reader *base, struct error *err)
{
    static const char *const statements[] = {
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        "SELECT 1",
        "SAVEPOINT connectord",
        NULL,
    };
    struct postgres_reader *r = (struct postgres_reader *)base;

    if (run_each(r->conn, statements, err) < 0)
        return -1;
    r->in_snapshot = true;
    return 0;
}

void postgres_recover(struct postgres_reader *r)
{
    static const char *const statements[] = {"ROLLBACK TO SAVEPOINT connectord", NULL};
    struct error why = ERROR_INIT;

    if (r->in_snapshot && PQtransactionStatus(r->conn->pg) == PQTRANS_INERROR &&
        run_each(r->conn, statements, &why) < 0)
        log_debug(r->base.run->log, .message = "the snapshot is lost",
                  .fields = {log_text("error", why.message)});
}

static int number(struct sql_reader *base, const char *sql, const struct sql_value *params,
                  size_t n, int64_t *out, bool *out_null, struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    CLEANUP(postgres_clear) PGresult *result = NULL;
    struct postgres_reader *r = (struct postgres_reader *)base;
    struct postgres_params p;
    enum postgres_form form;
    bool exact = true;

    *out = 0;
    if (cancel_check(base->run->cancel, err) < 0)
        return -1;
    postgres_bind_typed(mem, params, n, &p);
    if (PQsendQueryParams(r->conn->pg, sql, (int)n, p.types, p.values, p.lengths, p.formats, 1))
        result = postgres_last_result(r->conn);
    if (PQresultStatus(result) != PGRES_TUPLES_OK || PQnfields(result) < 1) {
        postgres_fail(r->conn, result, "counting", err);
        postgres_recover(r);
        return -1;
    }
    *out_null = PQntuples(result) == 0 || PQgetisnull(result, 0, 0);
    if (*out_null)
        return 0;
    form = postgres_form_of(PQftype(result, 0));
    if (!postgres_decode_cursor(form, PQgetvalue(result, 0, 0), (size_t)PQgetlength(result, 0, 0),
                                out, &exact))
        return error_set_reason(err, ERR_INTERNAL, "protocol", "%s: a number of type %u",
                                r->conn->server_name, PQftype(result, 0));
    /* A bound that is too great takes in too much, never too little. */
    if (!exact)
        *out = VALUE_INFINITY;
    return 0;
}

const struct sql_source_driver postgres_source_driver = {
    .open = open_reader,
    .discover = postgres_discover,
    .moment = postgres_moment,
    .snapshot = snapshot,
    .number = number,
    .last_number = postgres_last_number,
    /* Where names are in no encoding, discovery leaves out those that are not UTF-8. */
    .count_columns =
        "SELECT CASE WHEN pg_catalog.current_setting('server_encoding') <> 'SQL_ASCII' THEN"
        " (SELECT pg_catalog.count(*) FROM pg_catalog.pg_attribute AS a"
        " JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid"
        " JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped"
        " AND pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT')) END",
    .select = postgres_select,
    .fetch = postgres_fetch,
    .put_key = postgres_put_key,
    .end = postgres_end,
    .close = close_reader,
};
