/*
 * Types of the server by their OID, never by name. What is not in the table (enums, addresses,
 * money, ranges, geometry, composites, types of extensions) is a string: the server's own text.
 */
#include "connectors/sql/postgres.h"
#include "connectors/sql/postgres_decode.h"
#include "connectors/sql/postgres_oid.h"

#define INET_ARRAY 1041

#define HEADER 4 /* what a type modifier is greater by */

#define ALIAS " AS \"_connectord_cast\""
#define LIMIT "16777216"
#define ABOVE "16777217"
_Static_assert(BATCH_MAX_VALUE == 16777216, "the statements say so too");

/*
 * A value of a gigabyte would lie in the memory of the client as a whole before it could be looked
 * at. The server cuts it to one that is still too large, so that it becomes an odd cell. How long
 * text and bytea are is known without reading them; what is small when compressed by a factor of
 * at most 255 is small enough.
 */
#define SMALL "pg_catalog.pg_column_size({column}) <= 65536"
#define LEFT  "pg_catalog.\"left\"({column}::text, " ABOVE ")"
/* What psql would show; a cast may be something else, as that of inet is. Of NULL it is ''. */
static const char text_cast[] =
    "CASE WHEN {column} IS DISTINCT FROM NULL THEN"
    " pg_catalog.\"left\"(pg_catalog.concat({column}), " ABOVE ") END" ALIAS;
static const char array_cast[] = "{column}::text[]" ALIAS;
static const char inet_array_cast[] = "nullif(pg_catalog.concat({column}), '')::text[]" ALIAS;
static const char limit_text[] = "CASE WHEN pg_catalog.octet_length({column}) <= " LIMIT
                                 " THEN {column} ELSE " LEFT " END" ALIAS;
static const char limit_bytes[] =
    "CASE WHEN pg_catalog.octet_length({column}) <= " LIMIT
    " THEN {column} ELSE pg_catalog.substr({column}, 1, " ABOVE ") END" ALIAS;
static const char limit_json[] =
    "CASE WHEN " SMALL " OR pg_catalog.octet_length({column}::text) <= " LIMIT
    " THEN {column} ELSE pg_catalog.to_json(" LEFT ") END" ALIAS;
static const char limit_jsonb[] =
    "CASE WHEN " SMALL " OR pg_catalog.octet_length({column}::text) <= " LIMIT
    " THEN {column} ELSE pg_catalog.to_jsonb(" LEFT ") END" ALIAS;

static const struct known {
    const char *name; /* for people */
    uint32_t oid, array;
    enum postgres_form form;
    enum type type;
    const char *limit; /* the cast of columns that may hold too much */
} known[] = {
    {"boolean", POSTGRES_BOOL, 1000, POSTGRES_FORM_BOOL, TYPE_BOOL, NULL},
    {"bytea", POSTGRES_BYTEA, 1001, POSTGRES_FORM_BYTES, TYPE_BYTES, limit_bytes},
    {"name", POSTGRES_NAME, 1003, POSTGRES_FORM_TEXT, TYPE_STRING, NULL},
    {"bigint", POSTGRES_INT8, 1016, POSTGRES_FORM_INT8, TYPE_INT, NULL},
    {"smallint", POSTGRES_INT2, 1005, POSTGRES_FORM_INT2, TYPE_INT, NULL},
    {"integer", POSTGRES_INT4, 1007, POSTGRES_FORM_INT4, TYPE_INT, NULL},
    {"text", POSTGRES_TEXT, 1009, POSTGRES_FORM_TEXT, TYPE_STRING, limit_text},
    {"oid", POSTGRES_OID, 1028, POSTGRES_FORM_OID, TYPE_INT, NULL},
    {"json", POSTGRES_JSON, 199, POSTGRES_FORM_JSON, TYPE_JSON, limit_json},
    {"real", POSTGRES_FLOAT4, 1021, POSTGRES_FORM_FLOAT4, TYPE_FLOAT, NULL},
    {"double precision", POSTGRES_FLOAT8, 1022, POSTGRES_FORM_FLOAT8, TYPE_FLOAT, NULL},
    {"character", POSTGRES_BPCHAR, 1014, POSTGRES_FORM_TEXT, TYPE_STRING, NULL},
    {"character varying", POSTGRES_VARCHAR, 1015, POSTGRES_FORM_TEXT, TYPE_STRING, limit_text},
    {"date", POSTGRES_DATE, 1182, POSTGRES_FORM_DATE, TYPE_DATE, NULL},
    {"time", POSTGRES_TIME, 1183, POSTGRES_FORM_TIME, TYPE_TIME, NULL},
    {"timestamp", POSTGRES_TIMESTAMP, 1115, POSTGRES_FORM_TIMESTAMP, TYPE_TIMESTAMP, NULL},
    {"timestamp with time zone", POSTGRES_TIMESTAMPTZ, 1185, POSTGRES_FORM_TIMESTAMPTZ,
     TYPE_TIMESTAMPTZ, NULL},
    {"interval", POSTGRES_INTERVAL, 1187, POSTGRES_FORM_INTERVAL, TYPE_INTERVAL, NULL},
    {"numeric", POSTGRES_NUMERIC, 1231, POSTGRES_FORM_NUMERIC, TYPE_DECIMAL, NULL},
    {"uuid", POSTGRES_UUID, 2951, POSTGRES_FORM_UUID, TYPE_UUID, NULL},
    {"jsonb", POSTGRES_JSONB, 3807, POSTGRES_FORM_JSONB, TYPE_JSON, limit_jsonb},
};
#define N_KNOWN (sizeof known / sizeof known[0])

void postgres_tell_types(tell_fn *tell, void *arg)
{
    char text[32];

    for (size_t i = 0; i < N_KNOWN; i++) {
        (void)type_format(postgres_reading_of(known[i].oid, -1, false).type, text);
        tell(arg, known[i].name, text);
    }
    (void)type_format(postgres_reading_of(known[0].array, -1, true).type, text);
    tell(arg, "arrays of any of them", text);
    (void)type_format(postgres_reading_of(UINT32_MAX, -1, false).type, text);
    tell(arg, "enums, addresses, money, ranges, geometry, composites and all others", text);
}

enum postgres_form postgres_form_of(uint32_t oid)
{
    for (size_t i = 0; i < N_KNOWN; i++) {
        if (known[i].oid == oid)
            return known[i].form;
    }
    return POSTGRES_FORM_NONE;
}

/*
 * Precision and scale. A scale below zero rounds to tens, and one above the precision puts zeros
 * behind the point: both are widened to what any database calls a precision.
 */
static void set_precision(int32_t modifier, struct column_type *out)
{
    int precision, scale;

    if (modifier < HEADER)
        return;
    precision = (modifier - HEADER) >> 16 & 0xffff;
    scale = (((modifier - HEADER) & 0x7ff) ^ 0x400) - 0x400;
    if (scale < 0) {
        precision -= scale;
        scale = 0;
    }
    out->precision = (uint16_t)(precision > scale ? precision : scale);
    out->scale = (int16_t)scale;
}

struct postgres_reading postgres_reading_of(uint32_t oid, int32_t modifier, bool is_array)
{
    struct postgres_reading r = {type_plain(TYPE_STRING), POSTGRES_FORM_TEXT, text_cast, true};

    for (size_t i = 0; i < N_KNOWN; i++) {
        if (known[i].array == oid)
            return (struct postgres_reading){type_plain(TYPE_JSON), POSTGRES_FORM_ARRAY, NULL,
                                             false};
        if (known[i].oid != oid)
            continue;
        r = (struct postgres_reading){type_plain(known[i].type), known[i].form, known[i].limit,
                                      false};
        if (oid == POSTGRES_NUMERIC)
            set_precision(modifier, &r.type);
        if (oid == POSTGRES_FLOAT4)
            r.type.bits = 32;
        if (oid == POSTGRES_VARCHAR && modifier >= HEADER &&
            (size_t)(modifier - HEADER) <= BATCH_MAX_VALUE / 4) /* bytes of a character */
            r.cast = NULL;
        return r;
    }
    if (is_array)
        r = (struct postgres_reading){type_plain(TYPE_JSON), POSTGRES_FORM_ARRAY,
                                      oid == INET_ARRAY ? inet_array_cast : array_cast, true};
    return r;
}
