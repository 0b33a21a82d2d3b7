/*
 * What is going on in the database: the clock, the open transactions, the numbers given out.
 *
 * A transaction is known by its virtual number, which it has from its beginning, and by its real
 * one as soon as it writes. PREPARE TRANSACTION ends the session's part: the prepared transaction
 * keeps the real number, also over a restart, and as long as the server runs the virtual one too.
 * So both are tokens. Neither needs a privilege. What cannot be told to belong to another database
 * counts as open here; sessions are looked up after the locks, when all that hold some are known.
 */
#include "connectors/base/text.h"
#include "connectors/sql/postgres_source.h"

/* The clock of the statement is read when it arrives, so before its locks. Sessions that hold the
 * lock of our readers do not write; nor does autovacuum, which has no user. */
static const char moment_query[] =
    "WITH here AS (SELECT oid, 'v:' || to_hex(extract(epoch FROM"
    " pg_catalog.pg_postmaster_start_time())::int8) || '/' AS start FROM pg_catalog.pg_database"
    " WHERE datname = pg_catalog.current_database()),"
    " held AS (SELECT locktype, virtualtransaction AS v, transactionid AS x, pid, classid, objid,"
    " objsubid, database FROM pg_catalog.pg_locks WHERE granted"
    " AND locktype IN ('virtualxid', 'transactionid', 'advisory')),"
    " readers AS (SELECT pid FROM held, here WHERE locktype = 'advisory' AND objsubid = 2"
    " AND classid = " POSTGRES_READERS_CLASS " AND objid = " POSTGRES_READERS_OBJECT
    " AND database = here.oid),"
    " elsewhere AS (SELECT held.v FROM held JOIN pg_catalog.pg_prepared_xacts AS p"
    " ON p.transaction = held.x AND held.pid IS NULL"
    " WHERE p.database <> pg_catalog.current_database()),"
    " open AS (SELECT held.locktype, held.v, held.x FROM here, held"
    " LEFT JOIN LATERAL pg_catalog.pg_stat_get_activity(coalesce(held.pid, 0)) AS a ON true"
    " WHERE held.locktype <> 'advisory' AND CASE"
    " WHEN held.pid IS NULL THEN held.v NOT IN (SELECT v FROM elsewhere)"
    " WHEN a.pid IS NULL THEN true"
    " ELSE a.datid IS NOT DISTINCT FROM here.oid AND a.usesysid IS NOT NULL"
    " AND a.pid <> pg_catalog.pg_backend_pid() AND a.pid NOT IN (SELECT pid FROM readers) END)"
    " SELECT pg_catalog.statement_timestamp(), pg_catalog.pg_is_in_recovery(),"
    " pg_catalog.pg_last_xact_replay_timestamp(), t.token FROM here LEFT JOIN"
    " (SELECT here.start || v AS token FROM open, here"
    " UNION SELECT 'x:' || x::text FROM open WHERE locktype = 'transactionid') AS t ON true";

static bool take_time(const PGresult *result, int column, int64_t *out)
{
    bool exact;

    return !PQgetisnull(result, 0, column) &&
           postgres_decode_cursor(POSTGRES_FORM_TIMESTAMPTZ, PQgetvalue(result, 0, column),
                                  (size_t)PQgetlength(result, 0, column), out, &exact);
}

int postgres_moment(struct sql_reader *base, struct arena *mem, struct sql_moment *out,
                    struct error *err)
{
    CLEANUP(postgres_clear) PGresult *result = NULL;
    struct postgres_reader *r = (struct postgres_reader *)base;
    const char **tokens;
    int64_t replayed;
    bool standby;
    int n;

    *out = (struct sql_moment){0};
    if (postgres_query(r->conn, moment_query, NULL, 0, true, &result, err) < 0)
        return -1;
    n = PQntuples(result);
    if (n < 1 || PQnfields(result) != 4 || PQgetlength(result, 0, 1) != 1 ||
        !take_time(result, 0, &out->unix_us))
        return error_set_reason(err, ERR_INTERNAL, "protocol", "%s: no time in the answer",
                                r->conn->server_name);
    standby = *PQgetvalue(result, 0, 1) != 0;
    out->visible = !standby;
    if (standby && take_time(result, 2, &replayed) && replayed < out->unix_us)
        out->unix_us = replayed;
    tokens = arena_array(mem, (size_t)n, sizeof *tokens);
    for (int i = 0; i < n; i++) {
        if (!PQgetisnull(result, i, 3))
            tokens[out->n_open++] =
                arena_memdup(mem, PQgetvalue(result, i, 3), (size_t)PQgetlength(result, i, 3));
    }
    out->open = tokens;
    return 0;
}

/* ---------------------------------------------------------------- sequences */

/* Of an identity column, or of a default that is nothing but the next number of a sequence. */
static const char sequence_query[] =
    "WITH c AS (SELECT c.oid, a.attnum, d.oid AS def FROM pg_catalog.pg_class AS c"
    " JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
    " JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid"
    " LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum"
    " AND pg_catalog.pg_get_expr(d.adbin, d.adrelid) ~ '^nextval\\(''[^'']+''::regclass\\)$'"
    " WHERE n.nspname = $1 AND c.relname = $2 AND a.attname = $3 AND a.attnum > 0"
    " AND c.relkind IN ('r', 'p')),"
    " s AS (SELECT p.objid AS oid FROM c JOIN pg_catalog.pg_depend AS p ON p.refobjid = c.oid"
    " AND p.refobjsubid = c.attnum AND p.deptype = 'i'"
    " AND p.classid = 'pg_catalog.pg_class'::regclass"
    " AND p.refclassid = 'pg_catalog.pg_class'::regclass"
    " UNION SELECT p.refobjid FROM c JOIN pg_catalog.pg_depend AS p ON p.objid = c.def"
    " AND p.classid = 'pg_catalog.pg_attrdef'::regclass"
    " AND p.refclassid = 'pg_catalog.pg_class'::regclass)"
    " SELECT q.seqrelid::regclass::text,"
    " CASE WHEN pg_catalog.has_sequence_privilege(q.seqrelid, 'USAGE, SELECT')"
    " THEN pg_catalog.pg_sequence_last_value(q.seqrelid) END,"
    " pg_catalog.has_sequence_privilege(q.seqrelid, 'USAGE, SELECT'),"
    " q.seqcache, q.seqincrement > 0 AND NOT q.seqcycle,"
    " pg_catalog.current_setting('max_connections')"
    " FROM s JOIN pg_catalog.pg_sequence AS q ON q.seqrelid = s.oid";

static int64_t get_int(const PGresult *result, int column)
{
    int64_t v = 0;

    return text_to_int64(PQgetvalue(result, 0, column), (size_t)PQgetlength(result, 0, column), &v)
               ? v
               : 0;
}

static bool get_bool(const PGresult *result, int column)
{
    return *PQgetvalue(result, 0, column) == 't';
}

/* A session takes `cache` numbers at once and gives them out when it likes, so numbers below the
 * last one may still appear: as many as all sessions can have kept. The number of sessions that
 * there may be stays the same, so that the bound never goes back. */
static int64_t without_kept(const struct postgres_reader *r, const PGresult *result, int64_t last)
{
    int64_t cache = get_int(result, 3), sessions = get_int(result, 5), kept = INT64_MAX, out;

    if (cache <= 1)
        return last;
    log_warn(r->base.run->log,
             .message = "sessions keep numbers of a sequence, so rows are read again for a while",
             .fields = {log_text("sequence", PQgetvalue(result, 0, 0)), log_int("cache", cache),
                        log_int("max_connections", sessions)});
    if (__builtin_mul_overflow(cache, sessions, &kept) || __builtin_sub_overflow(last, kept, &out))
        return INT64_MIN;
    return out;
}

int postgres_last_number(struct sql_reader *base, const char *schema, const char *table,
                         const char *column, int64_t *out, bool *out_known, struct error *err)
{
    const struct sql_value params[] = {sql_text(schema), sql_text(table), sql_text(column)};
    CLEANUP(postgres_clear) PGresult *result = NULL;
    struct postgres_reader *r = (struct postgres_reader *)base;

    *out = 0;
    *out_known = false;
    if (postgres_query(r->conn, sequence_query, params, 3, false, &result, err) < 0)
        return -1;
    if (PQntuples(result) != 1 || !get_bool(result, 4))
        return 0;
    if (!get_bool(result, 2))
        log_warn(base->run->log,
                 .message = "the sequence of the cursor cannot be read: grant SELECT on it",
                 .fields = {log_text("sequence", PQgetvalue(result, 0, 0))});
    if (PQgetisnull(result, 0, 1))
        return 0;
    *out = without_kept(r, result, get_int(result, 1));
    *out_known = true;
    return 0;
}
