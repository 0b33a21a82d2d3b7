#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "connectors/catalog.h"
#include "connectors/filter.h"

/* One column of each type, named by it. */
static const char catalog_text[] =
    "{\"streams\":[{\"name\":\"t\",\"columns\":["
    "{\"name\":\"bool\",\"type\":\"bool\"},{\"name\":\"int\",\"type\":\"int\"},"
    "{\"name\":\"decimal\",\"type\":\"decimal(15,2)\"},{\"name\":\"float\",\"type\":\"float\"},"
    "{\"name\":\"string\",\"type\":\"string\"},{\"name\":\"bytes\",\"type\":\"bytes\"},"
    "{\"name\":\"date\",\"type\":\"date\"},{\"name\":\"time\",\"type\":\"time\"},"
    "{\"name\":\"timestamp\",\"type\":\"timestamp\"},"
    "{\"name\":\"timestamptz\",\"type\":\"timestamptz\"},"
    "{\"name\":\"interval\",\"type\":\"interval\"},{\"name\":\"uuid\",\"type\":\"uuid\"},"
    "{\"name\":\"json\",\"type\":\"json\"}],\"primary_key\":[\"int\"],"
    "\"sync_modes\":[\"full_refresh\"]}]}";

static struct arena *mem;
static struct catalog catalog;
static struct problems problems;
static struct selection selection;
static struct doc *input;

static void setup(void)
{
    struct error err = ERROR_INIT;
    struct doc *d;

    mem = arena_new();
    catalog = CATALOG_INIT(mem);
    cr_assert_eq(doc_parse(catalog_text, strlen(catalog_text), &d, &err), 0, "%s", err.message);
    cr_assert_eq(catalog_from_doc(d, &catalog, &err), 0, "%s", err.message);
    doc_free(d);
}

static void teardown(void)
{
    doc_free(input);
    arena_free(mem);
}

TestSuite(filter, .init = setup, .fini = teardown);

/* The members of a stream behind its name. */
static bool resolve(const char *members)
{
    struct error err = ERROR_INIT;
    const char *json = arena_printf(mem, "[{\"name\":\"t\",%s}]", members);

    doc_free(input);
    cr_assert_eq(doc_parse(json, strlen(json), &input, &err), 0, "%s: %s", json, err.message);
    problems = PROBLEMS_INIT(mem);
    return selection_resolve(input, &catalog, "/streams", mem, &selection, &problems);
}

/* The filter as it is understood, or the pointers and codes of the problems. */
static const char *understood(const char *filter)
{
    static char out[4096];
    struct buf text = BUF_INIT(4096);
    struct doc *d;
    size_t n = 0;

    if (!resolve(arena_printf(mem, "\"filter\":%s", filter))) {
        for (size_t i = 0; i < problems.n; i++)
            n += (size_t)snprintf(out + n, sizeof out - n, "%s%s %s", i ? ", " : "",
                                  problems.items[i].pointer + strlen("/streams/0/filter"),
                                  problems.items[i].code);
        return out;
    }
    d = filters_to_doc(selection.streams[0].filters, selection.streams[0].n_filters);
    doc_write(d, &text);
    doc_free(d);
    snprintf(out, sizeof out, "%s", buf_str(&text));
    buf_release(&text);
    return out;
}

/* {"column":"x","op":"eq","value":v} */
static const char *value_of(const char *column, const char *value)
{
    const char *json =
        arena_printf(mem, "[{\"column\":\"%s\",\"op\":\"eq\",\"value\":%s}]", column, value);
    const char *out = understood(json), *at = strstr(out, "\"value\":");

    if (!at)
        return out;
    at += strlen("\"value\":");
    return arena_memdup(mem, at, strlen(at) - 2);
}

static const struct {
    const char *column, *value, *expected; /* NULL = refused */
} values[] = {
    {"bool", "true", "true"},
    {"bool", "1", NULL},
    {"bool", "\"true\"", NULL},
    {"int", "5", "5"},
    {"int", "-9223372036854775808", "-9223372036854775808"},
    {"int", "\"9223372036854775807\"", "9223372036854775807"},
    {"int", "5.0", NULL},
    {"int", "\"5.0\"", NULL},
    {"int", "true", NULL},
    {"decimal", "\"10.50\"", "\"10.50\""},
    {"decimal", "\"1e3\"", "\"1000\""},
    {"decimal", "\"12345678901234567890.123456789\"", "\"12345678901234567890.123456789\""},
    {"decimal", "7", "\"7\""},
    {"decimal", "10.5", NULL}, /* what it was as text is not known any more */
    {"decimal", "\"ten\"", NULL},
    {"float", "0.1", "0.1"},
    {"float", "3", "3.0"},
    {"float", "\"0.1\"", NULL},
    {"string", "\"\"", "\"\""},
    {"string", "\"a'b\\\"\\u00e9\"", "\"a'b\\\"\xc3\xa9\""},
    {"string", "5", NULL},
    {"bytes", "\"AP8=\"", "\"AP8=\""},
    {"bytes", "\"?\"", NULL},
    {"date", "\"2024-02-29\"", "\"2024-02-29\""},
    {"date", "\"2023-02-29\"", NULL},
    {"date", "20240229", NULL},
    {"time", "\"12:30\"", "\"12:30:00\""},
    {"time", "\"12.30\"", NULL},
    {"time", "\"12:30:00.500\"", "\"12:30:00.5\""},
    {"timestamp", "\"2024-01-31 12:30:00\"", "\"2024-01-31T12:30:00\""},
    {"timestamp", "\"2024-01-31T12:30:00Z\"", NULL},
    {"timestamptz", "\"2024-01-31T12:30:00+02:00\"", "\"2024-01-31T10:30:00Z\""},
    {"timestamptz", "\"2024-01-31T12:30:00\"", NULL},
    {"uuid", "\"6F9619FF-8B86-D011-B42D-00CF4FC964FF\"",
     "\"6f9619ff-8b86-d011-b42d-00cf4fc964ff\""},
    {"uuid", "\"no\"", NULL},
};

Test(filter, types_values_by_their_column)
{
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        cr_assert_str_eq(value_of(values[i].column, values[i].value),
                         values[i].expected ? values[i].expected : "/0/value wrong_type", "%s %s",
                         values[i].column, values[i].value);
}

Test(filter, says_what_a_value_looks_like)
{
    value_of("timestamptz", "\"2024-01-31T12:30:00\"");
    cr_assert_str_eq(problems.items[0].message,
                     "column \"timestamptz\" is compared with an instant with a zone, such as "
                     "\"2024-01-31T12:30:00Z\", not this text");
    value_of("decimal", "10.5");
    cr_assert_str_eq(problems.items[0].message,
                     "column \"decimal\" is compared with a decimal as text, such as \"10.50\", or "
                     "an integer, not number");
}

/* Q4: a closed set; what is no member of it is refused below. */
Test(filter, knows_its_operators)
{
    static const char *const one[] = {"eq", "ne", "lt", "le", "gt", "ge"};

    for (size_t i = 0; i < sizeof one / sizeof one[0]; i++) {
        const char *json =
            arena_printf(mem, "[{\"column\":\"int\",\"op\":\"%s\",\"value\":5}]", one[i]);

        cr_assert_str_eq(understood(json), json);
    }
    cr_assert_str_eq(understood("[{\"column\":\"string\",\"op\":\"in\",\"values\":[\"a\",\"b\"]},"
                                "{\"column\":\"int\",\"op\":\"not_in\",\"values\":[1]},"
                                "{\"column\":\"json\",\"op\":\"is_null\"},"
                                "{\"column\":\"interval\",\"op\":\"is_not_null\"}]"),
                     "[{\"column\":\"string\",\"op\":\"in\",\"values\":[\"a\",\"b\"]},"
                     "{\"column\":\"int\",\"op\":\"not_in\",\"values\":[1]},"
                     "{\"column\":\"json\",\"op\":\"is_null\"},"
                     "{\"column\":\"interval\",\"op\":\"is_not_null\"}]");
    cr_assert_str_eq(understood("[]"), "[]");
    cr_assert_str_eq(understood("null"), "[]");
}

Test(filter, says_where_every_mistake_is)
{
    cr_assert_str_eq(understood("{}"), " wrong_type");
    cr_assert_str_eq(understood("[5]"), "/0 wrong_type");
    cr_assert_str_eq(understood("[{}]"), "/0/column required, /0/op required");
    cr_assert_str_eq(understood("[{\"column\":\"int\",\"op\":\"=\",\"value\":1}]"),
                     "/0/op not_a_choice");
    cr_assert_str_eq(understood("[{\"column\":\"int\",\"op\":\"eq\",\"vale\":1}]"),
                     "/0/vale unknown_field");
    cr_assert_str_eq(understood("[{\"column\":\"int\",\"op\":\"eq\",\"value\":null}]"),
                     "/0/value required");
    cr_assert_str_eq(understood("[{\"column\":\"int\",\"op\":\"eq\",\"value\":[1]}]"),
                     "/0/value wrong_type");
    cr_assert_str_eq(understood("[{\"column\":\"int\",\"op\":\"eq\",\"values\":[1]}]"),
                     "/0/value required, /0/values conflict");
    cr_assert_str_eq(understood("[{\"column\":\"int\",\"op\":\"in\",\"value\":1}]"),
                     "/0/values required, /0/value conflict");
    cr_assert_str_eq(understood("[{\"column\":\"int\",\"op\":\"in\",\"values\":[]}]"),
                     "/0/values too_short");
    cr_assert_str_eq(understood("[{\"column\":\"int\",\"op\":\"in\",\"values\":[1,null,{}]}]"),
                     "/0/values/1 wrong_type, /0/values/2 wrong_type");
    cr_assert_str_eq(understood("[{\"column\":\"int\",\"op\":\"is_null\",\"value\":1}]"),
                     "/0/value conflict");
    cr_assert_str_eq(understood("[{\"column\":\"no/pe\",\"op\":\"is_null\"},"
                                "{\"column\":\"int\",\"op\":\"in\",\"values\":[1,\"x\"]}]"),
                     "/0/column unknown_field, /1/values/1 wrong_type");
    cr_assert_str_eq(understood("[{\"column\":\"bool\",\"op\":\"lt\",\"value\":true},"
                                "{\"column\":\"json\",\"op\":\"eq\",\"value\":\"{}\"},"
                                "{\"column\":\"interval\",\"op\":\"eq\",\"value\":\"P1D\"}]"),
                     "/0/op not_a_choice, /1/op not_a_choice, /2/op not_a_choice");
}

static const char *many(size_t conditions, size_t values_each)
{
    struct buf b = BUF_INIT((size_t)1 << 22);
    const char *out;

    for (size_t i = 0; i < conditions; i++) {
        buf_puts(&b, i ? "," : "[");
        buf_puts(&b, "{\"column\":\"int\",\"op\":\"in\",\"values\":[");
        for (size_t k = 0; k < values_each; k++)
            buf_puts(&b, k ? ",1" : "1");
        buf_puts(&b, "]}");
    }
    buf_puts(&b, "]");
    out = arena_strdup(mem, buf_str(&b));
    buf_release(&b);
    return out;
}

Test(filter, has_limits)
{
    cr_assert(resolve(arena_printf(mem, "\"filter\":%s", many(FILTER_MAX_CONDITIONS, 1))));
    cr_assert_str_eq(understood(many(FILTER_MAX_CONDITIONS + 1, 1)), " too_long");
    cr_assert(resolve(arena_printf(mem, "\"filter\":%s", many(1, FILTER_MAX_VALUES))));
    cr_assert_str_eq(understood(many(1, FILTER_MAX_VALUES + 1)), " too_long");
    cr_assert_str_eq(understood(many(2, FILTER_MAX_VALUES / 2 + 1)), " too_long");
    cr_assert_str_eq(
        understood(arena_printf(mem, "[{\"column\":\"string\",\"op\":\"eq\",\"value\":\"%*s\"}]",
                                FILTER_MAX_VALUE_BYTES + 1, "")),
        "/0/value too_long");
}

Test(filter, may_ask_for_a_column_that_is_not_read)
{
    cr_assert(resolve("\"fields\":{\"include\":[\"int\"]},"
                      "\"filter\":[{\"column\":\"bool\",\"op\":\"eq\",\"value\":false}]"));
    cr_assert_eq(selection.streams[0].schema->n_columns, 1);
    cr_assert_eq(selection.streams[0].n_filters, 1);
}

Test(filter, is_refused_for_sources_that_cannot)
{
    cr_assert(resolve("\"filter\":[{\"column\":\"json\",\"op\":\"is_null\"}]"));
    cr_assert(selection_check_filters(input, "/streams", "sqlite", true, &problems));
    cr_assert_not(selection_check_filters(input, "/streams", "sample", false, &problems));
    cr_assert_str_eq(problems.items[0].pointer, "/streams/0/filter");
    cr_assert_str_eq(problems.items[0].code, "filter_not_supported");
    cr_assert_str_eq(problems.items[0].message, "source sample cannot filter rows");
    problems = PROBLEMS_INIT(mem);
    cr_assert(resolve("\"filter\":[]"));
    cr_assert(selection_check_filters(input, "/streams", "sample", false, &problems));
    cr_assert(selection_check_filters(NULL, "/streams", "sample", false, &problems));
}

Test(filter, and_policies_are_refused_for_those_that_cannot)
{
    cr_assert(resolve("\"on_unrepresentable\":\"fail\""));
    cr_assert_eq(selection.streams[0].misfits, MISFIT_FAIL);
    cr_assert(selection_check_policies(input, "/streams", "sqlite", true, &problems));
    cr_assert_not(selection_check_policies(input, "/streams", "file", false, &problems));
    cr_assert_str_eq(problems.items[0].pointer, "/streams/0/on_unrepresentable");
    cr_assert_str_eq(problems.items[0].code, "policy_not_supported");
    cr_assert_str_eq(problems.items[0].message,
                     "the destination \"file\" can only do quarantine_cell");
    problems = PROBLEMS_INIT(mem);
    cr_assert(resolve("\"on_unrepresentable\":\"quarantine_cell\""));
    cr_assert(selection_check_policies(input, "/streams", "file", false, &problems));
    cr_assert(selection_check_policies(NULL, "/streams", "file", false, &problems));
    cr_assert(resolve("\"nul\":\"strip\""));
    cr_assert_eq(selection.streams[0].nul, NUL_STRIP);
    cr_assert_not(selection_check_policies(input, "/streams", "file", false, &problems));
    cr_assert_str_eq(problems.items[0].pointer, "/streams/0/nul");
    cr_assert_str_eq(problems.items[0].message, "the destination \"file\" can only do quarantine");
    problems = PROBLEMS_INIT(mem);
    cr_assert_not(resolve("\"on_unrepresentable\":\"drop\""));
    cr_assert_str_eq(problems.items[0].code, "not_a_choice");
}

Test(filter, travels_in_a_singer_catalog)
{
    struct doc *singer, *again;

    cr_assert(resolve("\"filter\":[{\"column\":\"decimal\",\"op\":\"ge\",\"value\":\"10.50\"},"
                      "{\"column\":\"bytes\",\"op\":\"in\",\"values\":[\"AP8=\"]}]"));
    singer = catalog_to_singer(&catalog, &selection);
    again = selection_from_singer(singer, &problems);
    cr_assert_eq(problems.n, 0);
    cr_assert(doc_equal(doc_get(doc_at(again, 0), "filter"), doc_get(doc_at(input, 0), "filter")));
    doc_free(singer);
    doc_free(again);
}
