#include <criterion/criterion.h>

#include <string.h>

#include "connectors/data/type.h"

/* Every type with the parameters that matter to the lattice. */
static const char *const samples[] = {
    "bool",          "int",           "decimal",       "decimal(1,0)",   "decimal(5,2)",
    "decimal(4,-4)", "decimal(2,5)",  "decimal(19,0)", "decimal(38,0)",  "decimal(38,38)",
    "decimal(20,0)", "decimal(50,2)", "float",         "float32",        "string",
    "bytes",         "date",          "time",          "timestamp",      "timestamptz",
    "interval",      "uuid",          "json",          "decimal(37,18)",
};
#define N_SAMPLES (sizeof samples / sizeof *samples)

static struct column_type type_of(const char *text)
{
    struct column_type t;

    cr_assert(type_parse(text, &t), "%s", text);
    return t;
}

/* The join as text, "" for a conflict. */
static void joined(const char *a, const char *b, char out[static 32])
{
    struct column_type t;

    if (type_join(type_of(a), type_of(b), &t))
        type_format(t, out);
    else
        out[0] = '\0';
}

Test(type, has_a_name_and_a_storage_for_every_enumerator)
{
    for (int t = 0; t < TYPE_COUNT; t++) {
        enum type again = TYPE_COUNT;

        cr_assert_not_null(type_name((enum type)t));
        cr_assert(type_from_name(type_name((enum type)t), &again));
        cr_assert_eq(again, (enum type)t);
        cr_assert_leq(type_storage((enum type)t), STORAGE_TEXT);
        cr_assert_eq(type_plain((enum type)t).type, (enum type)t);
    }
    cr_assert_eq(type_plain(TYPE_FLOAT).bits, 64);
    cr_assert_eq(type_plain(TYPE_DECIMAL).precision, 0);
}

Test(type, has_the_storage_that_batches_use)
{
    static const enum storage want[TYPE_COUNT] = {
        [TYPE_BOOL] = STORAGE_BOOL,       [TYPE_INT] = STORAGE_INT64,
        [TYPE_DECIMAL] = STORAGE_TEXT,    [TYPE_FLOAT] = STORAGE_DOUBLE,
        [TYPE_STRING] = STORAGE_TEXT,     [TYPE_BYTES] = STORAGE_TEXT,
        [TYPE_DATE] = STORAGE_INT64,      [TYPE_TIME] = STORAGE_INT64,
        [TYPE_TIMESTAMP] = STORAGE_INT64, [TYPE_TIMESTAMPTZ] = STORAGE_INT64,
        [TYPE_INTERVAL] = STORAGE_16,     [TYPE_UUID] = STORAGE_16,
        [TYPE_JSON] = STORAGE_TEXT,
    };

    for (int t = 0; t < TYPE_COUNT; t++)
        cr_assert_eq(type_storage((enum type)t), want[t], "%s", type_name((enum type)t));
}

Test(type, is_written_as_it_is_read)
{
    for (size_t i = 0; i < N_SAMPLES; i++) {
        char text[32];

        cr_assert_eq(type_format(type_of(samples[i]), text), strlen(samples[i]));
        cr_assert_str_eq(text, samples[i]);
    }
}

Test(type, reads_other_spellings)
{
    struct column_type t;

    cr_assert(type_parse("float64", &t) && type_equal(t, type_plain(TYPE_FLOAT)));
    cr_assert(type_parse("decimal(7)", &t) && t.precision == 7 && t.scale == 0);
    cr_assert(type_parse("decimal(65535,-32768)", &t) && t.precision == 65535 && t.scale == -32768);
}

Test(type, refuses_what_is_no_type)
{
    static const char *const bad[] = {"",
                                      "Int",
                                      "integer",
                                      "float16",
                                      "decimal(",
                                      "decimal()",
                                      "decimal(5,2",
                                      "decimal(5,2))",
                                      "decimal(0)",
                                      "decimal(-1)",
                                      "decimal(65536)",
                                      "decimal(5,32768)",
                                      "decimal(5,)",
                                      "decimal(,2)",
                                      "decimal(5, 2)",
                                      "string(5)",
                                      "int "};
    struct column_type t;
    enum type plain;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_not(type_parse(bad[i], &t), "%s", bad[i]);
    cr_assert_not(type_from_name("", &plain));
    cr_assert_not(type_from_name("INT", &plain));
}

Test(type, is_equal_only_with_its_parameters)
{
    cr_assert(type_equal(type_of("decimal(5,2)"), type_of("decimal(5,2)")));
    cr_assert_not(type_equal(type_of("decimal(5,2)"), type_of("decimal(5,3)")));
    cr_assert_not(type_equal(type_of("decimal(5,2)"), type_of("decimal(6,2)")));
    cr_assert_not(type_equal(type_of("decimal(5,2)"), type_of("decimal")));
    cr_assert_not(type_equal(type_of("float"), type_of("float32")));
    cr_assert_not(type_equal(type_of("date"), type_of("time")));
    /* A scale says nothing without a precision. */
    cr_assert(type_equal((struct column_type){.type = TYPE_DECIMAL, .scale = 3},
                         type_plain(TYPE_DECIMAL)));
}

/* The promotion table; a pair of different plain types that is not here is a conflict. */
static const char *const promotions[][3] = {
    {"int", "decimal", "decimal"},     {"int", "float", "decimal"},
    {"float", "decimal", "decimal"},   {"date", "timestamp", "timestamp"},
    {"bool", "string", "string"},      {"int", "string", "string"},
    {"decimal", "string", "string"},   {"float", "string", "string"},
    {"date", "string", "string"},      {"time", "string", "string"},
    {"timestamp", "string", "string"}, {"timestamptz", "string", "string"},
    {"uuid", "string", "string"},      {"interval", "string", "string"},
};

static const char *promotion(const char *a, const char *b)
{
    if (!strcmp(a, b))
        return a;
    if (!strcmp(a, "json") || !strcmp(b, "json"))
        return "json";
    for (size_t i = 0; i < sizeof promotions / sizeof *promotions; i++) {
        const char *const *p = promotions[i];

        if ((!strcmp(a, p[0]) && !strcmp(b, p[1])) || (!strcmp(a, p[1]) && !strcmp(b, p[0])))
            return p[2];
    }
    return "";
}

Test(lattice, is_the_table_of_the_engine)
{
    for (int a = 0; a < TYPE_COUNT; a++) {
        for (int b = 0; b < TYPE_COUNT; b++) {
            const char *name_a = type_name((enum type)a), *name_b = type_name((enum type)b);
            char got[32];

            joined(name_a, name_b, got);
            cr_assert_str_eq(got, promotion(name_a, name_b), "%s with %s", name_a, name_b);
        }
    }
}

Test(lattice, has_its_conflicts_on_purpose)
{
    static const char *const conflicts[][2] = {
        {"bool", "int"},     {"timestamp", "timestamptz"}, {"date", "timestamptz"},
        {"bytes", "string"}, {"time", "timestamp"},
    };

    for (size_t i = 0; i < sizeof conflicts / sizeof *conflicts; i++) {
        struct column_type t;

        cr_assert_not(type_join(type_of(conflicts[i][0]), type_of(conflicts[i][1]), &t));
    }
}

static const char *const decimals[][3] = {
    {"decimal(5,2)", "decimal(5,2)", "decimal(5,2)"},
    {"decimal(5,2)", "decimal(4,3)", "decimal(6,3)"},
    {"decimal(10,0)", "decimal(4,4)", "decimal(14,4)"},
    {"decimal(4,-4)", "decimal(2,0)", "decimal(8,0)"},
    {"decimal(4,-4)", "decimal(2,-2)", "decimal(6,-2)"},
    {"decimal(2,5)", "decimal(1,0)", "decimal(6,5)"},
    {"decimal(37,18)", "decimal(20,0)", "decimal(38,18)"}, /* 38 digits */
    {"decimal(37,18)", "decimal(21,0)", "decimal"},        /* 39 */
    {"decimal(38,0)", "decimal(38,38)", "decimal"},
    {"decimal(50,2)", "decimal(50,2)", "decimal(50,2)"},
    {"decimal(50,2)", "decimal(3,0)", "decimal"},
    {"decimal(5,2)", "decimal", "decimal"},
    {"int", "decimal(5,2)", "decimal(21,2)"},
    {"int", "decimal(20,0)", "decimal(20,0)"},
    {"int", "decimal(21,19)", "decimal(38,19)"},
    {"int", "decimal(22,20)", "decimal"},
    {"float", "decimal(5,2)", "decimal"},
    {"float32", "int", "decimal"},
    {"float32", "float", "float"},
    {"float32", "float32", "float32"},
    {"float32", "string", "string"},
    {"decimal(5,2)", "string", "string"},
};

Test(lattice, adds_up_the_digits_of_decimals)
{
    for (size_t i = 0; i < sizeof decimals / sizeof *decimals; i++) {
        char got[32];

        joined(decimals[i][0], decimals[i][1], got);
        cr_assert_str_eq(got, decimals[i][2], "%s with %s", decimals[i][0], decimals[i][1]);
    }
}

Test(lattice, is_idempotent_and_commutative)
{
    for (size_t a = 0; a < N_SAMPLES; a++) {
        char once[32], turned[32];

        joined(samples[a], samples[a], once);
        cr_assert_str_eq(once, samples[a]);
        for (size_t b = 0; b < N_SAMPLES; b++) {
            joined(samples[a], samples[b], once);
            joined(samples[b], samples[a], turned);
            cr_assert_str_eq(once, turned, "%s with %s", samples[a], samples[b]);
        }
    }
}

Test(lattice, is_associative_where_it_is_defined)
{
    size_t defined = 0;

    for (size_t i = 0; i < N_SAMPLES * N_SAMPLES * N_SAMPLES; i++) {
        const char *a = samples[i % N_SAMPLES], *b = samples[i / N_SAMPLES % N_SAMPLES];
        const char *c = samples[i / N_SAMPLES / N_SAMPLES];
        char ab[32], bc[32], left[32], right[32];

        joined(a, b, ab);
        joined(b, c, bc);
        if (!*ab || !*bc)
            continue;
        joined(ab, c, left);
        joined(a, bc, right);
        if (!*left || !*right)
            continue;
        defined++;
        cr_assert_str_eq(left, right, "%s, %s, %s", a, b, c);
    }
    cr_assert_gt(defined, 1000);
}

Test(lattice, never_goes_down)
{
    for (size_t i = 0; i < N_SAMPLES * N_SAMPLES; i++) {
        const char *a = samples[i % N_SAMPLES], *b = samples[i / N_SAMPLES];
        char ab[32], again[32];

        joined(a, b, ab);
        if (!*ab)
            continue;
        joined(ab, a, again);
        cr_assert_str_eq(again, ab, "%s with %s", a, b);
    }
}
