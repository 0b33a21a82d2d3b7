#include <string.h>
#include <strings.h>

#include "connectors/sql/dialect.h"

/* clang-format off */
/* What information_schema says, without its numbers in brackets. */
static const struct {
    const char *name;
    enum type type;
} types[] = {
    {"tinyint",    TYPE_INT},    {"smallint",   TYPE_INT},    {"mediumint",  TYPE_INT},
    {"int",        TYPE_INT},    {"bigint",     TYPE_INT},    {"year",       TYPE_INT},
    {"decimal",    TYPE_DECIMAL},
    {"float",      TYPE_FLOAT},  {"double",     TYPE_FLOAT},
    {"char",       TYPE_STRING}, {"varchar",    TYPE_STRING}, {"tinytext",   TYPE_STRING},
    {"text",       TYPE_STRING}, {"mediumtext", TYPE_STRING}, {"longtext",   TYPE_STRING},
    {"binary",     TYPE_BYTES},  {"varbinary",  TYPE_BYTES},  {"tinyblob",   TYPE_BYTES},
    {"blob",       TYPE_BYTES},  {"mediumblob", TYPE_BYTES},  {"longblob",   TYPE_BYTES},
    {"date",       TYPE_DATE},   {"time",       TYPE_TIME},   {"datetime",   TYPE_TIMESTAMP},
    {"timestamp",  TYPE_TIMESTAMPTZ},
    {"json",       TYPE_JSON},   {"uuid",       TYPE_UUID},
};
/* clang-format on */

static void cut_word(char *text, const char *word)
{
    char *at = strstr(text, word);

    if (at)
        *at = '\0';
}

static bool parse_type(const char *text, struct column_type *out)
{
    struct buf plain = BUF_INIT(256);
    struct sql_digits digits = sql_read_digits(text, &plain);
    char word[32] = "";
    bool is_unsigned = strstr(text, " unsigned") != NULL, found = false;

    if (plain.len < sizeof word)
        memcpy(word, buf_str(&plain), plain.len + 1);
    buf_release(&plain);
    cut_word(word, " unsigned");
    cut_word(word, " zerofill");
    for (size_t i = 0; i < sizeof types / sizeof types[0] && !found; i++) {
        found = strcasecmp(word, types[i].name) == 0;
        if (found)
            *out = type_plain(types[i].type);
    }
    if (!found)
        return false;
    if (strcasecmp(word, "tinyint") == 0 && digits.n == 1 && digits.first == 1 && !is_unsigned)
        *out = type_plain(TYPE_BOOL);
    if (strcasecmp(word, "bigint") == 0 && is_unsigned)
        *out = (struct column_type){.type = TYPE_DECIMAL, .precision = 20};
    if (strcasecmp(word, "float") == 0)
        out->bits = 32;
    if (out->type == TYPE_DECIMAL && digits.n == 2) {
        out->precision = (uint16_t)digits.first;
        out->scale = (int16_t)digits.second;
    }
    return true;
}

/* Text of every language whatever the database was created with. */
#define UTF8     " CHARACTER SET utf8mb4"
#define LONGTEXT ("longtext" UTF8)
/* Keys are equal when their bytes are: 'a', 'A' and 'a ' are three. MariaDB and MySQL have that
 * order under different names, and each reads only its own of these comments. */
#define EXACT   UTF8 " /*M!100200 COLLATE utf8mb4_nopad_bin *//*!80017 COLLATE utf8mb4_0900_bin */"
#define VARCHAR ("varchar(%d)" EXACT)
/* The bytes of a text, since the order of the column may take different texts for equal. */
#define BYTES_OF "CAST(CONVERT({column} USING utf8mb4) AS BINARY)"
#define HERE     "coalesce(nullif(?, ''), database())"

#define SET    "UPDATE {table} SET {column} = "
#define QUOTED SET "json_quote({column})"
/* Without the zeros that end a fraction, and the point when nothing else is left of it. */
#define SHORT "trim(TRAILING '.' FROM trim(TRAILING '0' FROM {column}))"
#define ISO   "replace(" SHORT ", ' ', 'T')"
#define TRUTH "CASE {column} WHEN '1' THEN 'true' ELSE 'false' END WHERE {column} IS NOT NULL"

/* clang-format off */
static const struct sql_conversion rewrites[] = {
    {TYPE_BOOL,        TYPE_STRING, SET TRUTH},
    {TYPE_TIME,        TYPE_STRING, SET SHORT},
    {TYPE_TIMESTAMP,   TYPE_STRING, SET ISO},
    {TYPE_TIMESTAMPTZ, TYPE_STRING, SET "concat(" ISO ", 'Z')"},
    {TYPE_BOOL,        TYPE_JSON,   SET TRUTH},
    {TYPE_STRING,      TYPE_JSON,   QUOTED},
    {TYPE_BYTES,       TYPE_JSON,
        SET "json_quote(replace(to_base64({column}), char(10), ''))"},
    {TYPE_DATE,        TYPE_JSON,   QUOTED},
    {TYPE_TIME,        TYPE_JSON,   SET "json_quote(" SHORT ")"},
    {TYPE_TIMESTAMP,   TYPE_JSON,   SET "json_quote(" ISO ")"},
    {TYPE_TIMESTAMPTZ, TYPE_JSON,   SET "json_quote(concat(" ISO ", 'Z'))"},
    {TYPE_INTERVAL,    TYPE_JSON,   QUOTED},
    {TYPE_UUID,        TYPE_JSON,   QUOTED},
    {TYPE_BOOL,        TYPE_BOOL,   NULL},
};
/* clang-format on */

/* clang-format off */
const struct sql_dialect sql_mysql = {
    .name = "mysql",
    .quote = '`',
    .placeholder = SQL_PLACEHOLDER_PLAIN,
    .update = SQL_UPDATE_JOIN,
    .differs = SQL_DIFFERS_SPACESHIP,
    .widen = SQL_WIDEN_ALTER,
    .merge = SQL_MERGE_JOIN,
    .swap = SQL_SWAP_EXCHANGE,
    .names = {.limit = 64, .counts_characters = true, .refuses_supplementary = true,
              .refuses_blank_end = true},
    .max_params = 65535,
    .has_schemas = true,
    .ddl_in_transaction = false,
    .expand_rows = true,
    .binds_dependents = true,
    .begin = "START TRANSACTION", .commit = "COMMIT", .rollback = "ROLLBACK",
    /* With REPEATABLE READ a transaction that waited would go on reading what was before. */
    .session = {"SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"},
    .lock_rows = " FOR UPDATE",
    .short_wait = {"SET SESSION lock_wait_timeout = 5", "SET SESSION lock_wait_timeout = 30"},
    .create_stage = "CREATE TEMPORARY TABLE ", .create_stage_end = "",
    .drop_stage = "DROP TEMPORARY TABLE IF EXISTS ",
    .empty_stage = SQL_EMPTY_DROP,
    .widen_column = "ALTER TABLE {table} MODIFY COLUMN {column} {type}",
    .widen_after = rewrites,
    .json_by_text = true,
    .float32_by_float = true,
    .type = {
        [TYPE_BOOL] = "tinyint(1)", [TYPE_INT] = "bigint",
        [TYPE_DECIMAL] = LONGTEXT, /* without a scale no decimal(p,s) holds every value */
        [TYPE_FLOAT] = "double", [TYPE_STRING] = LONGTEXT, [TYPE_BYTES] = "longblob",
        [TYPE_DATE] = "date", [TYPE_TIME] = "time(6)", [TYPE_TIMESTAMP] = "datetime(6)",
        [TYPE_TIMESTAMPTZ] = "datetime(6)", [TYPE_INTERVAL] = LONGTEXT,
        [TYPE_UUID] = "char(36) CHARACTER SET ascii", [TYPE_JSON] = "json",
    },
    .decimal_with_scale = "decimal(65,%d)",
    .float32 = "float",
    .key_type = {
        [TYPE_DECIMAL] = VARCHAR, [TYPE_STRING] = VARCHAR,
        [TYPE_BYTES] = "varbinary(%d)", [TYPE_INTERVAL] = VARCHAR,
        [TYPE_JSON] = VARCHAR,
    },
    .compare = {[TYPE_DECIMAL] = BYTES_OF, [TYPE_STRING] = BYTES_OF, [TYPE_INTERVAL] = BYTES_OF,
                [TYPE_JSON] = BYTES_OF},
    .parse_type = parse_type,
    .range = {
        /* From the first of March of year 0, which has no 29th of February there, to 9999-12-31. */
        [TYPE_DATE] = {-719468, 2932896},
        [TYPE_TIME] = {0, INT64_C(86400000000)},
        [TYPE_TIMESTAMP] = {INT64_C(-62162035200000000), INT64_C(253402300799999999)},
        [TYPE_TIMESTAMPTZ] = {INT64_C(-62162035200000000), INT64_C(253402300799999999)},
    },
    .json_depth = 31, /* of MariaDB; MySQL bears 100 */
    .json_refuses_surrogates = true,
    .key_bytes = 3072,
    .time_digits = 0,
    .schema_query = "SELECT schema_name FROM information_schema.schemata WHERE schema_name = ?",
    .tables_query =
        "SELECT table_name, CASE table_type WHEN 'BASE TABLE' THEN 1 ELSE 0 END,"
        " CASE @@lower_case_table_names WHEN 0 THEN 0 ELSE 1 END"
        " FROM information_schema.tables WHERE table_schema = " HERE,
    .columns_query =
        "SELECT column_name, column_type, CASE column_key WHEN 'PRI' THEN 1 ELSE 0 END"
        " FROM information_schema.columns WHERE table_schema = " HERE " AND table_name = ?"
        " ORDER BY ordinal_position",
    /* Views mean a name, and grants too; everything else follows the table that is renamed. Each part
     * names schema and table, or the server would open every table it has. */
    .dependents_query =
        "SELECT constraint_name, 'foreign key' FROM information_schema.referential_constraints"
        " WHERE constraint_schema = " HERE " AND referenced_table_name = ?"
        " UNION ALL SELECT trigger_name, 'trigger' FROM information_schema.triggers"
        " WHERE event_object_schema = " HERE " AND event_object_table = ?"
        " UNION ALL SELECT constraint_name, 'constraint'"
        " FROM information_schema.table_constraints AS c WHERE table_schema = " HERE
        " AND table_name = ? AND left(constraint_name, 12) <> '_connectord_' AND NOT EXISTS"
        " (SELECT 1 FROM information_schema.check_constraints AS k"
        " WHERE k.constraint_schema = c.constraint_schema"
        " AND k.constraint_name = c.constraint_name AND left(k.check_clause, 11) = 'json_valid(')"
        " UNION ALL SELECT index_name, 'index' FROM information_schema.statistics"
        " WHERE table_schema = " HERE " AND table_name = ?"
        " AND left(index_name, 12) <> '_connectord_'"
        " UNION ALL SELECT 'comment', 'comment' FROM information_schema.tables"
        " WHERE table_schema = " HERE " AND table_name = ? AND table_comment <> ''"
        " UNION ALL SELECT column_name, 'column' FROM information_schema.columns"
        " WHERE table_schema = " HERE " AND table_name = ? AND (column_comment <> ''"
        " OR extra <> '' OR is_nullable = 'NO' OR coalesce(column_default, 'NULL') <> 'NULL')"
        " UNION ALL SELECT partition_name, 'partition' FROM information_schema.partitions"
        " WHERE table_schema = " HERE " AND table_name = ? AND partition_name IS NOT NULL",
    .key_index_query =
        "SELECT index_name, column_name FROM information_schema.statistics"
        " WHERE table_schema = " HERE " AND table_name = ? AND non_unique = 0"
        " AND left(index_name, 16) = '_connectord_key_' ORDER BY index_name, seq_in_index",
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
