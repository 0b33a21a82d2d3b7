#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "connectors/base/docyaml.h"

static struct error err;

static void same(const char *yaml, const char *json)
{
    struct doc *d = NULL, *want = NULL;
    struct buf text = BUF_INIT(1 << 20);

    err = ERROR_INIT;
    cr_assert_eq(doc_parse(json, strlen(json), &want, &err), 0, "%s: %s", json, err.message);
    cr_assert_eq(doc_parse_yaml(yaml, strlen(yaml), &d, &err), 0, "%s: %s", yaml, err.message);
    doc_write(d, &text);
    cr_expect(doc_equal(d, want), "%s gave %s", yaml, buf_str(&text));
    buf_release(&text);
    doc_free(want);
    doc_free(d);
}

static void refused_n(const char *yaml, size_t n, const char *reason, const char *message)
{
    struct doc *d = NULL;

    err = ERROR_INIT;
    cr_assert_eq(doc_parse_yaml(yaml, n, &d, &err), -1, "%s", yaml);
    cr_expect_str_eq(error_reason(&err), reason, "%s: %s", yaml, err.message);
    cr_expect(strstr(err.message, message), "%s: %s", yaml, err.message);
    cr_expect_null(d);
}

static void refused(const char *yaml, const char *message)
{
    refused_n(yaml, strlen(yaml), "invalid_yaml", message);
}

Test(docyaml, reads_what_json_can_say)
{
    same("a: 1\nb:\n  - x\n  - {y: [1, 2.5, -3e2]}\nc: {}\nd: []\n",
         "{\"a\":1,\"b\":[\"x\",{\"y\":[1,2.5,-300.0]}],\"c\":{},\"d\":[]}");
    same("{\"a\": [true, false, null], \"b\": \"\\u00e4\\n\"}",
         "{\"a\":[true,false,null],\"b\":\"\\u00e4\\n\"}");
    same("--- # a comment\na: 'it''s' # another\n...\n", "{\"a\":\"it's\"}");
    same("%YAML 1.1\n---\na: 1\n", "{\"a\":1}");
    same("a: |\n  one\n  two\nb: >-\n  one\n  two\n", "{\"a\":\"one\\ntwo\\n\",\"b\":\"one two\"}");
    same("text", "\"text\"");
}

Test(docyaml, keeps_the_types_of_json_for_what_is_not_quoted)
{
    same("[null, ~, true, false, 0, -0, 12, 1.0, 1e3]",
         "[null,null,true,false,0,-0,12,1.0,1000.0]");
    same("a:\nb: ''\n", "{\"a\":null,\"b\":\"\"}");
    same("[yes, no, on, off, True, NULL, 010, 0x1f, 1_000, .5, 1., +1, 12:30, 2024-01-01, .inf]",
         "[\"yes\",\"no\",\"on\",\"off\",\"True\",\"NULL\",\"010\",\"0x1f\",\"1_000\",\".5\","
         "\"1.\",\"+1\",\"12:30\",\"2024-01-01\",\".inf\"]");
    same("['1', \"true\", \"null\"]", "[\"1\",\"true\",\"null\"]");
    same("404: x\ntrue: y\n", "{\"404\":\"x\",\"true\":\"y\"}");
    same("9223372036854775807", "9223372036854775807");
}

Test(docyaml, keeps_templates_that_are_quoted)
{
    same("token: \"{{ secret.key }}\"\npath: /repos/{{ vars.owner }}/issues\n",
         "{\"token\":\"{{ secret.key }}\",\"path\":\"/repos/{{ vars.owner }}/issues\"}");
}

Test(docyaml, refuses_what_json_cannot_say)
{
    refused("a: &x 1\nb: *x\n", "line 1, column 4: anchors");
    refused("a: 1\nb: *x\n", "line 2, column 4: aliases");
    refused("a: !!str 1\n", "tags");
    refused("a: !ruby/object 1\n", "tags");
    refused("[!x {}]", "tags");
    refused("%TAG ! tag:example.com,2000:\n---\na: 1\n", "tags");
    refused("<<: {a: 1}\n", "merge");
    refused("? [a]\n: 1\n", "key");
    refused("&k a: 1\n", "anchors");
    refused("a: 1\n---\nb: 2\n", "line 2, column 1: only one document");
    refused("", "no document");
    refused("# nothing\n", "no document");
}

Test(docyaml, refuses_what_is_not_yaml)
{
    refused("a: [1, 2\n", "line");
    refused("a: 1\n b: 2\n", "line 2");
    refused("\ta: 1\n", "line 1");
    refused("a: \"\xff\"\n", "byte 4");
    refused("a: \"\\0\"\n", "NUL");
    refused_n("a: \0", 4, "invalid_yaml", "");
    refused_n("a: 1\nb: 2\na: 3\n", 15, "duplicate_key", "line 3, column 1: the key \"a\"");
}

static void nested(struct buf *out, size_t depth)
{
    for (size_t i = 0; i < depth; i++)
        buf_puts(out, "[");
    for (size_t i = 0; i < depth; i++)
        buf_puts(out, "]");
}

Test(docyaml, keeps_to_the_limits_of_documents)
{
    struct buf text = BUF_INIT(1 << 22);
    struct doc *d = NULL;

    nested(&text, DOC_MAX_DEPTH);
    err = ERROR_INIT;
    cr_assert_eq(doc_parse_yaml(buf_str(&text), text.len, &d, &err), 0, "%s", err.message);
    doc_free(d);
    buf_clear(&text);
    nested(&text, DOC_MAX_DEPTH + 1);
    cr_assert_eq(doc_parse_yaml(buf_str(&text), text.len, &d, &err), -1);
    cr_expect_eq(err.code, ERR_TOO_LARGE, "%s", err.message);

    buf_clear(&text);
    for (int i = 0; i < DOC_MAX_VALUES; i++)
        buf_puts(&text, "- 1\n");
    err = ERROR_INIT;
    cr_assert_eq(doc_parse_yaml(buf_str(&text), text.len, &d, &err), -1);
    cr_expect_eq(err.code, ERR_TOO_LARGE, "%s", err.message);

    buf_clear(&text);
    buf_puts(&text, "a: ");
    for (int i = 0; i <= DOC_MAX_STRING; i++)
        buf_putc(&text, 'x');
    err = ERROR_INIT;
    cr_assert_eq(doc_parse_yaml(buf_str(&text), text.len, &d, &err), -1);
    cr_expect_eq(err.code, ERR_TOO_LARGE, "%s", err.message);

    buf_clear(&text);
    buf_puts(&text, "a: 1");
    for (int i = 0; i < DOC_MAX_NUMBER; i++)
        buf_putc(&text, '0');
    err = ERROR_INIT;
    cr_assert_eq(doc_parse_yaml(buf_str(&text), text.len, &d, &err), -1);
    cr_expect_eq(err.code, ERR_TOO_LARGE, "%s", err.message);
    buf_release(&text);
}
