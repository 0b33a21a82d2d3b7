#include <string.h>
#include <strings.h>

#include "connectors/sql/dialect.h"

/* clang-format off */
/* What format_type says, without its numbers in brackets. */
static const struct {
    const char *name;
    enum type type;
} types[] = {
    {"boolean",                     TYPE_BOOL},
    {"smallint",                    TYPE_INT},
    {"integer",                     TYPE_INT},
    {"bigint",                      TYPE_INT},
    {"numeric",                     TYPE_DECIMAL},
    {"real",                        TYPE_FLOAT},
    {"double precision",            TYPE_FLOAT},
    {"text",                        TYPE_STRING},
    {"character varying",           TYPE_STRING},
    {"character",                   TYPE_STRING},
    {"bytea",                       TYPE_BYTES},
    {"date",                        TYPE_DATE},
    {"time without time zone",      TYPE_TIME},
    {"time",                        TYPE_TIME},
    {"timestamp without time zone", TYPE_TIMESTAMP},
    {"timestamp",                   TYPE_TIMESTAMP},
    {"timestamp with time zone",    TYPE_TIMESTAMPTZ},
    {"timestamptz",                 TYPE_TIMESTAMPTZ},
    {"interval",                    TYPE_INTERVAL},
    {"uuid",                        TYPE_UUID},
    {"json",                        TYPE_JSON},
    {"jsonb",                       TYPE_JSON},
};
/* clang-format on */

static const char *const system_columns[] = {"tableoid", "xmin", "cmin", "xmax",
                                             "cmax",     "ctid", NULL};

#define YEAR  "extract(year FROM {column})"
#define PLAIN "trim('\"' FROM to_jsonb({column})::text)"
/* With a T, and with a sign before years that do not have four digits; the year before 1 is 0. */
#define ISO                                                                         \
    "CASE WHEN isfinite({column}) AND " YEAR " NOT BETWEEN 1 AND 9999"              \
    " THEN regexp_replace(" PLAIN ", '^[0-9]+(.*?)( BC)?$', CASE WHEN " YEAR " > 0" \
    " THEN '+' || " YEAR "::int ELSE to_char(" YEAR " + 1, 'FM0000') END || '\\1')" \
    " ELSE " PLAIN " END"
#define ISO_INSTANT "replace(" ISO ", '+00:00', 'Z')"
#define AS_JSON     "to_jsonb({column})"

/* Where a cast would alter the value: one from double precision rounds to 15 digits, and text is
 * taken for JSON; or write it in another way. */
/* clang-format off */
static const struct sql_conversion conversions[] = {
    {TYPE_FLOAT,       TYPE_DECIMAL, "{column}::text::numeric"},
    {TYPE_DATE,        TYPE_STRING,  ISO},
    {TYPE_TIMESTAMP,   TYPE_STRING,  ISO},
    {TYPE_TIMESTAMPTZ, TYPE_STRING,  ISO_INSTANT},
    {TYPE_BOOL,        TYPE_JSON,    AS_JSON},
    {TYPE_INT,         TYPE_JSON,    AS_JSON},
    {TYPE_DECIMAL,     TYPE_JSON,    AS_JSON},
    {TYPE_FLOAT,       TYPE_JSON,    AS_JSON},
    {TYPE_STRING,      TYPE_JSON,    AS_JSON},
    {TYPE_BYTES,       TYPE_JSON,    "to_jsonb(translate(encode({column}, 'base64'), E'\\n', ''))"},
    {TYPE_DATE,        TYPE_JSON,    "to_jsonb(" ISO ")"},
    {TYPE_TIME,        TYPE_JSON,    AS_JSON},
    {TYPE_TIMESTAMP,   TYPE_JSON,    "to_jsonb(" ISO ")"},
    {TYPE_TIMESTAMPTZ, TYPE_JSON,    "to_jsonb(" ISO_INSTANT ")"},
    {TYPE_INTERVAL,    TYPE_JSON,    AS_JSON},
    {TYPE_UUID,        TYPE_JSON,    AS_JSON},
    {TYPE_BOOL,        TYPE_BOOL,    NULL},
};
/* clang-format on */

static bool parse_type(const char *text, struct column_type *out)
{
    struct buf plain = BUF_INIT(256);
    struct sql_digits digits = sql_read_digits(text, &plain);
    bool found = false;

    for (size_t i = 0; i < sizeof types / sizeof types[0] && !found; i++) {
        found = strcasecmp(buf_str(&plain), types[i].name) == 0;
        if (found)
            *out = type_plain(types[i].type);
    }
    buf_release(&plain);
    if (!found)
        return false;
    if (out->type == TYPE_FLOAT && strcasecmp(text, "real") == 0)
        out->bits = 32;
    if (out->type == TYPE_DECIMAL && digits.n == 2) {
        out->precision = (uint16_t)digits.first;
        out->scale = (int16_t)digits.second;
    }
    return true;
}

/* The table that the parameters mean, as `t`; all queries of the catalog begin with it. */
#define THE_TABLE(number, alias)                                                                  \
    alias                                                                                         \
        " AS (SELECT c.*, n.nspname FROM pg_class AS c JOIN pg_namespace AS n"                    \
        " ON n.oid = c.relnamespace WHERE n.nspname = coalesce(nullif($1, ''), current_schema())" \
        " AND c.relname = $" #number ")"
/* How pg_get_indexdef begins, up to the method: what is behind it fits every table. */
#define INDEX_HEAD                                                                               \
    "format('CREATE %sINDEX %I ON %I.%I USING ', CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE ''" \
    " END, x.relname, t.nspname, t.relname)"
/* Indexes of others that a table does not owe to a constraint. */
#define FOREIGN_INDEXES(more)                                                                   \
    " FROM t JOIN pg_index AS i ON i.indrelid = t.oid JOIN pg_class AS x ON x.oid = "           \
    "i.indexrelid" more " WHERE left(x.relname, 12) <> '_connectord_' AND NOT EXISTS (SELECT 1" \
    " FROM pg_constraint AS o WHERE o.conindid = i.indexrelid AND o.conrelid = t.oid)"
#define GRANTEE \
    "CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END"
#define GRANTABLE "CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END"

/* clang-format off */
const struct sql_dialect sql_postgres = {
    .name = "postgres",
    .quote = '"',
    .placeholder = SQL_PLACEHOLDER_DOLLAR,
    .update = SQL_UPDATE_FROM,
    .differs = SQL_DIFFERS_DISTINCT,
    .widen = SQL_WIDEN_ALTER,
    .merge = SQL_MERGE_UPSERT,
    .swap = SQL_SWAP_CARRY,
    .names = {.limit = 63, .reserved = system_columns},
    .max_params = 65535,
    .has_schemas = true,
    .ddl_in_transaction = true,
    .binds_dependents = true,
    .begin = "BEGIN", .commit = "COMMIT", .rollback = "ROLLBACK",
    /* A transaction that waited for the row of another sees what that one committed. */
    .session = {"SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED"},
    .lock_rows = " FOR UPDATE",
    .check_now = "SET CONSTRAINTS ALL IMMEDIATE",
    .short_wait = {"SET LOCAL lock_timeout = '5s'", "SET LOCAL lock_timeout = '30s'"},
    .create_stage = "CREATE TEMPORARY TABLE ", .create_stage_end = " ON COMMIT DELETE ROWS",
    .drop_stage = "DROP TABLE IF EXISTS ",
    .empty_stage = SQL_EMPTY_ON_COMMIT,
    .loads_new_keys = true,
    /* A primary key, so that publications of all tables do not forbid updates. */
    .promote_key = "ALTER TABLE {table} ADD CONSTRAINT {index} PRIMARY KEY USING INDEX {index}",
    .row_id = {"ctid", "ctid", "ctid"},
    .quote_value = "SELECT pg_catalog.quote_literal({column}) FROM {table}",
    .widen_column = "ALTER TABLE {table} ALTER COLUMN {column} TYPE {type} USING {using}",
    .widen_using = conversions,
    .type = {
        [TYPE_BOOL] = "boolean", [TYPE_INT] = "bigint",
        [TYPE_DECIMAL] = "numeric", /* unconstrained, so that a wider source needs no DDL */
        [TYPE_FLOAT] = "double precision", [TYPE_STRING] = "text", [TYPE_BYTES] = "bytea",
        [TYPE_DATE] = "date", [TYPE_TIME] = "time", [TYPE_TIMESTAMP] = "timestamp",
        [TYPE_TIMESTAMPTZ] = "timestamptz", [TYPE_INTERVAL] = "interval", [TYPE_UUID] = "uuid",
        [TYPE_JSON] = "jsonb",
    },
    /* A month equals thirty days, and 1.0 equals 1.00: what is written may differ all the same. */
    .float32 = "real",
    .compare = {[TYPE_INTERVAL] = "{column}::text", [TYPE_DECIMAL] = "({column}, scale({column}))"},
    .parse_type = parse_type,
    .range = {
        [TYPE_DATE] = {-2440588, 2145042905},            /* 4714-11-24 BC .. 5874897-12-31 */
        [TYPE_TIME] = {0, INT64_C(86400000000)},
        [TYPE_TIMESTAMP] = {INT64_C(-210866803200000000), INT64_MAX - 1},
        [TYPE_TIMESTAMPTZ] = {INT64_C(-210866803200000000), INT64_MAX - 1},
    },
    .times_hold_infinity = true, .float_holds_nan = true, .float_holds_infinity = true,
    .decimal_holds_nan = true, .decimal_infinity_since = 140000,
    .decimal_whole = 131072, .decimal_fraction = 16383,
    .text_refuses_nul = true,
    .json_depth = 1000, /* of a stack that is 2 MB by default and bears some thousands */
    .json_refuses_nul = true, .json_refuses_surrogates = true, .json_exponent = 16000,
    .key_bytes = 2680, /* a third of a page, less what an entry needs for itself */
    .time_digits = 6,
    .schema_query = "SELECT nspname FROM pg_namespace WHERE nspname = $1",
    .tables_query =
        "SELECT c.relname, CASE WHEN c.relkind IN ('r', 'p') THEN 1 ELSE 0 END, 0"
        " FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE n.nspname = coalesce(nullif($1, ''), current_schema())",
    .columns_query =
        "SELECT a.attname, format_type(a.atttypid, a.atttypmod),"
        " coalesce(array_position(i.indkey::smallint[], a.attnum), -1) + 1"
        " FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
        " JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
        " LEFT JOIN pg_index AS i ON i.indrelid = c.oid AND i.indisprimary"
        " WHERE n.nspname = coalesce(nullif($1, ''), current_schema()) AND c.relname = $2"
        " AND c.relkind IN ('r', 'p') ORDER BY a.attnum",
    .dependents_query =
        "WITH " THE_TABLE(2, "t")
        " SELECT o.conname::text, 'foreign key' FROM t JOIN pg_constraint AS o"
        " ON o.confrelid = t.oid AND o.contype = 'f'"
        " UNION ALL SELECT o.conname, 'constraint' FROM t JOIN pg_constraint AS o"
        " ON o.conrelid = t.oid AND o.contype IN ('c', 'f', 'p', 'u', 'x')"
        " WHERE left(o.conname, 12) <> '_connectord_'"
        /* Views, functions, policies of other tables: whatever uses the table or its row type. */
        " UNION ALL SELECT pg_describe_object(d.classid, d.objid, 0), 'view' FROM t"
        " JOIN pg_type AS y ON y.oid = t.reltype JOIN pg_depend AS d ON d.deptype = 'n'"
        " AND ((d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid)"
        " OR (d.refclassid = 'pg_type'::regclass AND d.refobjid IN (y.oid, y.typarray)))"
        " WHERE d.classid <> 'pg_constraint'::regclass"
        " UNION ALL SELECT r.rulename, 'rule' FROM t JOIN pg_rewrite AS r ON r.ev_class = t.oid"
        " UNION ALL SELECT g.tgname, 'trigger' FROM t JOIN pg_trigger AS g ON g.tgrelid = t.oid"
        " WHERE NOT g.tgisinternal"
        " UNION ALL SELECT p.polname, 'policy' FROM t JOIN pg_policy AS p ON p.polrelid = t.oid"
        " UNION ALL SELECT 'row security', 'policy' FROM t WHERE t.relrowsecurity"
        " UNION ALL SELECT p.pubname, 'publication' FROM t JOIN pg_publication_tables AS p"
        " ON p.schemaname = t.nspname AND p.tablename = t.relname"
        " UNION ALL SELECT s.stxname, 'statistics' FROM t JOIN pg_statistic_ext AS s"
        " ON s.stxrelid = t.oid"
        " UNION ALL SELECT h.inhrelid::regclass::text, 'inheritance' FROM t JOIN pg_inherits AS h"
        " ON t.oid IN (h.inhrelid, h.inhparent)"
        " UNION ALL SELECT a.attname, 'column' FROM t JOIN pg_attribute AS a ON a.attrelid = t.oid"
        " AND a.attnum > 0 AND NOT a.attisdropped AND (a.atthasdef OR a.attidentity <> ''"
        " OR (a.attnotnull AND NOT EXISTS (SELECT 1 FROM pg_index AS i WHERE i.indrelid = t.oid"
        " AND i.indisprimary AND a.attnum = ANY (i.indkey::smallint[]))))"
        " UNION ALL SELECT x.relname, 'index'" FOREIGN_INDEXES("")
        " AND (left(pg_get_indexdef(i.indexrelid), length(" INDEX_HEAD ")) <> " INDEX_HEAD
        " OR i.indisreplident)"
        " UNION ALL SELECT l.label, 'label' FROM t JOIN pg_seclabel AS l ON l.objoid = t.oid",
    .key_index_query =
        "WITH " THE_TABLE(2, "t")
        " SELECT x.relname, a.attname FROM t JOIN pg_index AS i ON i.indrelid = t.oid"
        " JOIN pg_class AS x ON x.oid = i.indexrelid"
        " CROSS JOIN unnest(i.indkey::smallint[]) WITH ORDINALITY AS k (attnum, n)"
        " JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = k.attnum"
        " WHERE i.indisunique AND i.indisvalid AND left(x.relname, 16) = '_connectord_key_'"
        " ORDER BY x.relname, k.n",
    .carry_query = {
        "WITH " THE_TABLE(2, "t") ", " THE_TABLE(3, "w") ","
        " indexes AS (SELECT x.oid, x.relname, t.nspname, w.relname AS new_table,"
        " '_connectord_x' || x.oid || '_' || w.oid AS new_name,"
        " CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END AS kind,"
        " substr(pg_get_indexdef(i.indexrelid), length(" INDEX_HEAD ") + 1) AS rest"
        FOREIGN_INDEXES(" CROSS JOIN w") " AND i.indisvalid)"
        " SELECT phase, sql FROM (SELECT 0 AS phase, 1 AS step,"
        " format('CREATE %sINDEX IF NOT EXISTS %I ON %I.%I USING %s', kind, new_name, nspname,"
        " new_table, rest) AS sql FROM indexes"
        " UNION ALL SELECT 0, 2, format('COMMENT ON INDEX %I.%I IS %L', nspname, new_name,"
        " obj_description(oid, 'pg_class')) FROM indexes"
        " WHERE obj_description(oid, 'pg_class') IS NOT NULL"
        " UNION ALL SELECT 1, 1, format('ALTER INDEX %I.%I RENAME TO %I', nspname, relname,"
        " '_connectord_y' || oid) FROM indexes"
        " UNION ALL SELECT 1, 2, format('ALTER INDEX %I.%I RENAME TO %I', nspname, new_name,"
        " relname) FROM indexes) AS s ORDER BY phase, step, sql",
        "WITH " THE_TABLE(2, "t") ", " THE_TABLE(3, "w") ","
        /* Of the options of columns, those that people set: a server may keep more there. */
        " columns AS (SELECT a.*, (SELECT string_agg(format('%I = %L', option_name, option_value),"
        " ', ') FROM pg_options_to_table(a.attoptions)"
        " WHERE option_name IN ('n_distinct', 'n_distinct_inherited')) AS options,"
        " CASE WHEN a.atttypid = b.atttypid THEN b.attstorage ELSE a.attstorage END AS new_storage"
        " FROM t"
        " JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped"
        " CROSS JOIN w JOIN pg_attribute AS b ON b.attrelid = w.oid AND b.attname = a.attname)"
        " SELECT 0, sql FROM ("
        " SELECT 3 AS step, format('ALTER TABLE %I.%I SET (%s)', w.nspname, w.relname,"
        " (SELECT string_agg(format('%I = %L', option_name, option_value), ', ')"
        " FROM pg_options_to_table(t.reloptions))) AS sql FROM t, w WHERE t.reloptions IS NOT NULL"
        " UNION ALL SELECT 3, format('ALTER TABLE %I.%I REPLICA IDENTITY %s', w.nspname,"
        " w.relname, CASE t.relreplident WHEN 'f' THEN 'FULL' ELSE 'NOTHING' END) FROM t, w"
        " WHERE t.relreplident IN ('f', 'n')"
        " UNION ALL SELECT 4, format('ALTER TABLE %I.%I ALTER COLUMN %I SET STATISTICS %s',"
        " w.nspname, w.relname, attname, attstattarget) FROM w, columns"
        " WHERE coalesce(attstattarget, -1) >= 0"
        " UNION ALL SELECT 4, format('ALTER TABLE %I.%I ALTER COLUMN %I SET (%s)', w.nspname,"
        " w.relname, attname, options) FROM w, columns WHERE options IS NOT NULL"
        " UNION ALL SELECT 4, format('ALTER TABLE %I.%I ALTER COLUMN %I SET STORAGE %s',"
        " w.nspname, w.relname, attname, CASE attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN"
        " 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END) FROM w, columns"
        " WHERE attstorage <> new_storage"
        " UNION ALL SELECT 5, format('COMMENT ON TABLE %I.%I IS %L', w.nspname, w.relname,"
        " obj_description(t.oid, 'pg_class')) FROM t, w"
        " WHERE obj_description(t.oid, 'pg_class') IS NOT NULL"
        " UNION ALL SELECT 5, format('COMMENT ON COLUMN %I.%I.%I IS %L', w.nspname, w.relname,"
        " attname, col_description(attrelid, attnum)) FROM w, columns"
        " WHERE col_description(attrelid, attnum) IS NOT NULL) AS s ORDER BY step, sql",
        "WITH " THE_TABLE(2, "t") ", " THE_TABLE(3, "w") ","
        " columns AS (SELECT a.* FROM t"
        " JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped"
        " CROSS JOIN w JOIN pg_attribute AS b ON b.attrelid = w.oid AND b.attname = a.attname)"
        " SELECT 0, sql FROM ("
        " SELECT 6 AS step, format('ALTER TABLE %I.%I OWNER TO %I', w.nspname, w.relname,"
        " pg_get_userbyid(t.relowner)) AS sql FROM t, w WHERE t.relowner <> w.relowner"
        /* Default privileges may have granted what the live table has no longer. */
        " UNION ALL SELECT DISTINCT 7, format('REVOKE ALL ON TABLE %I.%I FROM %s', w.nspname,"
        " w.relname, " GRANTEE ") FROM w, aclexplode(w.relacl) AS x"
        " WHERE x.grantee <> w.relowner"
        " UNION ALL SELECT 8, format('GRANT %s ON TABLE %I.%I TO %s%s', x.privilege_type,"
        " w.nspname, w.relname, " GRANTEE ", " GRANTABLE ")"
        " FROM w, t, aclexplode(t.relacl) AS x WHERE x.grantee <> t.relowner"
        " UNION ALL SELECT 8, format('GRANT %s (%I) ON TABLE %I.%I TO %s%s', x.privilege_type,"
        " attname, w.nspname, w.relname, " GRANTEE ", " GRANTABLE ")"
        " FROM w, columns, aclexplode(attacl) AS x) AS s ORDER BY step, sql",
    },
    .cursor = {
        [TYPE_INT] = "{column}", [TYPE_DATE] = "{column}", [TYPE_TIMESTAMP] = "{column}",
        [TYPE_TIMESTAMPTZ] = "{column}",
    },
    .cursor_is_null = {
        [TYPE_INT] = "{column} IS NULL", [TYPE_DATE] = "{column} IS NULL",
        [TYPE_TIMESTAMP] = "{column} IS NULL", [TYPE_TIMESTAMPTZ] = "{column} IS NULL",
    },
};
/* clang-format on */
