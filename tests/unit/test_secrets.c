#include <criterion/criterion.h>

#include <string.h>

#include "handlers/secrets.h"

/* A connector of no kind that exists: secrets and where they go. */
struct safe {
    const char *host, *password, *token, *note;
    int64_t port;
};

/* clang-format off */
static const struct option vault_options[] = {
    OPTION(struct safe, host, .title = "Host", .help = "Where.", .flags = OPTION_REQUIRED | OPTION_BINDING),
    OPTION(struct safe, port, .title = "Port", .help = "Where.", .def = "5432", .min = 1, .max = 65535, .flags = OPTION_BINDING),
    OPTION(struct safe, password, .title = "Password", .help = "Secret.", .flags = OPTION_SECRET),
    OPTION(struct safe, token, .title = "Token", .help = "Secret.", .flags = OPTION_SECRET),
    OPTION(struct safe, note, .title = "Note", .help = "Anything."),
    OPTIONS_END,
};
/* clang-format on */

static struct doc *json(const char *text)
{
    struct error err = ERROR_INIT;
    struct doc *d = NULL;

    cr_assert_eq(doc_parse(text, strlen(text), &d, &err), 0, "%s", err.message);
    return d;
}

/* The text of what results, and the problems, of `sent` over `stored` (NULL = none). */
static const char *merged(struct arena *mem, const char *stored, const char *sent,
                          enum secrets_merge how, bool same_connector, struct problems *problems)
{
    CLEANUP(doc_free_cleanup) struct doc *before = stored ? json(stored) : NULL;
    CLEANUP(doc_free_cleanup) struct doc *after = sent ? json(sent) : NULL;
    CLEANUP(doc_free_cleanup) struct doc *result = NULL;
    CLEANUP(buf_release) struct buf text = BUF_INIT((size_t)4096);
    const struct secrets_old old = {vault_options, before, same_connector};

    *problems = PROBLEMS_INIT(mem);
    result = secrets_merge(vault_options, &old, after, how, "/config", problems);
    doc_write(result, &text);
    return arena_strdup(mem, buf_str(&text));
}

#define STORED "{\"host\":\"a\",\"password\":\"p\",\"note\":\"n\"}"

static struct arena *mem;

static void setup(void)
{
    mem = arena_new();
}

static void teardown(void)
{
    arena_free(mem);
}

TestSuite(secrets, .init = setup, .fini = teardown);

Test(secrets, one_that_is_not_sent_again_is_kept)
{
    struct problems problems;

    cr_assert_str_eq(merged(mem, STORED, "{\"host\":\"a\"}", SECRETS_REPLACE, true, &problems),
                     "{\"host\":\"a\",\"password\":\"p\"}");
    cr_assert_eq(problems.n, 0);
    cr_assert_str_eq(merged(mem, STORED, "{\"note\":\"m\"}", SECRETS_PATCH, true, &problems),
                     "{\"host\":\"a\",\"password\":\"p\",\"note\":\"m\"}");
    cr_assert_eq(problems.n, 0);
    cr_assert_str_eq(merged(mem, STORED, NULL, SECRETS_PATCH, true, &problems), STORED);
}

Test(secrets, null_removes_one)
{
    struct problems problems;

    cr_assert_str_eq(
        merged(mem, STORED, "{\"host\":\"a\",\"password\":null}", SECRETS_REPLACE, true, &problems),
        "{\"host\":\"a\"}");
    cr_assert_eq(problems.n, 0);
    cr_assert_str_eq(merged(mem, STORED, "{\"password\":null}", SECRETS_PATCH, true, &problems),
                     "{\"host\":\"a\",\"note\":\"n\"}");
    cr_assert_eq(problems.n, 0);
}

Test(secrets, a_new_one_replaces_the_old)
{
    struct problems problems;

    cr_assert_str_eq(merged(mem, STORED, "{\"host\":\"a\",\"password\":\"q\"}", SECRETS_REPLACE,
                            true, &problems),
                     "{\"host\":\"a\",\"password\":\"q\"}");
    cr_assert_str_eq(merged(mem, STORED, "{\"password\":\"q\"}", SECRETS_PATCH, true, &problems),
                     "{\"host\":\"a\",\"password\":\"q\",\"note\":\"n\"}");
}

static void expect_required(const struct problems *problems, const char *result)
{
    cr_assert_eq(problems->n, 1);
    cr_assert_str_eq(problems->items[0].code, "secret_required");
    cr_assert_str_eq(problems->items[0].pointer, "/config/password");
    cr_assert_not(strstr(result, "\"p\""), "the secret went along: %s", result);
}

Test(secrets, another_host_asks_for_it_again)
{
    struct problems problems;
    const char *result;

    result = merged(mem, STORED, "{\"host\":\"evil\"}", SECRETS_REPLACE, true, &problems);
    expect_required(&problems, result);
    result = merged(mem, STORED, "{\"host\":\"evil\"}", SECRETS_PATCH, true, &problems);
    expect_required(&problems, result);
    result = merged(mem, STORED, "{\"host\":\"a\",\"port\":1}", SECRETS_REPLACE, true, &problems);
    expect_required(&problems, result);
}

Test(secrets, another_host_with_it_sent_again_is_fine)
{
    struct problems problems;

    cr_assert_str_eq(merged(mem, STORED, "{\"host\":\"b\",\"password\":\"p\"}", SECRETS_REPLACE,
                            true, &problems),
                     "{\"host\":\"b\",\"password\":\"p\"}");
    cr_assert_eq(problems.n, 0);
    merged(mem, STORED, "{\"host\":\"b\",\"password\":\"p\"}", SECRETS_PATCH, true, &problems);
    cr_assert_eq(problems.n, 0);
    merged(mem, STORED, "{\"host\":\"b\",\"password\":null}", SECRETS_PATCH, true, &problems);
    cr_assert_eq(problems.n, 0);
}

Test(secrets, writing_the_default_out_is_not_another_place)
{
    struct problems problems;

    merged(mem, STORED, "{\"host\":\"a\",\"port\":5432}", SECRETS_REPLACE, true, &problems);
    cr_assert_eq(problems.n, 0);
    merged(mem, "{\"host\":\"a\",\"port\":5432,\"password\":\"p\"}", "{\"host\":\"a\"}",
           SECRETS_REPLACE, true, &problems);
    cr_assert_eq(problems.n, 0);
}

Test(secrets, another_connector_asks_for_it_again)
{
    struct problems problems;
    const char *result = merged(mem, STORED, "{\"host\":\"a\"}", SECRETS_REPLACE, false, &problems);

    expect_required(&problems, result);
}

Test(secrets, without_a_stored_one_nothing_is_asked)
{
    struct problems problems;

    cr_assert_str_eq(
        merged(mem, NULL, "{\"host\":\"a\",\"token\":\"t\"}", SECRETS_REPLACE, true, &problems),
        "{\"host\":\"a\",\"token\":\"t\"}");
    merged(mem, "{\"host\":\"a\"}", "{\"host\":\"b\"}", SECRETS_REPLACE, true, &problems);
    cr_assert_eq(problems.n, 0);
}

Test(secrets, none_is_shown)
{
    CLEANUP(doc_free_cleanup)
    struct doc *config = json("{\"host\":\"a\",\"password\":\"hunter2\",\"token\":\"hunter3\"}");
    CLEANUP(doc_free_cleanup) struct doc *shown = secrets_strip(vault_options, config);
    CLEANUP(doc_free_cleanup) struct doc *unknown = secrets_strip(NULL, config);
    CLEANUP(buf_release) struct buf text = BUF_INIT((size_t)4096);
    struct jsonw w = JSONW_INIT(&text);

    doc_write(shown, &text);
    cr_assert_str_eq(buf_str(&text), "{\"host\":\"a\"}");
    buf_clear(&text);
    doc_write(unknown, &text);
    cr_assert_str_eq(buf_str(&text), "{}");
    buf_clear(&text);
    secrets_write_meta(&w, vault_options, config);
    cr_assert_str_eq(
        buf_str(&text),
        "{\"/password\":{\"set\":true,\"updated_at\":null,\"ref\":null,\"fingerprint\":null},"
        "\"/token\":{\"set\":true,\"updated_at\":null,\"ref\":null,\"fingerprint\":null}}");
}

Test(secrets, meta_says_what_is_not_set)
{
    CLEANUP(doc_free_cleanup) struct doc *config = json("{\"host\":\"a\",\"token\":null}");
    CLEANUP(buf_release) struct buf text = BUF_INIT((size_t)4096);
    struct jsonw w = JSONW_INIT(&text);

    secrets_write_meta(&w, vault_options, config);
    cr_assert_str_eq(
        buf_str(&text),
        "{\"/password\":{\"set\":false,\"updated_at\":null,\"ref\":null,\"fingerprint\":null},"
        "\"/token\":{\"set\":false,\"updated_at\":null,\"ref\":null,\"fingerprint\":null}}");
}
