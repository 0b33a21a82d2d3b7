#include "connectors/sql/dialect.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "connectors/base/text.h"
#include "connectors/sql/sqlite.h"

/* clang-format off */
const struct sql_dialect sql_sqlite = {
    .name = "sqlite",
    .quote = '"',
    .placeholder = SQL_PLACEHOLDER_NUMBERED,
    .update = SQL_UPDATE_FROM,
    .differs = SQL_DIFFERS_IS_NOT,
    .widen = SQL_WIDEN_REBUILD,
    .max_identifier = 0,
    .max_params = 32766, /* upstream's default; a build may allow more, none we know allows less */
    .has_schemas = false,
    .ddl_in_transaction = true,
    .float_holds_nan = false,
    .begin = "BEGIN IMMEDIATE", .commit = "COMMIT", .rollback = "ROLLBACK",
    .create_stage = "CREATE TEMP TABLE ",
    .row_id = {"rowid", "_rowid_", "oid"},
    .type = {
        [TYPE_BOOL] = "INTEGER", [TYPE_INT] = "INTEGER",
        [TYPE_DECIMAL] = "TEXT", /* NUMERIC affinity would round */
        [TYPE_FLOAT] = "REAL", [TYPE_STRING] = "TEXT", [TYPE_BYTES] = "BLOB", [TYPE_DATE] = "TEXT",
        [TYPE_TIME] = "TEXT", [TYPE_TIMESTAMP] = "TEXT", [TYPE_TIMESTAMPTZ] = "TEXT",
        [TYPE_INTERVAL] = "TEXT", [TYPE_UUID] = "TEXT", [TYPE_JSON] = "TEXT",
    },
    .columns_query = "SELECT name, type, pk FROM pragma_table_info(?2, 'main') WHERE ?1 IS NOT NULL",
    /* Text search finds too much rather than too little, which costs speed, never a view. */
    .dependents_query =
        "SELECT name FROM sqlite_master WHERE type = 'view'"
        " AND instr(lower(replace(sql, '\"\"', '\"')), lower(?2)) > 0"
        " UNION ALL SELECT name FROM sqlite_master WHERE type = 'trigger' AND"
        " (tbl_name = ?2 COLLATE NOCASE OR instr(lower(replace(sql, '\"\"', '\"')), lower(?2)) > 0)"
        " UNION ALL SELECT m.name FROM sqlite_master AS m, pragma_foreign_key_list(m.name) AS f"
        " WHERE m.type = 'table' AND f.\"table\" = ?2 COLLATE NOCASE AND ?1 IS NOT NULL",
    .attached_query =
        "SELECT name, type, sql FROM sqlite_master WHERE type IN ('index', 'trigger')"
        " AND tbl_name = ?2 COLLATE NOCASE AND sql IS NOT NULL AND ?1 IS NOT NULL"
        " AND name NOT LIKE '\\_connectord\\_%' ESCAPE '\\' ORDER BY type, name",
    /* Times are text in any of several forms, so they are compared as numbers by a function of the
     * driver. Text and blobs in an integer column sort behind every number. */
    .cursor = {
        [TYPE_INT] = "{column}",
        [TYPE_DATE] = "connectord_instant({column}, 'date')",
        [TYPE_TIMESTAMP] = "connectord_instant({column}, 'timestamp')",
        [TYPE_TIMESTAMPTZ] = "connectord_instant({column}, 'timestamptz')",
        [TYPE_STRING] = "connectord_instant({column}, 'string')",
    },
    .cursor_is_null = {
        [TYPE_INT] = "({column} IS NULL OR {column} > 9223372036854775807)",
        [TYPE_DATE] = "{cursor} IS NULL",
        [TYPE_TIMESTAMP] = "{cursor} IS NULL",
        [TYPE_TIMESTAMPTZ] = "{cursor} IS NULL",
        [TYPE_STRING] = "{cursor} IS NULL",
    },
    /* Signed years sort before the digits, so '+12345-01-01' is not lost. The bound of that is no
     * numeral: a column of numeric affinity would turn it into one. */
    .cursor_hint = {
        [TYPE_DATE] = "({column} >= {bound} OR {column} < '/')",
        [TYPE_TIMESTAMP] = "({column} >= {bound} OR {column} < '/')",
        [TYPE_TIMESTAMPTZ] = "({column} >= {bound} OR {column} < '/')",
        [TYPE_STRING] = "({column} >= {bound} OR {column} < '/')",
    },
    .parse_type = sqlite_parse_type,
};

const struct sql_dialect sql_postgres = {
    .name = "postgres",
    .quote = '"',
    .placeholder = SQL_PLACEHOLDER_DOLLAR,
    .update = SQL_UPDATE_FROM,
    .differs = SQL_DIFFERS_DISTINCT,
    .widen = SQL_WIDEN_ALTER,
    .max_identifier = 63,
    .max_params = 65535,
    .has_schemas = true,
    .ddl_in_transaction = true,
    .float_holds_nan = true,
    .begin = "BEGIN", .commit = "COMMIT", .rollback = "ROLLBACK",
    .create_stage = "CREATE TEMPORARY TABLE ",
    .row_id = {"ctid", "ctid", "ctid"},
    .type = {
        [TYPE_BOOL] = "boolean", [TYPE_INT] = "bigint",
        [TYPE_DECIMAL] = "numeric", /* unconstrained, so that a wider source needs no DDL */
        [TYPE_FLOAT] = "double precision", [TYPE_STRING] = "text", [TYPE_BYTES] = "bytea",
        [TYPE_DATE] = "date", [TYPE_TIME] = "time", [TYPE_TIMESTAMP] = "timestamp",
        [TYPE_TIMESTAMPTZ] = "timestamptz", [TYPE_INTERVAL] = "interval", [TYPE_UUID] = "uuid",
        [TYPE_JSON] = "jsonb",
    },
    .widen_column = "ALTER TABLE {table} ALTER COLUMN {column} TYPE {type} USING {column}::{type}",
    .columns_query =
        "SELECT a.attname, format_type(a.atttypid, a.atttypmod),"
        " coalesce(array_position(i.indkey::smallint[], a.attnum), -1) + 1"
        " FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
        " JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
        " LEFT JOIN pg_index AS i ON i.indrelid = c.oid AND i.indisprimary"
        " WHERE n.nspname = coalesce(nullif($1, ''), current_schema()) AND c.relname = $2"
        " AND c.relkind IN ('r', 'p') ORDER BY a.attnum",
    .dependents_query =
        "SELECT r.ev_class::regclass::text FROM pg_depend AS p"
        " JOIN pg_rewrite AS r ON r.oid = p.objid JOIN pg_class AS c ON c.oid = p.refobjid"
        " JOIN pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE p.classid = 'pg_rewrite'::regclass AND p.deptype = 'n'"
        " AND n.nspname = coalesce(nullif($1, ''), current_schema()) AND c.relname = $2"
        " UNION ALL SELECT o.conname FROM pg_constraint AS o JOIN pg_class AS c"
        " ON c.oid = o.confrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE n.nspname = coalesce(nullif($1, ''), current_schema()) AND c.relname = $2"
        " UNION ALL SELECT t.tgname FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid"
        " JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE NOT t.tgisinternal"
        " AND n.nspname = coalesce(nullif($1, ''), current_schema()) AND c.relname = $2"
        " UNION ALL SELECT pubname FROM pg_publication_tables"
        " WHERE schemaname = coalesce(nullif($1, ''), current_schema()) AND tablename = $2",
    .attached_query =
        "SELECT indexname, 'index', indexdef FROM pg_indexes"
        " WHERE schemaname = coalesce(nullif($1, ''), current_schema()) AND tablename = $2"
        " AND indexname NOT LIKE '\\_connectord\\_%' ORDER BY indexname",
    .cursor = {
        [TYPE_INT] = "{column}", [TYPE_DATE] = "{column}", [TYPE_TIMESTAMP] = "{column}",
        [TYPE_TIMESTAMPTZ] = "{column}",
    },
    .cursor_is_null = {
        [TYPE_INT] = "{column} IS NULL", [TYPE_DATE] = "{column} IS NULL",
        [TYPE_TIMESTAMP] = "{column} IS NULL", [TYPE_TIMESTAMPTZ] = "{column} IS NULL",
    },
};

const struct sql_dialect sql_mysql = {
    .name = "mysql",
    .quote = '`',
    .placeholder = SQL_PLACEHOLDER_PLAIN,
    .update = SQL_UPDATE_JOIN,
    .differs = SQL_DIFFERS_SPACESHIP,
    .widen = SQL_WIDEN_ALTER,
    .max_identifier = 64,
    .max_params = 65535,
    .has_schemas = true,
    .ddl_in_transaction = false,
    .float_holds_nan = false,
    .begin = "START TRANSACTION", .commit = "COMMIT", .rollback = "ROLLBACK",
    .create_stage = "CREATE TEMPORARY TABLE ",
    .type = {
        [TYPE_BOOL] = "tinyint(1)", [TYPE_INT] = "bigint",
        [TYPE_DECIMAL] = "longtext", /* without a scale no decimal(p,s) holds every value */
        [TYPE_FLOAT] = "double", [TYPE_STRING] = "longtext", [TYPE_BYTES] = "longblob",
        [TYPE_DATE] = "date", [TYPE_TIME] = "time(6)", [TYPE_TIMESTAMP] = "datetime(6)",
        [TYPE_TIMESTAMPTZ] = "datetime(6)", [TYPE_INTERVAL] = "longtext",
        [TYPE_UUID] = "char(36)", [TYPE_JSON] = "json",
    },
    .decimal_with_scale = "decimal(65,%d)",
    .float32 = "float",
    .key_type = {
        [TYPE_DECIMAL] = "varchar(255)", [TYPE_STRING] = "varchar(255)",
        [TYPE_BYTES] = "varbinary(255)", [TYPE_INTERVAL] = "varchar(255)",
        [TYPE_JSON] = "varchar(255)",
    },
    .widen_column = "ALTER TABLE {table} MODIFY COLUMN {column} {type}",
    .columns_query =
        "SELECT column_name, column_type, CASE column_key WHEN 'PRI' THEN 1 ELSE 0 END"
        " FROM information_schema.columns"
        " WHERE table_schema = coalesce(nullif(?, ''), database()) AND table_name = ?"
        " ORDER BY ordinal_position",
    .dependents_query =
        "SELECT d.name FROM (SELECT v.table_schema AS s, u.table_name AS t, v.table_name AS name"
        " FROM information_schema.views AS v JOIN information_schema.tables AS u"
        " ON u.table_schema = v.table_schema AND locate(concat('`', u.table_name, '`'),"
        " v.view_definition) > 0"
        " UNION ALL SELECT event_object_schema, event_object_table, trigger_name"
        " FROM information_schema.triggers"
        " UNION ALL SELECT unique_constraint_schema, referenced_table_name, constraint_name"
        " FROM information_schema.referential_constraints) AS d"
        " WHERE d.s = coalesce(nullif(?, ''), database()) AND d.t = ?",
    .attached_query = NULL,
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

void sql_put_name(const struct sql_dialect *d, const char *name, struct buf *out)
{
    buf_putc(out, d->quote);
    for (; *name; name++) {
        if (*name == d->quote)
            buf_putc(out, d->quote);
        buf_putc(out, *name);
    }
    buf_putc(out, d->quote);
}

void sql_put_table(const struct sql_dialect *d, const char *schema, const char *name,
                   struct buf *out)
{
    if (d->has_schemas && *schema) {
        sql_put_name(d, schema, out);
        buf_putc(out, '.');
    }
    sql_put_name(d, name, out);
}

void sql_put_placeholder(const struct sql_dialect *d, size_t number, struct buf *out)
{
    char digits[24];

    buf_putc(out, d->placeholder == SQL_PLACEHOLDER_DOLLAR ? '$' : '?');
    if (d->placeholder != SQL_PLACEHOLDER_PLAIN)
        buf_put(out, digits, text_from_int64((int64_t)number, digits));
}

/* MySQL's decimal has at most 65 digits, 30 of them behind the point. */
static bool decimal_fits(struct column_type t)
{
    return t.precision > 0 && t.scale >= 0 && t.scale <= 30 && t.precision <= 65;
}

void sql_format_type(const struct sql_dialect *d, struct column_type t, bool key,
                     char out[static 64])
{
    const char *text = d->type[t.type];

    if (t.type == TYPE_DECIMAL && d->decimal_with_scale && decimal_fits(t)) {
        struct buf b = BUF_INIT(64);
        const char *hole = strstr(d->decimal_with_scale, "%d");

        buf_put(&b, d->decimal_with_scale, (size_t)(hole - d->decimal_with_scale));
        buf_printf(&b, "%d", (int)t.scale);
        buf_puts(&b, hole + 2);
        snprintf(out, 64, "%s", buf_str(&b));
        buf_release(&b);
        return;
    }
    if (t.type == TYPE_FLOAT && t.bits == 32 && d->float32)
        text = d->float32;
    if (key && d->key_type[t.type])
        text = d->key_type[t.type];
    snprintf(out, 64, "%s", text);
}

struct column_type sql_read_type(const struct sql_dialect *d, const char *declared)
{
    struct column_type t;

    if (d->parse_type && d->parse_type(declared, &t))
        return t;
    /* The first logical type of the same text would call TEXT a decimal: ask for STRING first. */
    if (strcasecmp(declared, d->type[TYPE_STRING]) != 0) {
        for (int i = 0; i < TYPE_COUNT; i++) {
            if (i != TYPE_BOOL && strcasecmp(declared, d->type[i]) == 0)
                return type_plain((enum type)i);
        }
        if (strcasecmp(declared, d->type[TYPE_BOOL]) == 0)
            return type_plain(TYPE_BOOL);
    }
    return type_plain(TYPE_STRING);
}

struct sql_value sql_text(const char *s)
{
    if (!s)
        return (struct sql_value){.kind = SQL_NULL};
    return (struct sql_value){.kind = SQL_TEXT, .bytes = {s, strlen(s)}};
}

const char *sql_value_text(struct arena *mem, const struct sql_value *v)
{
    if (v->kind == SQL_INT)
        return arena_printf(mem, "%lld", (long long)v->number);
    if (v->kind != SQL_TEXT && v->kind != SQL_BLOB)
        return "";
    return arena_memdup(mem, v->bytes.ptr, v->bytes.len);
}

static int take_int(void *arg, const struct sql_value *row, size_t n, struct error *err)
{
    int64_t *out = arg;

    (void)n;
    (void)err;
    *out = row[0].kind == SQL_INT ? row[0].number : 0;
    return 0;
}

int sql_query_int(struct sql_conn *c, const char *sql, int64_t *out, struct error *err)
{
    *out = 0;
    return c->driver->query(c, sql, NULL, 0, take_int, out, err);
}
