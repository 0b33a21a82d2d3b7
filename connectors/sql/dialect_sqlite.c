#include "connectors/sql/dialect.h"
#include "connectors/sql/sqlite.h"

/* clang-format off */
const struct sql_dialect sql_sqlite = {
    .name = "sqlite",
    .quote = '"',
    .placeholder = SQL_PLACEHOLDER_NUMBERED,
    .update = SQL_UPDATE_FROM,
    .differs = SQL_DIFFERS_IS_NOT,
    .widen = SQL_WIDEN_REBUILD, .types_are_any_text = true,
    .merge = SQL_MERGE_JOIN,
    .swap = SQL_SWAP_REMAKE,
    .max_params = 32766, /* upstream's default; a build may allow more, none we know allows less */
    .has_schemas = false,
    .ddl_in_transaction = true,
    .binds_dependents = false,
    .begin = "BEGIN IMMEDIATE", .commit = "COMMIT", .rollback = "ROLLBACK",
    .lock_rows = "",
    .create_stage = "CREATE TEMP TABLE ", .create_stage_end = "",
    .drop_stage = "DROP TABLE IF EXISTS ",
    .empty_stage = SQL_EMPTY_DELETE,
    .row_id = {"rowid", "_rowid_", "oid"},
    .type = {
        [TYPE_BOOL] = "INTEGER", [TYPE_INT] = "INTEGER",
        [TYPE_DECIMAL] = "TEXT", /* NUMERIC affinity would round */
        [TYPE_FLOAT] = "REAL", [TYPE_STRING] = "TEXT", [TYPE_BYTES] = "BLOB", [TYPE_DATE] = "TEXT",
        [TYPE_TIME] = "TEXT", [TYPE_TIMESTAMP] = "TEXT", [TYPE_TIMESTAMPTZ] = "TEXT",
        [TYPE_INTERVAL] = "TEXT", [TYPE_UUID] = "TEXT", [TYPE_JSON] = "TEXT",
    },
    .parse_type = sqlite_parse_type,
    .times_hold_infinity = true, .float_holds_nan = false, .float_holds_infinity = true,
    .decimal_holds_nan = true, .decimal_infinity_since = 1,
    .tables_query = "SELECT name, type = 'table', 1 FROM sqlite_master WHERE ?1 IS NOT NULL",
    .columns_query = "SELECT name, type, pk FROM pragma_table_info(?2, 'main') WHERE ?1 IS NOT NULL",
    /* Text search finds too much rather than too little, which costs speed, never a view. */
    .dependents_query =
        "SELECT name, 'view' FROM sqlite_master WHERE type = 'view'"
        " AND instr(lower(replace(sql, '\"\"', '\"')), lower(?2)) > 0"
        " UNION ALL SELECT name, 'trigger' FROM sqlite_master WHERE type = 'trigger' AND"
        " (tbl_name = ?2 COLLATE NOCASE OR instr(lower(replace(sql, '\"\"', '\"')), lower(?2)) > 0)"
        /* Not enforced while we write, so rows may go and come back. */
        " UNION ALL SELECT m.name, 'reference' FROM sqlite_master AS m,"
        " pragma_foreign_key_list(m.name) AS f"
        " WHERE m.type = 'table' AND f.\"table\" = ?2 COLLATE NOCASE AND ?1 IS NOT NULL",
    .key_index_query =
        "SELECT l.name, i.name FROM pragma_index_list(?2, 'main') AS l,"
        " pragma_index_info(l.name, 'main') AS i WHERE l.\"unique\" AND ?1 IS NOT NULL"
        " AND substr(l.name, 1, 16) = '_connectord_key_' ORDER BY l.name, i.seqno",
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
    /* What is stored in one of several ways is compared by what it means. */
    .filter = {
        [TYPE_BOOL] = "connectord_value({column}, 'bool')",
        [TYPE_STRING] = "CAST({column} AS TEXT)",
        [TYPE_DATE] = "connectord_instant({column}, 'date')",
        [TYPE_TIME] = "connectord_value({column}, 'time')",
        [TYPE_TIMESTAMP] = "connectord_instant({column}, 'timestamp')",
        [TYPE_TIMESTAMPTZ] = "connectord_instant({column}, 'timestamptz')",
        [TYPE_UUID] = "connectord_value({column}, 'uuid')",
    },
    .cursor_hint = {
        [TYPE_DATE] = "({column} >= {bound} OR {column} < '/')",
        [TYPE_TIMESTAMP] = "({column} >= {bound} OR {column} < '/')",
        [TYPE_TIMESTAMPTZ] = "({column} >= {bound} OR {column} < '/')",
        [TYPE_STRING] = "({column} >= {bound} OR {column} < '/')",
    },
};
/* clang-format on */
