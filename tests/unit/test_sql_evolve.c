#include <criterion/criterion.h>

#include <string.h>

#include "connectors/sql/convert.h"
#include "connectors/sql/evolve.h"

#define INT              \
    {                    \
        .type = TYPE_INT \
    }
#define STRING              \
    {                       \
        .type = TYPE_STRING \
    }
#define BOOL              \
    {                     \
        .type = TYPE_BOOL \
    }
#define DECIMAL              \
    {                        \
        .type = TYPE_DECIMAL \
    }

static struct evolve_step steps[8];
static struct error err;

static int plan(const struct evolve_column *have, size_t n_have, const struct evolve_column *want,
                size_t n_want, enum drift_policy policy)
{
    err = ERROR_INIT;
    memset(steps, 0xff, sizeof steps);
    return evolve_plan(have, n_have, want, n_want, policy, steps, &err);
}

Test(evolve, adds_everything_to_a_new_table_whatever_the_policy)
{
    const struct evolve_column want[] = {{"a", INT}, {"b", STRING}};

    for (int policy = DRIFT_EVOLVE; policy <= DRIFT_FREEZE; policy++) {
        cr_assert_eq(plan(NULL, 0, want, 2, (enum drift_policy)policy), 0);
        cr_assert_eq(steps[0].action, EVOLVE_ADD);
        cr_assert_eq(steps[1].action, EVOLVE_ADD);
        cr_assert_eq(steps[1].type.type, TYPE_STRING);
    }
}

Test(evolve, adds_ignores_or_refuses_a_new_column)
{
    const struct evolve_column have[] = {{"a", INT}}, want[] = {{"a", INT}, {"b", INT}};

    cr_assert_eq(plan(have, 1, want, 2, DRIFT_EVOLVE), 0);
    cr_assert_eq(steps[0].action, EVOLVE_KEEP);
    cr_assert_eq(steps[1].action, EVOLVE_ADD);
    cr_assert_eq(plan(have, 1, want, 2, DRIFT_IGNORE), 0);
    cr_assert_eq(steps[1].action, EVOLVE_LEAVE_OUT);
    cr_assert_lt(plan(have, 1, want, 2, DRIFT_FREEZE), 0);
    cr_assert_eq(err.code, ERR_SCHEMA);
    cr_assert_str_eq(error_reason(&err), "schema_frozen");
    cr_assert(strstr(err.message, "\"b\""));
}

Test(evolve, widens_along_the_lattice_and_never_narrows)
{
    const struct evolve_column narrow[] = {{"a", INT}}, wide[] = {{"a", DECIMAL}};

    cr_assert_eq(plan(narrow, 1, wide, 1, DRIFT_EVOLVE), 0);
    cr_assert_eq(steps[0].action, EVOLVE_WIDEN);
    cr_assert_eq(steps[0].type.type, TYPE_DECIMAL);
    cr_assert_eq(plan(wide, 1, narrow, 1, DRIFT_EVOLVE), 0);
    cr_assert_eq(steps[0].action, EVOLVE_KEEP);
    cr_assert_eq(steps[0].type.type, TYPE_DECIMAL);
    cr_assert_eq(plan(narrow, 1, wide, 1, DRIFT_IGNORE), 0);
    cr_assert_eq(steps[0].action, EVOLVE_CONFLICT);
    cr_assert_eq(steps[0].type.type, TYPE_INT);
    cr_assert_lt(plan(narrow, 1, wide, 1, DRIFT_FREEZE), 0);
}

Test(evolve, keeps_the_column_where_no_type_holds_both)
{
    const struct evolve_column have[] = {{"a", BOOL}}, want[] = {{"a", INT}};

    cr_assert_eq(plan(have, 1, want, 1, DRIFT_EVOLVE), 0);
    cr_assert_eq(steps[0].action, EVOLVE_CONFLICT);
    cr_assert_eq(steps[0].type.type, TYPE_BOOL);
    cr_assert_lt(plan(have, 1, want, 1, DRIFT_FREEZE), 0);
}

Test(evolve, keeps_a_column_the_source_lost_unless_frozen)
{
    const struct evolve_column have[] = {{"a", INT}, {"gone", INT}}, want[] = {{"a", INT}};

    cr_assert_eq(plan(have, 2, want, 1, DRIFT_EVOLVE), 0);
    cr_assert_eq(plan(have, 2, want, 1, DRIFT_IGNORE), 0);
    cr_assert_lt(plan(have, 2, want, 1, DRIFT_FREEZE), 0);
    cr_assert(strstr(err.message, "\"gone\""));
}

static const char *convert(enum type from, enum type to, const char *text)
{
    static struct buf out;

    buf_release(&out);
    out = BUF_INIT(1000);
    sql_convert_text(from, to, text, strlen(text), &out);
    return buf_str(&out);
}

Test(convert, writes_narrower_values_as_text_of_the_wider_type)
{
    cr_assert_str_eq(convert(TYPE_INT, TYPE_DECIMAL, "7"), "7");
    cr_assert_str_eq(convert(TYPE_FLOAT, TYPE_DECIMAL, "1e+21"), "1000000000000000000000");
    cr_assert_str_eq(convert(TYPE_FLOAT, TYPE_DECIMAL, "NaN"), "NaN");
    cr_assert_str_eq(convert(TYPE_DATE, TYPE_TIMESTAMP, "2024-02-29"), "2024-02-29T00:00:00");
    cr_assert_str_eq(convert(TYPE_DATE, TYPE_TIMESTAMP, "-infinity"), "-infinity");
    cr_assert_str_eq(convert(TYPE_BOOL, TYPE_STRING, "true"), "true");
    cr_assert_str_eq(convert(TYPE_STRING, TYPE_JSON, "a\"b"), "\"a\\\"b\"");
    cr_assert_str_eq(convert(TYPE_DECIMAL, TYPE_JSON, "1.10"), "1.10");
    cr_assert_str_eq(convert(TYPE_DECIMAL, TYPE_JSON, "Infinity"), "\"Infinity\"");
    cr_assert_str_eq(convert(TYPE_BOOL, TYPE_JSON, "false"), "false");
    cr_assert_str_eq(convert(TYPE_DATE, TYPE_JSON, "2024-02-29"), "\"2024-02-29\"");
}

Test(convert, trims_only_zeros_behind_the_point)
{
    static const struct {
        const char *text;
        size_t n;
    } cases[] = {{"1.00", 1},   {"1.50", 3}, {"100", 3}, {"0.0", 1},
                 {"-2.010", 5}, {"0", 1},    {"NaN", 3}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_assert_eq(sql_trim_decimal(cases[i].text, strlen(cases[i].text)), cases[i].n, "%s",
                     cases[i].text);
}
