#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/base/arena.h"
#include "connectors/singer/lines.h"
#include "connectors/singer/message.h"
#include "connectors/singer/pending.h"
#include "connectors/singer/tap_internal.h"

static struct singer_parser parser;
static struct arena *mem;

static void set_up(void)
{
    singer_parser_init(&parser);
    mem = arena_new();
}

static void tear_down(void)
{
    singer_parser_release(&parser);
    arena_free(mem);
}

TestSuite(singer_message, .init = set_up, .fini = tear_down);

static struct slice slice(const char *text)
{
    return (struct slice){text, strlen(text)};
}

static bool is(struct slice s, const char *text)
{
    return s.len == strlen(text) && !memcmp(s.ptr, text, s.len);
}

static struct singer_message parsed(const char *line)
{
    struct error err = ERROR_INIT;
    struct singer_message m;

    cr_assert_eq(singer_parse(&parser, slice(line), &m, &err), 0, "%s: %s", line, err.message);
    return m;
}

Test(singer_message, is_found_in_any_order_of_its_members)
{
    static const char *const lines[] = {
        "{\"type\": \"RECORD\", \"stream\": \"a\", \"record\": {\"x\": 1}}",
        "{\"type\":\"RECORD\",\"stream\":\"a\",\"record\":{\"x\": 1}} ",
        "{\"record\":{\"x\": 1},\"stream\":\"a\",\"type\":\"RECORD\"}",
        "{\"type\": \"RECORD\", \"stream\": \"a\", \"record\": {\"x\": 1}, \"version\": 7}",
        "{\"type\": \"RECORD\", \"stream\": \"\\u0061\", \"record\": {\"x\": 1}, \"other\": [{}]}",
    };

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct singer_message m = parsed(lines[i]);

        cr_assert(m.kind == SINGER_RECORD && is(m.stream, "a") && is(m.record, "{\"x\": 1}"), "%s",
                  lines[i]);
    }
    cr_assert(is(parsed(lines[3]).version, "7"));
    cr_assert(is(parsed("{\"type\":\"STATE\",\"value\":{\"a\": 1.10}}").value, "{\"a\": 1.10}"));
    cr_assert_eq(parsed("{\"type\":\"ACTIVATE_VERSION\",\"stream\":\"a\",\"version\":1}").kind,
                 SINGER_ACTIVATE_VERSION);
}

Test(singer_message, that_is_none_is_refused_with_what_it_looks_like)
{
    static const char *const lines[] = {
        "INFO a log line",
        "[]",
        "{}",
        "{\"type\":\"STATE\"}",
        "{\"type\":\"RECORD\",\"record\":{}}",
        "{\"type\":\"RECORD\",\"stream\":\"a\"}",
        "{\"type\":\"RECORD\",\"stream\":\"a\",\"record\":[]}",
        "{\"type\":\"RECORD\",\"stream\":\"\",\"record\":{}}",
        "{\"type\":\"ACTIVATE_VERSION\",\"stream\":\"a\"}",
        "{\"type\":7}",
        "{\"type\":\"STATE\",\"value\":1} x",
        "{\"type\":\"RECORD\",\"stream\":\"a\\u0000b\",\"record\":{}}",
        "{\"type\":\"RECORD\",\"type\":\"RECORD\",\"stream\":\"a\",\"record\":{}}",
        "{\"type\":\"RECORD\",\"record\":{},\"stream\":\"a\",\"record\":{\"x\":1}}",
        "{\"type\":\"RECORD\",\"stream\":\"a\",\"stream\":\"a\",\"record\":{}}",
        "{\"type\":\"STATE\",\"value\":1,\"value\":2}",
    };

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct error err = ERROR_INIT;
        struct singer_message m;

        cr_assert_eq(singer_parse(&parser, slice(lines[i]), &m, &err), -1, "%s", lines[i]);
        cr_assert_str_eq(error_reason(&err), "bad_message", "%s", lines[i]);
        cr_assert(strstr(err.message, "it begins: "), "%s", err.message);
    }
}

/* ----------------------------------------------------------------------- schemas */

static void assert_type(const char *property, const char *type, bool nullable)
{
    const char *line = arena_printf(
        mem,
        "{\"type\":\"SCHEMA\",\"stream\":\"a\",\"key_properties\":[],\"schema\":{\"definitions\":{"
        "\"t\":{\"type\":\"string\",\"format\":\"date-time\"},\"u\":{\"$ref\":\"#/definitions/t\"},"
        "\"x/y~z\":{\"type\":\"integer\"}},\"properties\":{\"p\":%s}}}",
        property);
    struct error err = ERROR_INIT;
    struct singer_schema s;
    char found[32];

    cr_assert_eq(singer_read_schema(slice(line), mem, &s, &err), 0, "%s: %s", property,
                 err.message);
    type_format(s.schema->columns[0].type, found);
    cr_assert_str_eq(found, type, "%s is %s", property, found);
    cr_assert_eq(s.schema->columns[0].nullable, nullable, "%s", property);
    doc_free(s.settings);
}

Test(singer_message, schema_becomes_types)
{
    assert_type("{\"type\":\"integer\"}", "int", false);
    assert_type("{\"type\":[\"null\",\"integer\"]}", "int", true);
    assert_type("{\"type\":\"number\"}", "decimal", false);
    assert_type("{\"type\":\"number\",\"multipleOf\":0.01}", "decimal", false);
    assert_type("{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"}", "timestamptz", true);
    assert_type("{\"type\":\"string\",\"format\":\"singer.decimal\"}", "decimal", false);
    assert_type("{\"type\":\"string\",\"contentEncoding\":\"base64\"}", "bytes", false);
    assert_type("{\"type\":\"string\",\"contentEncoding\":\"base16\"}", "bytes", false);
    assert_type("{\"anyOf\":[{\"type\":\"null\"},{\"type\":\"boolean\"}]}", "bool", true);
    assert_type("{\"oneOf\":[{\"$ref\":\"#/definitions/t\"},{\"type\":\"null\"}]}", "timestamptz",
                true);
    assert_type("{\"$ref\":\"#/definitions/u\"}", "timestamptz", false);
    assert_type("{\"$ref\":\"#/definitions/x~1y~0z\"}", "int", false);
    assert_type("{\"type\":\"array\",\"items\":{\"$ref\":\"#/nowhere\"}}", "json", false);
    assert_type("{\"type\":[\"integer\",\"string\"]}", "string", false);
    assert_type("{}", "json", true);
}

Test(singer_message, schema_that_is_none_is_refused)
{
    static const char *const schemas[] = {
        "\"schema\":7,\"key_properties\":[]",
        "\"schema\":{},\"key_properties\":[]",
        "\"schema\":{\"properties\":{\"p\":{\"$ref\":\"#/no\"}}}",
        "\"schema\":{\"properties\":{\"p\":{\"$ref\":\"http://x/y\"}}}",
        "\"schema\":{\"properties\":{\"p\":{\"$ref\":\"#/properties/p\"}}}",
        "\"schema\":{\"properties\":{\"p\":{}}},\"key_properties\":[\"q\"]",
        "\"schema\":{\"properties\":{\"p\":{}}},\"key_properties\":\"p\"",
    };

    for (size_t i = 0; i < sizeof schemas / sizeof *schemas; i++) {
        const char *line =
            arena_printf(mem, "{\"type\":\"SCHEMA\",\"stream\":\"a\",%s}", schemas[i]);
        struct error err = ERROR_INIT;
        struct singer_schema s;

        cr_assert_eq(singer_read_schema(slice(line), mem, &s, &err), -1, "%s", schemas[i]);
        cr_assert_str_eq(error_reason(&err), "bad_schema", "%s: %s", schemas[i], err.message);
    }
}

/* ------------------------------------------------------------------------- state */

static struct stream streams[2] = {{.namespace = "public", .name = "orders"},
                                   {.namespace = "", .name = "users"}};
static struct selected_stream wants[2] = {{.stream = &streams[0], .sync_mode = SYNC_INCREMENTAL},
                                          {.stream = &streams[1], .sync_mode = SYNC_INCREMENTAL}};

static struct tap_state state_of(const char *first, const char *second)
{
    const struct stream_request both[] = {{&wants[0], first}, {&wants[1], second}};
    const struct read_request req = {both, 2};
    struct error err = ERROR_INIT;
    struct tap_state s;

    cr_assert_eq(tap_state_read(&req, mem, &s, &err), 0, "%s", err.message);
    return s;
}

static const char *position(int64_t epoch, const char *value)
{
    struct buf b = BUF_INIT(4096);
    const char *text;

    singer_position_put(epoch, "17", value, &b);
    text = arena_strdup(mem, buf_str(&b));
    buf_release(&b);
    return text;
}

Test(singer_message, state_is_the_one_of_the_highest_epoch)
{
    const char *old = position(3, "{\"n\":1.10}"), *new = position(12, "{\"n\": 2.20}");

    cr_assert_str_eq(state_of(old, new).value, "{\"n\": 2.20}");
    cr_assert_str_eq(state_of(new, old).value, "{\"n\": 2.20}");
    cr_assert_eq(state_of(new, old).epoch, 12);
    cr_assert_str_eq(state_of(new, old).versions[1], "17");
    cr_assert_null(state_of(NULL, NULL).value);
    cr_assert_null(state_of(position(1, NULL), NULL).value);
}

Test(singer_message, state_loses_the_bookmark_of_a_stream_that_begins_anew)
{
    const char *whole = position(
        1, "{\"bookmarks\": {\"public-orders\": {\"a\": 1.0}, \"users\": {\"b\": 2}}, \"x\": [1]}");

    cr_assert_str_eq(state_of(NULL, whole).value,
                     "{\"bookmarks\":{\"users\": {\"b\": 2}},\"x\": [1]}");
    cr_assert_str_eq(state_of(whole, NULL).value,
                     "{\"bookmarks\":{\"public-orders\": {\"a\": 1.0}},\"x\": [1]}");
}

Test(singer_message, states_that_wait_are_bounded_and_in_order)
{
    struct pending *p = calloc(1, sizeof *p);
    char *text;

    for (int i = 0; i < PENDING_MAX_STATES + 5; i++) {
        char number[16];

        snprintf(number, sizeof number, "%d", i);
        pending_put(p, slice(number));
    }
    text = pending_take(p);
    cr_assert_str_eq(text, "5");
    free(text);
    text = calloc(1, PENDING_MAX_BYTES + 10);
    memset(text, 'x', PENDING_MAX_BYTES + 9);
    pending_put(p, slice(text));
    free(text);
    cr_assert_eq(p->n, 1, "the newest stays");
    pending_release(p);
    free(p);
}
