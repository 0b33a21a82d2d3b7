#include <criterion/criterion.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/base/text.h"
#include "connectors/sql/postgres_decode.h"

/* Bytes as the server sends them, from hexadecimal digits and blanks. */
static struct slice bytes(const char *hex)
{
    static char out[4096];
    size_t n = 0;
    int half = -1;

    for (; *hex; hex++) {
        int d = *hex >= 'a' ? *hex - 'a' + 10 : *hex - '0';

        if (*hex == ' ')
            continue;
        if (half < 0) {
            half = d;
        } else {
            out[n++] = (char)(half << 4 | d);
            half = -1;
        }
    }
    return (struct slice){out, n};
}

/* The cell as text; "odd: ..." for an odd one, "refused" for bytes that are no value. */
static const char *decode_bytes(enum postgres_form form, struct column_type type, struct slice v)
{
    static char out[200000];
    struct column column = {.name = "c", .type = type, .source_type = "", .nullable = true};
    struct schema schema = {&column, 1, NULL, 0};
    struct batch *rows = batch_new(&schema);
    struct buf scratch = BUF_INIT(BATCH_MAX_VALUE), text = BUF_INIT(sizeof out - 1);
    const struct odd_cell *odd;
    size_t n_odd;

    snprintf(out, sizeof out, "refused");
    if (postgres_decode_cell(form, v.ptr, v.len, &scratch, rows, 0)) {
        batch_end_row(rows);
        odd = batch_odd_cells(rows, &n_odd);
        if (n_odd > 0)
            snprintf(out, sizeof out, "odd %s: %.*s", reason_name(odd[0].reason),
                     (int)odd[0].original.len, odd[0].original.ptr);
        else {
            batch_cell_text(rows, 0, 0, &text);
            snprintf(out, sizeof out, "%s", buf_str(&text));
        }
    }
    batch_free(rows);
    buf_release(&scratch);
    buf_release(&text);
    return out;
}

static const char *decode(enum postgres_form form, enum type type, const char *hex)
{
    return decode_bytes(form, type_plain(type), bytes(hex));
}

static const char *key_of(enum postgres_form form, const char *hex)
{
    static char out[200];
    struct slice v = bytes(hex);
    struct buf scratch = BUF_INIT(4096);
    struct sql_value key;

    snprintf(out, sizeof out, "refused");
    if (postgres_decode_key(form, v.ptr, v.len, &scratch, &key)) {
        if (key.kind == SQL_INT)
            snprintf(out, sizeof out, "int %lld", (long long)key.number);
        else if (key.kind == SQL_REAL)
            snprintf(out, sizeof out, "real %g", key.real);
        else
            snprintf(out, sizeof out, "%s %.*s", key.kind == SQL_BLOB ? "blob" : "text",
                     (int)key.bytes.len, key.bytes.ptr);
    }
    buf_release(&scratch);
    return out;
}

#define IS(form, type, hex, text) \
    cr_assert_str_eq(decode(POSTGRES_FORM_##form, TYPE_##type, hex), text)

Test(postgres_decode, reads_numbers)
{
    IS(BOOL, BOOL, "01", "true");
    IS(BOOL, BOOL, "00", "false");
    IS(INT2, INT, "8000", "-32768");
    IS(INT4, INT, "ffffffff", "-1");
    IS(INT8, INT, "8000000000000000", "-9223372036854775808");
    IS(OID, INT, "ffffffff", "4294967295");
    IS(FLOAT8, FLOAT, "7ff8000000000000", "NaN");
    IS(FLOAT8, FLOAT, "fff0000000000000", "-Infinity");
    IS(FLOAT8, FLOAT, "8000000000000000", "-0");
    IS(FLOAT4, FLOAT, "7f800000", "Infinity");
    cr_assert_str_eq(decode_bytes(POSTGRES_FORM_FLOAT4,
                                  (struct column_type){TYPE_FLOAT, .bits = 32}, bytes("3dcccccd")),
                     "0.1");
}

Test(postgres_decode, reads_numerics_with_all_their_digits)
{
    IS(NUMERIC, DECIMAL, "0000 0000 0000 0000", "0");
    IS(NUMERIC, DECIMAL, "0000 0000 4000 0000", "0");
    IS(NUMERIC, DECIMAL, "0000 0000 0000 0003", "0.000");
    IS(NUMERIC, DECIMAL, "0002 0000 0000 0002 0001 1388", "1.50");
    IS(NUMERIC, DECIMAL, "0001 0001 4000 0000 000c", "-120000");
    IS(NUMERIC, DECIMAL, "0001 fffe 0000 0008 0001", "0.00000001");
    IS(NUMERIC, DECIMAL, "0002 0001 0000 0001 04d2 000a", "12340010.0");
    IS(NUMERIC, DECIMAL, "0001 ffff 4000 0001 03e8", "-0.1");
    IS(NUMERIC, DECIMAL, "0000 0000 c000 0000", "NaN");
    IS(NUMERIC, DECIMAL, "0000 0000 d000 0020", "Infinity");
    IS(NUMERIC, DECIMAL, "0000 0000 f000 0020", "-Infinity");
    /* Not in the normal form, and still canonical. */
    IS(NUMERIC, DECIMAL, "0002 0001 0000 0000 0000 0007", "7");
    IS(NUMERIC, DECIMAL, "0001 ffff 4000 0000 0bb8", "0");
    /* As long as it gets: 10,000^32,767 and 16,383 places. */
    cr_assert_eq(strlen(decode(POSTGRES_FORM_NUMERIC, TYPE_DECIMAL, "0001 7fff 0000 3fff 270f")),
                 131072 + 1 + 16383);
}

Test(postgres_decode, reads_times_to_their_ends)
{
    IS(DATE, DATE, "00000000", "2000-01-01");
    IS(DATE, DATE, "7fffffff", "infinity");
    IS(DATE, DATE, "80000000", "-infinity");
    IS(DATE, DATE, "ffda97a7", "-4713-11-24"); /* 4714 BC, the first day */
    IS(DATE, DATE, "7fda970c", "+5874897-12-31");
    IS(TIME, TIME, "000000141dd76000", "24:00:00");
    IS(TIME, TIME, "0000000000000001", "00:00:00.000001");
    IS(TIMESTAMP, TIMESTAMP, "ffffffffffffffff", "1999-12-31T23:59:59.999999");
    IS(TIMESTAMP, TIMESTAMP, "7fffffffffffffff", "infinity");
    IS(TIMESTAMPTZ, TIMESTAMPTZ, "8000000000000000", "-infinity");
    IS(TIMESTAMPTZ, TIMESTAMPTZ, "fd0f7cc1411fa000", "-4713-11-24T00:00:00Z");
    /* 30 years that the server has and 64 bits since 1970 have not. */
    IS(TIMESTAMP, TIMESTAMP, "7fffff5bb3b29fff", "odd out_of_range: +294276-12-31T23:59:59.999999");
    IS(TIMESTAMPTZ, TIMESTAMPTZ, "7fffff5bb3b29fff",
       "odd out_of_range: +294276-12-31T23:59:59.999999Z");
    IS(INTERVAL, INTERVAL, "0000000000000001 ffffffff 0000000d", "P1Y1M-1DT0.000001S");
    IS(INTERVAL, INTERVAL, "7fffffffffffffff 7fffffff 7fffffff", "odd out_of_range: infinity");
    IS(INTERVAL, INTERVAL, "8000000000000000 80000000 80000000", "odd out_of_range: -infinity");
}

Test(postgres_decode, reads_text_and_documents)
{
    IS(TEXT, STRING, "", "");
    IS(TEXT, STRING, "e282ac", "\xe2\x82\xac");
    IS(TEXT, STRING, "ff", "odd encoding: \xff");
    IS(BYTES, BYTES, "00ff", "AP8=");
    IS(UUID, UUID, "a0eebc999c0b4ef8bb6d6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");
    IS(JSON, JSON, "7b7d20", "{} ");
    IS(JSONB, JSON, "01 7b7d", "{}");
    IS(JSONB, JSON, "01 22ff22", "odd encoding: \"\xff\"");
}

/* dimensions, has nulls, type of the elements; size and lower bound of each dimension */
#define ARRAY(type, n)       "00000001 00000001 " type " 0000000" n " 00000001 "
#define ARRAY_AT(type, n, l) "00000001 00000001 " type " 0000000" n " " l " "

Test(postgres_decode, reads_arrays_element_by_element)
{
    IS(ARRAY, JSON, "00000000 00000000 00000019", "[]");
    IS(ARRAY, JSON, ARRAY("00000019", "3") "00000003 612c62 00000001 63 ffffffff",
       "[\"a,b\",\"c\",null]");
    IS(ARRAY, JSON, ARRAY("00000019", "2") "00000004 4e554c4c 00000002 225c",
       "[\"NULL\",\"\\\"\\\\\"]");
    IS(ARRAY, JSON,
       "00000002 00000000 00000017 00000002 00000001 00000002 00000001"
       " 00000004 00000001 00000004 00000002 00000004 00000003 00000004 fffffffc",
       "[[1,2],[3,-4]]");
    IS(ARRAY, JSON, ARRAY("00000010", "2") "00000001 01 00000001 00", "[true,false]");
    IS(ARRAY, JSON, ARRAY("000002bd", "2") "00000008 7ff8000000000000 00000008 3fb999999999999a",
       "[\"NaN\",0.1]");
    IS(ARRAY, JSON, ARRAY("000002bc", "1") "00000004 3dcccccd", "[0.1]");
    IS(ARRAY, JSON,
       ARRAY("000006a4", "2") "0000000a 0001 0000 0000 0002 0007 00000008 0000 0000 c000 0000",
       "[7.00,\"NaN\"]");
    IS(ARRAY, JSON, ARRAY("00000011", "1") "00000002 00ff", "[\"AP8=\"]");
    IS(ARRAY, JSON, ARRAY("0000043a", "1") "00000004 7fffffff", "[\"infinity\"]");
    IS(ARRAY, JSON, ARRAY("00000eda", "1") "00000003 017b7d", "[{}]");
    IS(ARRAY, JSON, ARRAY("00000b86", "1") "00000010 a0eebc999c0b4ef8bb6d6bb9bd380a11",
       "[\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\"]");
    IS(ARRAY, JSON, ARRAY_AT("00000017", "1", "00000000") "00000004 00000009",
       "{\"lower_bounds\":[0],\"values\":[9]}");
    IS(ARRAY, JSON, ARRAY("00000019", "2") "00000001 61 00000001 ff", "odd encoding: \xff");
}

Test(postgres_decode, refuses_what_is_no_value)
{
    static const struct {
        enum postgres_form form;
        enum type type;
        const char *hex;
    } bad[] = {
        {POSTGRES_FORM_BOOL, TYPE_BOOL, ""},
        {POSTGRES_FORM_BOOL, TYPE_BOOL, "0101"},
        {POSTGRES_FORM_INT4, TYPE_INT, "000001"},
        {POSTGRES_FORM_INT8, TYPE_INT, "00000001"},
        {POSTGRES_FORM_FLOAT8, TYPE_FLOAT, "00"},
        {POSTGRES_FORM_NUMERIC, TYPE_DECIMAL, "0000"},
        {POSTGRES_FORM_NUMERIC, TYPE_DECIMAL, "ffff 0000 0000 0000"},
        {POSTGRES_FORM_NUMERIC, TYPE_DECIMAL, "0001 0000 0000 0000 2710"},
        {POSTGRES_FORM_NUMERIC, TYPE_DECIMAL, "0001 0000 1234 0000 0001"},
        {POSTGRES_FORM_NUMERIC, TYPE_DECIMAL, "0001 0000 0000 4000 0001"},
        {POSTGRES_FORM_NUMERIC, TYPE_DECIMAL, "0001 0000 0000 0000 0001 0001"},
        {POSTGRES_FORM_DATE, TYPE_DATE, "0000000000"},
        {POSTGRES_FORM_TIME, TYPE_TIME, "ffffffffffffffff"},
        {POSTGRES_FORM_TIME, TYPE_TIME, "000000141dd76001"},
        {POSTGRES_FORM_TIMESTAMP, TYPE_TIMESTAMP, "00"},
        {POSTGRES_FORM_INTERVAL, TYPE_INTERVAL, "00"},
        {POSTGRES_FORM_UUID, TYPE_UUID, "00"},
        {POSTGRES_FORM_JSONB, TYPE_JSON, ""},
        {POSTGRES_FORM_JSONB, TYPE_JSON, "02 7b7d"},
        {POSTGRES_FORM_ARRAY, TYPE_JSON, "00000000 00000000"},
        {POSTGRES_FORM_ARRAY, TYPE_JSON, "00000007 00000000 00000017"},
        {POSTGRES_FORM_ARRAY, TYPE_JSON, "00000001 00000000 00000017"},
        {POSTGRES_FORM_ARRAY, TYPE_JSON, "00000000 00000000 00000017 00"},
        {POSTGRES_FORM_ARRAY, TYPE_JSON, "00000000 00000000 00004567"},
        {POSTGRES_FORM_ARRAY, TYPE_JSON, ARRAY("00000017", "1") "00000004 0000"},
        {POSTGRES_FORM_ARRAY, TYPE_JSON, ARRAY("00000017", "1") "7fffffff 00000000"},
        {POSTGRES_FORM_ARRAY, TYPE_JSON, ARRAY("00000017", "1") "fffffffe"},
        {POSTGRES_FORM_ARRAY, TYPE_JSON, ARRAY("00000017", "1") "00000004 00000001 00"},
        {POSTGRES_FORM_ARRAY, TYPE_JSON, ARRAY("00000072", "1") "00000002 7b7b"},
        /* 2^96 elements */
        {POSTGRES_FORM_ARRAY, TYPE_JSON,
         "00000003 00000000 00000017 ffffffff 00000001 ffffffff 00000001 ffffffff 00000001"},
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_str_eq(decode(bad[i].form, bad[i].type, bad[i].hex), "refused", "row %zu", i);
}

Test(postgres_decode, gives_keys_that_the_server_reads_back)
{
    cr_assert_str_eq(key_of(POSTGRES_FORM_BOOL, "01"), "int 1");
    cr_assert_str_eq(key_of(POSTGRES_FORM_INT2, "ffff"), "int -1");
    cr_assert_str_eq(key_of(POSTGRES_FORM_FLOAT8, "3fe0000000000000"), "real 0.5");
    cr_assert_str_eq(key_of(POSTGRES_FORM_BYTES, "6162"), "blob ab");
    cr_assert_str_eq(key_of(POSTGRES_FORM_TEXT, "612c62"), "text a,b");
    cr_assert_str_eq(key_of(POSTGRES_FORM_NUMERIC, "0002 0000 0000 0002 0001 1388"), "text 1.50");
    cr_assert_str_eq(key_of(POSTGRES_FORM_DATE, "ffda97a7"), "text 4714-11-24 BC");
    cr_assert_str_eq(key_of(POSTGRES_FORM_DATE, "7fda970c"), "text 5874897-12-31");
    cr_assert_str_eq(key_of(POSTGRES_FORM_DATE, "7fffffff"), "text infinity");
    cr_assert_str_eq(key_of(POSTGRES_FORM_DATE, "fff4dbf8"), "text 0001-12-31 BC");
    cr_assert_str_eq(key_of(POSTGRES_FORM_TIMESTAMP, "7fffff5bb3b29fff"),
                     "text 294276-12-31T23:59:59.999999");
    cr_assert_str_eq(key_of(POSTGRES_FORM_TIMESTAMPTZ, "fd0f7cc1411fa000"),
                     "text 4714-11-24T00:00:00Z BC");
    cr_assert_str_eq(key_of(POSTGRES_FORM_TIMESTAMPTZ, "8000000000000000"), "text -infinity");
    /* Years that no server has: text all the same, and no overflow on the way. */
    cr_assert_str_eq(key_of(POSTGRES_FORM_TIMESTAMP, "8000000000000001"),
                     "text 290279-12-22T19:59:05.224193 BC");
    cr_assert_str_eq(key_of(POSTGRES_FORM_JSONB, "017b7d"), "refused");
    cr_assert_str_eq(key_of(POSTGRES_FORM_INT4, "00"), "refused");
}

Test(postgres_decode, never_leaves_the_range_of_cursors)
{
    struct slice v;
    int64_t out;
    bool exact;

    v = bytes("7fffff5bb3b29fff");
    cr_assert(postgres_decode_cursor(POSTGRES_FORM_TIMESTAMPTZ, v.ptr, v.len, &out, &exact));
    cr_assert(!exact && out == VALUE_INFINITY - 1);
    v = bytes("7fffffffffffffff");
    cr_assert(postgres_decode_cursor(POSTGRES_FORM_TIMESTAMPTZ, v.ptr, v.len, &out, &exact));
    cr_assert(exact && out == VALUE_INFINITY);
    v = bytes("0000000000000000");
    cr_assert(postgres_decode_cursor(POSTGRES_FORM_TIMESTAMP, v.ptr, v.len, &out, &exact));
    cr_assert(exact && out == INT64_C(946684800000000));
    v = bytes("80000000");
    cr_assert(postgres_decode_cursor(POSTGRES_FORM_DATE, v.ptr, v.len, &out, &exact));
    cr_assert(exact && out == VALUE_MINUS_INFINITY);
    cr_assert_not(postgres_decode_cursor(POSTGRES_FORM_TEXT, v.ptr, v.len, &out, &exact));
}

Test(postgres_type, maps_by_number)
{
    static const struct {
        uint32_t oid;
        int32_t modifier;
        bool is_array;
        const char *type;
    } rows[] = {
        {16, -1, false, "bool"},
        {21, -1, false, "int"},
        {700, -1, false, "float32"},
        {701, -1, false, "float"},
        {1700, -1, false, "decimal"},
        {1700, (15 << 16 | 2) + 4, false, "decimal(15,2)"},
        {1700, (1000 << 16 | 1000) + 4, false, "decimal(1000,1000)"},
        {1700, (3 << 16 | (-4 & 0x7ff)) + 4, false, "decimal(7,0)"},
        {1700, (2 << 16 | 5) + 4, false, "decimal(5,5)"},
        {1043, 14, false, "string"},
        {1082, -1, false, "date"},
        {1083, 3, false, "time"},
        {1266, -1, false, "string"}, /* timetz */
        {1186, -1, false, "interval"},
        {3904, -1, false, "string"}, /* int4range is no integer */
        {22, -1, false, "string"},   /* int2vector neither, nor an array */
        {790, -1, false, "string"},  /* money */
        {869, -1, false, "string"},  /* inet */
        {1007, -1, false, "json"},   /* int4[] */
        {16400, -1, false, "string"},
        {16401, -1, true, "json"},
    };
    char type[32];

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        type_format(postgres_reading_of(rows[i].oid, rows[i].modifier, rows[i].is_array).type,
                    type);
        cr_expect_str_eq(type, rows[i].type, "oid %u: %s", rows[i].oid, type);
    }
}
