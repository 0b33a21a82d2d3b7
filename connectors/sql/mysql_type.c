/*
 * Types of MariaDB and MySQL. The catalog names them by one word, a result by a number; neither is
 * ever searched for parts of words.
 *
 *   tinyint(1)               bool, or int when told so     date       date
 *   integers, year           int                           datetime   timestamp
 *   bigint unsigned, bit(64) decimal(20,0)                 timestamp  timestamptz: it is an instant
 *   bit(n)                   int                           time       time
 *   decimal(p,s)             decimal(p,s)                  json       json
 *   float, double            float of 32 or 64 bits        uuid       uuid
 *   char, text, enum, set, inet4, inet6                    string
 *   binary, blob, geometry, vector                         bytes
 */
#include "connectors/sql/mysql.h"
#include "connectors/sql/mysql_source.h"

#define BINARY_CHARSET   63
#define NUMBER_JSON      245 /* of MySQL; the library has no name for it that both servers know */
#define NUMBER_VECTOR    242
#define UNSIGNED_DIGITS  20 /* of 2^64 - 1 */
#define MAX_BIT_OF_INT64 63

/* clang-format off */
static const struct {
    const char *word;
    enum type type;
} words[] = {
    {"tinyint", TYPE_INT},       {"smallint", TYPE_INT},         {"mediumint", TYPE_INT},
    {"int", TYPE_INT},           {"bigint", TYPE_INT},           {"year", TYPE_INT},
    {"bit", TYPE_INT},           {"decimal", TYPE_DECIMAL},      {"float", TYPE_FLOAT},
    {"double", TYPE_FLOAT},      {"date", TYPE_DATE},            {"datetime", TYPE_TIMESTAMP},
    {"timestamp", TYPE_TIMESTAMPTZ}, {"time", TYPE_TIME},        {"json", TYPE_JSON},
    {"uuid", TYPE_UUID},         {"binary", TYPE_BYTES},         {"varbinary", TYPE_BYTES},
    {"tinyblob", TYPE_BYTES},    {"blob", TYPE_BYTES},           {"mediumblob", TYPE_BYTES},
    {"longblob", TYPE_BYTES},    {"geometry", TYPE_BYTES},       {"point", TYPE_BYTES},
    {"linestring", TYPE_BYTES},  {"polygon", TYPE_BYTES},        {"multipoint", TYPE_BYTES},
    {"multilinestring", TYPE_BYTES}, {"multipolygon", TYPE_BYTES}, {"vector", TYPE_BYTES},
    {"geometrycollection", TYPE_BYTES}, {"geomcollection", TYPE_BYTES},
};
/* clang-format on */

static struct column_type wide_number(void)
{
    struct column_type t = type_plain(TYPE_DECIMAL);

    t.precision = UNSIGNED_DIGITS;
    return t;
}

/* "decimal(15,2) unsigned": the numbers in parentheses, 0 for those that are not there. */
static void arguments(const char *column_type, int64_t out[static 2])
{
    const char *at = strchr(column_type, '(');

    out[0] = out[1] = 0;
    for (int i = 0; at && i < 2 && *at != ')'; i++) {
        size_t n = strcspn(++at, ",)");

        if (!text_to_int64(at, n, &out[i]) || out[i] < 0 || out[i] > 1000)
            out[i] = 0;
        at += n;
    }
}

/* "bigint(20) unsigned zerofill": enum and set, which may hold any text, never come here. */
static bool is_unsigned(const char *column_type)
{
    const char *rest = strchr(column_type, ' ');

    return rest && strncmp(rest, " unsigned", 9) == 0 && (rest[9] == '\0' || rest[9] == ' ');
}

static struct column_type with_arguments(const char *word, const char *column_type, enum type type)
{
    struct column_type t = type_plain(type);
    int64_t n[2];

    arguments(column_type, n);
    if (type == TYPE_DECIMAL) {
        t.precision = (uint16_t)n[0];
        t.scale = (int16_t)n[1];
    } else if (strcmp(word, "float") == 0) {
        t.bits = 32;
    } else if ((strcmp(word, "bit") == 0 && n[0] > MAX_BIT_OF_INT64) ||
               (strcmp(word, "bigint") == 0 && is_unsigned(column_type))) {
        return wide_number();
    }
    return t;
}

struct column_type mysql_type_of_column(const char *data_type, const char *column_type,
                                        bool tinyint1_is_bool)
{
    if (tinyint1_is_bool && strcmp(column_type, "tinyint(1)") == 0)
        return type_plain(TYPE_BOOL);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(words[i].word, data_type) == 0)
            return with_arguments(data_type, column_type, words[i].type);
    }
    return type_plain(TYPE_STRING);
}

/* By asking, so that what is told is what is done. */
void mysql_tell_types(tell_fn *tell, void *arg)
{
    static const struct {
        const char *shown, *word, *column_type;
    } special[] = {
        {"tinyint(1)", "tinyint", "tinyint(1)"},
        {"bigint unsigned", "bigint", "bigint(20) unsigned"},
        {"bit(64)", "bit", "bit(64)"},
        {"decimal(15,2)", "decimal", "decimal(15,2)"},
    };
    char text[32];

    for (size_t i = 0; i < sizeof special / sizeof *special; i++) {
        (void)type_format(mysql_type_of_column(special[i].word, special[i].column_type, true),
                          text);
        tell(arg, special[i].shown, text);
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        (void)type_format(mysql_type_of_column(words[i].word, words[i].word, true), text);
        tell(arg, words[i].word, text);
    }
    tell(arg, "char, varchar, text, enum, set, inet4, inet6 and all others", "string");
}

/* ----------------------------------------------------------------------- results */

static bool is_text(const MYSQL_FIELD *f)
{
    return f->charsetnr != BINARY_CHARSET;
}

/* What MariaDB says beyond the number: uuid, inet6, json, point. */
static bool has_name(const MYSQL_FIELD *f, const char *name)
{
    static const enum mariadb_field_attr_t where[] = {MARIADB_FIELD_ATTR_DATA_TYPE_NAME,
                                                      MARIADB_FIELD_ATTR_FORMAT_NAME};

    for (size_t i = 0; i < sizeof where / sizeof *where; i++) {
        MARIADB_CONST_STRING said = {0};

        if (mariadb_field_attr(&said, f, where[i]) == 0 && said.length == strlen(name) &&
            memcmp(said.str, name, said.length) == 0)
            return true;
    }
    return false;
}

/* The words of the catalog for a field; NULL = text or bytes of some kind. */
static const char *word_of_number(int number)
{
    switch (number) { /* a server may send any */
    case MYSQL_TYPE_TINY:
        return "tinyint";
    case MYSQL_TYPE_SHORT:
        return "smallint";
    case MYSQL_TYPE_INT24:
        return "mediumint";
    case MYSQL_TYPE_LONG:
        return "int";
    case MYSQL_TYPE_LONGLONG:
        return "bigint";
    case MYSQL_TYPE_YEAR:
        return "year";
    case MYSQL_TYPE_BIT:
        return "bit";
    case MYSQL_TYPE_DECIMAL:
    case MYSQL_TYPE_NEWDECIMAL:
        return "decimal";
    case MYSQL_TYPE_FLOAT:
        return "float";
    case MYSQL_TYPE_DOUBLE:
        return "double";
    case MYSQL_TYPE_DATE:
    case MYSQL_TYPE_NEWDATE:
        return "date";
    case MYSQL_TYPE_DATETIME:
        return "datetime";
    case MYSQL_TYPE_TIMESTAMP:
        return "timestamp";
    case MYSQL_TYPE_TIME:
        return "time";
    case MYSQL_TYPE_GEOMETRY:
        return "geometry";
    case NUMBER_JSON:
        return "json";
    case NUMBER_VECTOR:
        return "vector";
    default:
        return NULL;
    }
}

/* Text of any length is a longtext here: what is selected is cut above the longest value. */
static const char *word_of_text(const MYSQL_FIELD *f)
{
    static const char *const names[] = {"uuid", "inet4", "inet6", "json"};
    bool text = is_text(f);

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (has_name(f, names[i]))
            return names[i];
    }
    if (f->type == MYSQL_TYPE_NULL)
        return "null";
    if (f->length > BATCH_MAX_VALUE)
        return text ? "longtext" : "longblob";
    if (f->type == MYSQL_TYPE_STRING || f->type == MYSQL_TYPE_VAR_STRING)
        return text ? "varchar" : "varbinary";
    return text ? "text" : "blob";
}

struct column_type mysql_type_of_field(const MYSQL_FIELD *f, bool tinyint1_is_bool,
                                       struct arena *mem, const char **out_source_type)
{
    const char *word = word_of_number((int)f->type), *text;
    bool no_sign = f->flags & UNSIGNED_FLAG;

    if (!word)
        word = text = word_of_text(f);
    else if (strcmp(word, "decimal") == 0)
        text = arena_printf(mem, "decimal(%lu,%u)",
                            f->length - (f->decimals > 0) - (no_sign ? 0 : 1), f->decimals);
    else if (strcmp(word, "bit") == 0)
        text = arena_printf(mem, "bit(%lu)", f->length);
    else if (f->type == MYSQL_TYPE_TINY && f->length == 1 && !no_sign)
        text = "tinyint(1)";
    else
        text = no_sign && IS_NUM(f->type) && f->type != MYSQL_TYPE_YEAR
                   ? arena_printf(mem, "%s unsigned", word)
                   : word;
    *out_source_type = text;
    return mysql_type_of_column(word, text, tinyint1_is_bool);
}
