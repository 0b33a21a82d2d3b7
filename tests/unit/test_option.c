#include <criterion/criterion.h>

#include "connectors/option.h"

struct config {
    const char *host, *mode, *password, *note;
    int64_t port;
    bool tls;
    struct string_list tags;
    const struct doc *extra, *odd;
};

static const char *const modes[] = {"fast", "safe", NULL};

static void check_odd(const struct doc *value, const char *pointer, struct problems *problems)
{
    if (doc_int(value, 0) % 2 == 0)
        problems_add(problems, pointer, "not_odd", "expected an odd number");
}

/* clang-format off */
static const struct option table[] = {
    OPTION(struct config, host, .title = "Host", .help = "Where.", .flags = OPTION_REQUIRED,
           .min = 2, .max = 5),
    OPTION(struct config, mode, .title = "Mode", .help = "How.", .def = "safe", .choices = modes),
    OPTION(struct config, password, .title = "Password", .help = "Secret.", .flags = OPTION_SECRET,
           .min = 3, .max = 10),
    OPTION(struct config, note, .title = "Note", .help = "Free.", .example = "hello"),
    OPTION(struct config, port, .title = "Port", .help = "Door.", .def = "80", .min = 1,
           .max = 65535),
    OPTION(struct config, tls, .title = "TLS", .help = "Wrap.", .def = "true"),
    OPTION(struct config, tags, .title = "Tags", .help = "Words.", .def = "[\"a\",\"b\"]"),
    OPTION(struct config, extra, .title = "Extra", .help = "Object."),
    OPTION(struct config, odd, .title = "Odd", .help = "Odd number.", .check = check_odd,
           .schema = "{\"type\":\"integer\"}"),
    OPTIONS_END,
};
/* clang-format on */

static struct arena *mem;
static struct problems problems;
static struct config config;
static struct doc *input;

static void setup(void)
{
    mem = arena_new();
    problems = PROBLEMS_INIT(mem);
    config = (struct config){0};
    input = NULL;
}

static void teardown(void)
{
    doc_free(input);
    arena_free(mem);
}

TestSuite(option, .init = setup, .fini = teardown);

static bool decode(const char *json)
{
    struct error err = ERROR_INIT;

    cr_assert_eq(doc_parse(json, strlen(json), &input, &err), 0, "%s", err.message);
    return options_decode(table, input, "/config", &config, mem, &problems);
}

static void assert_problem(size_t i, const char *pointer, const char *code, const char *message)
{
    cr_assert_gt(problems.n, i, "only %zu problems", problems.n);
    cr_assert_str_eq(problems.items[i].pointer, pointer);
    cr_assert_str_eq(problems.items[i].code, code);
    cr_assert_str_eq(problems.items[i].message, message);
}

static void assert_only(const char *pointer, const char *code, const char *message)
{
    assert_problem(0, pointer, code, message);
    cr_assert_eq(problems.n, 1);
}

static void assert_text(struct doc *d, const char *expected)
{
    struct buf text = BUF_INIT(1 << 20);

    doc_write(d, &text);
    cr_assert_str_eq(buf_str(&text), expected);
    buf_release(&text);
    doc_free(d);
}

Test(option, fills_in_defaults)
{
    cr_assert(decode("{\"host\":\"ab\"}"));
    cr_assert_str_eq(config.host, "ab");
    cr_assert_str_eq(config.mode, "safe");
    cr_assert_null(config.password);
    cr_assert_null(config.extra);
    cr_assert_eq(config.port, 80);
    cr_assert(config.tls);
    cr_assert_eq(config.tags.n, 2);
    cr_assert_str_eq(config.tags.items[1], "b");
}

Test(option, takes_every_kind_of_value)
{
    cr_assert(decode("{\"host\":\"abc\",\"mode\":\"fast\",\"password\":\"pass\",\"note\":\"\","
                     "\"port\":1,\"tls\":false,\"tags\":[],\"extra\":{\"a\":1},\"odd\":3}"));
    cr_assert_str_eq(config.mode, "fast");
    cr_assert_str_eq(config.password, "pass");
    cr_assert_str_eq(config.note, "");
    cr_assert_eq(config.port, 1);
    cr_assert_not(config.tls);
    cr_assert_eq(config.tags.n, 0);
    cr_assert_eq(doc_int(doc_get(config.extra, "a"), 0), 1);
    cr_assert_eq(doc_int(config.odd, 0), 3);
}

Test(option, takes_null_for_absent)
{
    cr_assert(decode("{\"host\":\"abc\",\"mode\":null,\"password\":null,\"odd\":null}"));
    cr_assert_str_eq(config.mode, "safe");
    cr_assert_null(config.password);
}

Test(option, decodes_strings_that_outlive_the_document)
{
    cr_assert(decode("{\"host\":\"abc\",\"tags\":[\"x\"]}"));
    doc_free(input);
    input = NULL;
    cr_assert_str_eq(config.host, "abc");
    cr_assert_str_eq(config.tags.items[0], "x");
}

Test(option, reports_a_missing_value)
{
    cr_assert_not(options_decode(table, NULL, "", &config, mem, &problems));
    assert_only("/host", "required", "\"host\" is required: Host");
}

Test(option, reports_null_for_a_required_value)
{
    cr_assert_not(decode("{\"host\":null}"));
    assert_only("/config/host", "required", "\"host\" is required: Host");
}

/* J2. */
Test(option, reports_an_unknown_name_and_the_one_that_was_meant)
{
    cr_assert_not(decode("{\"host\":\"abc\",\"prot\":1}"));
    assert_only("/config/prot", "unknown_field", "\"prot\" is not known; \"port\" is");
}

Test(option, lists_the_known_names_when_none_is_near)
{
    cr_assert_not(decode("{\"host\":\"abc\",\"a~b/c\":1}"));
    assert_only("/config/a~0b~1c", "unknown_field",
                "\"a~b/c\" is not known; expected one of \"host\", \"mode\", \"password\", "
                "\"note\", \"port\", \"tls\", \"tags\", \"extra\", \"odd\"");
}

/* J2: no boolean and no number from a string. */
Test(option, reports_wrong_types)
{
    cr_assert_not(decode("{\"host\":1,\"port\":\"80\",\"tls\":\"true\",\"tags\":[1,\"a\",null],"
                         "\"extra\":[],\"note\":{}}"));
    assert_problem(0, "/config/host", "wrong_type", "expected a string, found integer");
    assert_problem(1, "/config/note", "wrong_type", "expected a string, found object");
    assert_problem(2, "/config/port", "wrong_type", "expected an integer, found string");
    assert_problem(3, "/config/tls", "wrong_type", "expected a boolean, found string");
    assert_problem(4, "/config/tags/0", "wrong_type", "expected a string, found integer");
    assert_problem(5, "/config/tags/2", "wrong_type", "expected a string, found null");
    assert_problem(6, "/config/extra", "wrong_type", "expected an object, found array");
    cr_assert_eq(problems.n, 7);
}

Test(option, refuses_a_fraction_for_an_integer)
{
    cr_assert_not(decode("{\"host\":\"abc\",\"port\":1.0}"));
    assert_only("/config/port", "wrong_type", "expected an integer, found number");
}

Test(option, refuses_anything_but_an_object)
{
    cr_assert_not(decode("[]"));
    assert_only("/config", "wrong_type", "expected an object, found array");
}

/* J2. */
Test(option, checks_the_bounds_of_numbers)
{
    cr_assert(decode("{\"host\":\"abc\",\"port\":65535}"));
    doc_free(input);
    cr_assert_not(decode("{\"host\":\"abc\",\"port\":65536}"));
    assert_only("/config/port", "out_of_range", "expected a number from 1 to 65535, found 65536");
    doc_free(input);
    cr_assert_not(decode("{\"host\":\"abc\",\"port\":0}"));
    assert_problem(1, "/config/port", "out_of_range", "expected a number from 1 to 65535, found 0");
}

Test(option, counts_characters_not_bytes)
{
    cr_assert(decode("{\"host\":\"\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa9\xe2\x82\xac\"}"));
    doc_free(input);
    cr_assert_not(decode("{\"host\":\"abcdef\"}"));
    assert_only("/config/host", "too_long", "expected at most 5 characters, found 6");
    doc_free(input);
    cr_assert_not(decode("{\"host\":\"\xe2\x82\xac\"}"));
    assert_problem(1, "/config/host", "too_short", "expected at least 2 characters, found 1");
}

/* Q4. */
Test(option, reports_a_word_outside_the_set)
{
    cr_assert_not(decode("{\"host\":\"abc\",\"mode\":\"Fast\"}"));
    assert_only("/config/mode", "not_a_choice",
                "expected one of \"fast\", \"safe\", found \"Fast\"");
}

Test(option, lets_a_document_check_itself)
{
    cr_assert_not(decode("{\"host\":\"abc\",\"odd\":4}"));
    assert_only("/config/odd", "not_odd", "expected an odd number");
}

Test(option, never_quotes_a_secret)
{
    static const char *const words[] = {"a", "b", NULL};
    static const struct option secrets[] = {
        OPTION(struct config, password, .title = "P", .help = "P.", .flags = OPTION_SECRET,
               .choices = words),
        OPTION(struct config, port, .title = "N", .help = "N.", .flags = OPTION_SECRET, .min = 1,
               .max = 2),
        OPTIONS_END,
    };
    struct doc *d = doc_new_object();

    doc_set(d, "password", doc_new_string("hunter2"));
    doc_set(d, "port", doc_new_int(4711));
    cr_assert_not(options_decode(secrets, d, "", &config, mem, &problems));
    cr_assert_eq(problems.n, 2);
    for (size_t i = 0; i < problems.n; i++) {
        cr_assert_null(strstr(problems.items[i].message, "hunter2"));
        cr_assert_null(strstr(problems.items[i].message, "4711"));
    }
    doc_free(d);
}

Test(option, fails_when_problems_no_longer_fit)
{
    for (int i = 0; i < PROBLEMS_MAX; i++)
        problems_add(&problems, "", "x", "x");
    cr_assert_not(decode("{}"));
    cr_assert_eq(problems.dropped, 1);
}

Test(option, renders_json_schema)
{
    assert_text(
        options_schema(table),
        "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"type\":\"object\","
        "\"properties\":{"
        "\"host\":{\"type\":\"string\",\"title\":\"Host\",\"description\":\"Where.\","
        "\"minLength\":2,\"maxLength\":5},"
        "\"mode\":{\"type\":\"string\",\"title\":\"Mode\",\"description\":\"How.\","
        "\"default\":\"safe\",\"enum\":[\"fast\",\"safe\"]},"
        "\"password\":{\"type\":\"string\",\"title\":\"Password\",\"description\":\"Secret.\","
        "\"minLength\":3,\"maxLength\":10,\"writeOnly\":true,\"format\":\"password\"},"
        "\"note\":{\"type\":\"string\",\"title\":\"Note\",\"description\":\"Free.\","
        "\"examples\":[\"hello\"]},"
        "\"port\":{\"type\":\"integer\",\"title\":\"Port\",\"description\":\"Door.\","
        "\"default\":80,\"minimum\":1,\"maximum\":65535},"
        "\"tls\":{\"type\":\"boolean\",\"title\":\"TLS\",\"description\":\"Wrap.\","
        "\"default\":true},"
        "\"tags\":{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"title\":\"Tags\","
        "\"description\":\"Words.\",\"default\":[\"a\",\"b\"]},"
        "\"extra\":{\"type\":\"object\",\"title\":\"Extra\",\"description\":\"Object.\"},"
        "\"odd\":{\"type\":\"integer\",\"title\":\"Odd\",\"description\":\"Odd number.\"}},"
        "\"required\":[\"host\"],\"additionalProperties\":false}");
}

Test(option, renders_a_template)
{
    assert_text(options_template(table, true), "{\"host\":\"<host>\"}");
    assert_text(options_template(table, false),
                "{\"host\":\"<host>\",\"mode\":\"safe\",\"password\":\"\",\"note\":\"hello\","
                "\"port\":80,\"tls\":true,\"tags\":[\"a\",\"b\"],\"extra\":{},\"odd\":{}}");
}

Test(option, normalizes_without_secrets_and_strangers)
{
    struct doc *d = doc_new_object();

    doc_set(d, "passwrod", doc_new_string("hunter2"));
    doc_set(d, "password", doc_new_string("hunter2"));
    doc_set(d, "port", doc_new_int(5));
    doc_set(d, "mode", doc_new_null());
    assert_text(options_normalized(table, d),
                "{\"mode\":\"safe\",\"port\":5,\"tls\":true,\"tags\":[\"a\",\"b\"]}");
    doc_free(d);
}

Test(option, finds_rows_by_exact_name)
{
    cr_assert_eq(option_find(table, "tags"), &table[6]);
    cr_assert_null(option_find(table, "tag"));
}

Test(option, wants_a_list_where_one_belongs)
{
    cr_assert_not(decode("{\"host\":\"abc\",\"tags\":\"a\"}"));
    assert_only("/config/tags", "wrong_type", "expected an array of strings, found string");
    cr_assert_null(config.tags.items);
}

#define LONG_NAME "a_name_that_is_far_too_long_to_be_mistaken_for_another_by_slip_01234"

/* What nobody mistypes: long names, and a letter for another. */
Test(option, guesses_only_what_could_have_been_meant)
{
    static const struct option odd[] = {
        {.name = LONG_NAME,
         .type = OPTION_DOC,
         .offset = offsetof(struct config, extra),
         .title = "Long",
         .help = "Long."},
        {.name = "x",
         .type = OPTION_DOC,
         .offset = offsetof(struct config, odd),
         .title = "X",
         .help = "X."},
        OPTIONS_END,
    };
    static const char json[] = "{\"y\":{},\"" LONG_NAME "5\":{}}";
    struct error err = ERROR_INIT;

    cr_assert_eq(doc_parse(json, sizeof json - 1, &input, &err), 0, "%s", err.message);
    cr_assert_not(options_decode(odd, input, "/config", &config, mem, &problems));
    cr_assert_eq(problems.n, 2);
    for (size_t i = 0; i < 2; i++) {
        cr_assert_str_eq(problems.items[i].code, "unknown_field");
        cr_assert_not_null(strstr(problems.items[i].message, "expected one of \"" LONG_NAME), "%s",
                           problems.items[i].message);
    }
}

struct needs {
    const char *word;
    int64_t count, any;
    bool flag;
    struct string_list list;
    const struct doc *doc;
    int64_t given;
};

Test(option, a_template_has_something_of_each_type_to_write_over)
{
    /* clang-format off */
    static const struct option all[] = {
        OPTION(struct needs, word, .title = "W", .help = "W.", .flags = OPTION_REQUIRED, .choices = modes),
        OPTION(struct needs, count, .title = "C", .help = "C.", .flags = OPTION_REQUIRED, .min = 3, .max = 9),
        OPTION(struct needs, any, .title = "A", .help = "A.", .flags = OPTION_REQUIRED),
        OPTION(struct needs, flag, .title = "F", .help = "F.", .flags = OPTION_REQUIRED),
        OPTION(struct needs, list, .title = "L", .help = "L.", .flags = OPTION_REQUIRED),
        OPTION(struct needs, doc, .title = "D", .help = "D.", .flags = OPTION_REQUIRED),
        OPTION(struct needs, given, .title = "G", .help = "G.", .flags = OPTION_REQUIRED, .def = "7"),
        OPTIONS_END,
    };
    /* clang-format on */
    struct doc *schema = options_schema(all);

    assert_text(options_template(all, true),
                "{\"word\":\"fast\",\"count\":3,\"any\":0,\"flag\":false,\"list\":[],\"doc\":{},"
                "\"given\":7}");
    /* What has a default need not be given. */
    cr_assert_eq(doc_count(doc_get(schema, "required")), 6);
    doc_free(schema);
}
