#include <criterion/criterion.h>

#include <string.h>

#include "connectors/rest/document.h"

/* The worked example of a hand-written API source, as a document. */
static const char custom_api[] =
    "{\"name\": \"custom_api\","
    " \"vars\": {\"base_url\": {\"type\": \"string\", \"default\": \"https://api.example.com\"},"
    "            \"start_date\": {\"type\": \"string\", \"default\": \"2024-01-01T00:00:00Z\"},"
    "            \"size\": {\"type\": \"integer\", \"default\": 100}, \"deep\": {\"type\": "
    "\"boolean\"}, \"regions\": {\"type\": \"list\", \"default\": [\"eu\"]}},"
    " \"secrets\": {\"api_key\": {}},"
    " \"client\": {\"base_url\": \"{{ vars.base_url }}\","
    "   \"auth\": {\"type\": \"bearer\", \"token\": \"{{ secret.api_key }}\"},"
    "   \"timeout\": {\"total\": \"30s\"}, \"retry\": {\"tries\": 3, \"base\": \"1s\"},"
    "   \"rate_limit\": {\"requests\": 10, \"per\": \"1s\"}},"
    " \"check\": {\"path\": \"/health\"},"
    " \"streams\": [{\"name\": \"users\", \"records\": {\"path\": \"data\"}, \"key\": [\"id\"],"
    "   \"paginate\": {\"type\": \"page\", \"param\": \"page\", \"size_param\": \"per_page\","
    "                  \"size\": 100, \"stop\": \"short_page\"},"
    "   \"incremental\": {\"field\": \"updated_at\", \"start\": \"{{ vars.start_date }}\","
    "     \"send\": {\"param\": \"updated_since\", \"value\": \"{{ state.start | iso }}\"}},"
    "   \"schema\": {\"properties\": {\"id\": {\"type\": [\"null\", \"integer\"]},"
    "     \"updated_at\": {\"type\": [\"null\", \"string\"], \"format\": \"date-time\"}}}}]}";

static const struct rest_document *compiled(struct arena *mem, const char *json,
                                            struct problems *problems)
{
    struct error err = ERROR_INIT;
    const struct rest_document *out;
    struct doc *d;

    cr_assert_eq(doc_parse(json, strlen(json), &d, &err), 0, "%s", err.message);
    out = rest_document_compile(mem, d, "", problems);
    doc_free(d); /* nothing of it is borrowed */
    return out;
}

Test(rest_document, compiles_the_worked_example)
{
    struct arena *mem = arena_new();
    struct problems problems = PROBLEMS_INIT(mem);
    const struct rest_document *d = compiled(mem, custom_api, &problems);
    const struct rest_stream *s;

    cr_assert_not_null(d, "%s %s", problems.items[0].pointer, problems.items[0].message);
    cr_assert_str_eq(d->name, "custom_api");
    cr_assert_eq(d->client.auth.type, REST_AUTH_BEARER);
    cr_assert_eq(d->client.total_ms, 30000);
    cr_assert_eq(d->client.connect_ms, 10000);
    cr_assert_eq(d->client.retry_tries, 3);
    cr_assert_eq(d->client.retry_base_ms, 1000);
    cr_assert_eq(d->client.n_limits, 1);
    cr_assert_eq(d->client.limits[0].requests, 10);
    cr_assert_eq(d->client.limits[0].burst, 10);
    cr_assert(d->has_check);
    cr_assert_eq(d->n_streams, 1);
    s = &d->streams[0];
    cr_assert_str_eq(s->key[0], "id");
    cr_assert_eq(s->paginate.type, REST_PAGE_NUMBER);
    cr_assert_eq(s->paginate.start, 1);
    cr_assert(s->paginate.stop_on_short);
    cr_assert(s->incremental.present);
    cr_assert_eq(s->incremental.lookback_us, 600000000);
    cr_assert_str_eq(s->incremental.send.param, "updated_since");
    cr_assert_eq(s->schema->n_columns, 2);
    cr_assert_eq(s->schema->columns[1].type.type, TYPE_TIMESTAMPTZ);
    arena_free(mem);
}

Test(rest_document, makes_a_configuration_of_vars_and_secrets)
{
    static const char config_json[] = "{\"api_key\": \"k\\\"1\", \"size\": 5}";
    struct arena *mem = arena_new();
    struct problems problems = PROBLEMS_INIT(mem);
    const struct rest_document *d = compiled(mem, custom_api, &problems);
    struct error err = ERROR_INIT;
    const struct option *table;
    struct scopes s = {0};
    struct doc *config;
    size_t size;
    void *values;

    table = rest_options(mem, d, &size);
    cr_assert_eq(option_find(table, "api_key")->flags, OPTION_SECRET | OPTION_REQUIRED);
    values = arena_alloc(mem, size);
    memset(values, 0, size);
    cr_assert_eq(doc_parse(config_json, strlen(config_json), &config, &err), 0);
    cr_assert(options_decode(table, config, "", values, mem, &problems));
    cr_assert_eq(rest_values(mem, d, values, &s, &err), 0);
    cr_assert_str_eq(
        s.json[SCOPE_vars].ptr,
        "{\"base_url\":\"https://api.example.com\","
        "\"start_date\":\"2024-01-01T00:00:00Z\",\"size\":5,\"deep\":false,\"regions\":[\"eu\"]}");
    cr_assert_str_eq(s.json[SCOPE_secret].ptr, "{\"api_key\":\"k\\\"1\"}");
    doc_free(config);
    config = doc_new_object();
    cr_assert_not(options_decode(table, config, "", values, mem, &problems));
    cr_assert_str_eq(problems.items[0].pointer, "/api_key");
    doc_free(config);
    arena_free(mem);
}

/* Each is as long as a text may be. */
Test(rest_document, has_no_room_for_any_number_of_values)
{
    enum { N_VARS = 20, LONGEST = 65536 };
    CLEANUP(buf_release) struct buf json = BUF_INIT(1 << 20);
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    struct problems problems = PROBLEMS_INIT(mem);
    CLEANUP(doc_free_cleanup) struct doc *config = doc_new_object();
    char *text = arena_alloc(mem, LONGEST + 1);
    const struct rest_document *d;
    const struct option *table;
    struct error err = ERROR_INIT;
    struct scopes s = {0};
    size_t size;
    void *values;

    memset(text, 'x', LONGEST);
    text[LONGEST] = '\0';
    buf_puts(&json,
             "{\"name\": \"a\", \"client\": {\"base_url\": \"https://a.example\"}, \"vars\": {");
    for (int i = 0; i < N_VARS; i++) {
        buf_printf(&json, "%s\"v%d\": {\"type\": \"string\"}", i ? ", " : "", i);
        doc_set(config, arena_printf(mem, "v%d", i), doc_new_string(text));
    }
    buf_puts(&json, "}, \"streams\": [{\"name\": \"s\", \"path\": \"/s\"}]}");
    d = compiled(mem, buf_str(&json), &problems);
    cr_assert(d, "%s: %s", problems.items[0].pointer, problems.items[0].message);
    table = rest_options(mem, d, &size);
    values = memset(arena_alloc(mem, size), 0, size);
    cr_assert(options_decode(table, config, "", values, mem, &problems), "%s",
              problems.n ? problems.items[0].message : "");
    cr_assert_eq(rest_values(mem, d, values, &s, &err), -1);
    cr_assert_eq(err.code, ERR_TOO_LARGE);
    cr_assert(strstr(err.message, "all values of vars"), "%s", err.message);
}

Test(rest_document, merges_defaults_and_finds_parents)
{
    static const char json[] =
        "{\"client\": {\"base_url\": \"https://a.example\", \"headers\": {\"X-A\": \"1\"},"
        "  \"errors\": [{\"when\": {\"status\": [403, 429], \"header\": \"x-left\", \"eq\": \"0\"},"
        "                \"do\": \"rate_limited\"},"
        "               {\"when\": {\"class\": \"5xx\", \"body\": \"body.code == 7\"}, \"do\": "
        "\"fail\","
        "                \"as\": \"permission\"}]},"
        " \"defaults\": {\"params\": {\"per_page\": 50}, \"paginate\": {\"type\": \"link_header\"},"
        "   \"key\": [\"id\"]},"
        " \"streams\": [{\"name\": \"issues\", \"params\": {\"state\": \"all\"}},"
        "  {\"name\": \"comments\", \"path\": \"/issues/{{ parent.number }}/comments\","
        "   \"paginate\": null,"
        "   \"for_each\": {\"stream\": \"issues\", \"fields\": {\"number\": \"number\"},"
        "                  \"on_missing\": \"empty\"}}]}";
    struct arena *mem = arena_new();
    struct problems problems = PROBLEMS_INIT(mem);
    const struct rest_document *d = compiled(mem, json, &problems);

    cr_assert_not_null(d, "%s %s", problems.items[0].pointer, problems.items[0].message);
    cr_assert_eq(d->streams[0].request.params.n, 2);
    cr_assert_eq(d->streams[0].paginate.type, REST_PAGE_LINK_HEADER);
    cr_assert_eq(d->streams[1].paginate.type, REST_PAGE_NONE);
    cr_assert_eq(d->streams[1].for_each.parent, &d->streams[0]);
    cr_assert_eq(d->streams[1].for_each.n_fields, 1);
    cr_assert(d->streams[1].for_each.missing_is_empty);
    cr_assert_eq(d->client.errors.n, 2);
    cr_assert_eq(d->client.errors.items[0].status[1], 429);
    cr_assert_eq(d->client.errors.items[0].action, REST_DO_RATE_LIMITED);
    cr_assert_eq(d->client.errors.items[1].status_class, 5);
    cr_assert_eq(d->client.errors.items[1].as, ERR_PERMISSION);
    arena_free(mem);
}

Test(rest_document, knows_what_is_declared)
{
    static const char json[] =
        "{\"vars\": {\"host\": {}}, \"secrets\": {\"key\": {}},"
        " \"client\": {\"base_url\": \"https://{{ vars.hots }}/{{ vars.host }}\","
        "   \"auth\": {\"type\": \"bearer\", \"token\": \"{{ secret.kye }}\"}},"
        " \"streams\": [{\"name\": \"a\", \"path\": \"/{{ vars.part | default:'x' }}\","
        "   \"method\": \"POST\", \"body\": {\"json\": {\"deep\": [\"{{ vars.size | int }}\"]}},"
        "   \"key\": [\"id\", \"ids\", \"made\"], \"types\": {\"made\": \"int\"},"
        "   \"schema\": {\"properties\": {\"id\": {\"type\": \"integer\"}}}}]}";
    static const char *const want[] = {"/client/base_url", "/client/auth/token",
                                       "/streams/0/body/json", "/streams/0/key/1"};
    struct arena *mem = arena_new();
    struct problems problems = PROBLEMS_INIT(mem);

    cr_assert_null(compiled(mem, json, &problems));
    cr_assert_eq(problems.n, sizeof want / sizeof want[0]);
    for (size_t i = 0; i < problems.n; i++)
        cr_assert_str_eq(problems.items[i].pointer, want[i], "%zu: %s", i,
                         problems.items[i].pointer);
    arena_free(mem);
}

Test(rest_document, reports_all_mistakes_at_once)
{
    static const char json[] =
        "{\"nmae\": \"x\", \"vars\": {\"1a\": {}, \"b\": {\"type\": \"float\"}, \"c\": 5,"
        "   \"d\": {\"type\": \"integer\", \"default\": \"x\"},"
        "   \"e\": {\"type\": \"list\", \"default\": [1]}},"
        " \"secrets\": {\"f\": {\"type\": \"list\"}},"
        " \"client\": {\"base_url\": \"{{ vars.a | shout }}\", \"auth\": {\"type\": \"bearer\"},"
        "   \"timeout\": {\"total\": \"soon\"}, \"concurrency\": 0,"
        "   \"errors\": [{\"when\": {\"status\": 99}, \"do\": \"cry\"}]},"
        " \"streams\": [{\"path\": \"/a\"},"
        "   {\"name\": \"a\", \"path\": \"/{{ parent.id }}/{{ nothing.x }}\","
        "    \"records\": {\"path\": \"a[\"}, \"for_each\": {\"stream\": \"zz\", \"fields\": {}}},"
        "   {\"name\": \"a\", \"paginate\": {\"type\": \"cursor\"},"
        "    \"incremental\": {\"field\": \"x\", \"start\": \"1\", \"type\": \"int\", \"window\": "
        "\"1d\"}},"
        "   {\"name\": \"loop\", \"for_each\": {\"stream\": \"loop\", \"fields\": {\"id\": "
        "\"id\"}}}]}";
    static const char *const want[] = {
        "/nmae",
        "/vars/1a",
        "/vars/b/type",
        "/vars/c",
        "/vars/d/default",
        "/vars/e/default",
        "/secrets/f/type",
        "/client/concurrency",
        "/streams/0/name",
        "/streams/1/path",
        "/streams/1/records/path",
        "/streams/1/for_each/stream",
        "/streams/2/name",
        "/streams/2/paginate/path",
        "/streams/2/paginate/param",
        "/streams/2/incremental/window",
        "/streams/3",
    };
    struct arena *mem = arena_new();
    struct problems problems = PROBLEMS_INIT(mem);

    cr_assert_null(compiled(mem, json, &problems));
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        bool found = false;

        for (size_t j = 0; j < problems.n; j++)
            found |= strcmp(problems.items[j].pointer, want[i]) == 0;
        cr_assert(found, "nothing at %s", want[i]);
    }
    arena_free(mem);
}

/* One that was cut would be no JSON any more. */
Test(rest_document, a_default_is_not_longer_than_it_may_be)
{
    struct arena *mem = arena_new();

    for (int n = 65000; n <= 66000; n += 1000) {
        struct problems problems = PROBLEMS_INIT(mem);
        const struct rest_document *d = compiled(
            mem,
            arena_printf(mem,
                         "{\"vars\":{\"a\":{\"type\":\"list\",\"default\":[\"x\",\"%0*d\"]}},"
                         "\"client\":{\"base_url\":\"https://example.com\"},"
                         "\"streams\":[{\"name\":\"s\"}]}",
                         n, 0),
            &problems);
        size_t size;

        if (n == 66000) {
            cr_assert_null(d);
            cr_assert_eq(problems.n, 1);
            cr_assert_str_eq(problems.items[0].pointer, "/vars/a/default");
            cr_assert_str_eq(problems.items[0].code, "too_long");
        } else {
            const struct option *table = rest_options(mem, d, &size);
            void *config = arena_alloc(mem, size);

            cr_assert(options_decode(table, NULL, "", config, mem, &problems));
            cr_assert_eq(((const struct string_list *)config)->n, 2);
        }
    }
    arena_free(mem);
}

Test(rest_document, knows_what_answers_are)
{
    static const struct {
        const char *client;
        enum page_format format;
        char delimiter;
        bool by_content_type;
    } good[] = {
        {"\"accept\": \"text/csv\"", PAGE_CSV, 0, true},
        {"\"redirects\": 0", PAGE_JSON, 0, true},
        {"\"decoder\": \"json\", \"accept\": \"text/csv\"", PAGE_JSON, 0, false},
        {"\"decoder\": \"ndjson\"", PAGE_NDJSON, 0, false},
        {"\"decoder\": {\"csv\": {\"delimiter\": \"\\t\"}}", PAGE_CSV, '\t', false},
    };
    static const char *const bad[][2] = {
        {"\"decoder\": \"xml\"", "/client/decoder"},
        {"\"decoder\": 1", "/client/decoder"},
        {"\"decoder\": {}", "/client/decoder"},
        {"\"decoder\": {\"csv\": {\"delimiter\": \"\\n\"}}", "/client/decoder/csv/delimiter"},
        {"\"decoder\": {\"csv\": {\"delimiter\": \"ab\"}}", "/client/decoder/csv/delimiter"},
        {"\"decoder\": {\"csv\": {\"encoding\": \"ebcdic\"}}", "/client/decoder/csv/encoding"},
        {"\"redirects\": 21", "/client/redirects"},
    };
    struct arena *mem = arena_new();

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct problems problems = PROBLEMS_INIT(mem);
        const struct rest_document *d =
            compiled(mem,
                     arena_printf(mem,
                                  "{\"client\": {\"base_url\": \"https://a.example\", %s},"
                                  " \"streams\": [{\"name\": \"s\"}]}",
                                  good[i].client),
                     &problems);

        cr_assert_not_null(d, "%s", good[i].client);
        cr_assert_eq(d->streams[0].records.format, good[i].format, "%s", good[i].client);
        cr_assert_eq(d->streams[0].records.delimiter, good[i].delimiter, "%s", good[i].client);
        cr_assert_eq(d->streams[0].records.by_content_type, good[i].by_content_type, "%s",
                     good[i].client);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct problems problems = PROBLEMS_INIT(mem);

        cr_assert_null(compiled(mem,
                                arena_printf(mem,
                                             "{\"client\": {\"base_url\": \"https://a.example\", "
                                             "%s}, \"streams\": [{\"name\": \"s\"}]}",
                                             bad[i][0]),
                                &problems));
        cr_assert_eq(problems.n, 1, "%s: %zu", bad[i][0], problems.n);
        cr_assert_str_eq(problems.items[0].pointer, bad[i][1]);
    }
    arena_free(mem);
}

Test(rest_document, looks_into_a_client_that_is_otherwise_right)
{
    static const char json[] =
        "{\"client\": {\"base_url\": \"{{ vars.a | shout }}\", \"auth\": {\"type\": \"bearer\"},"
        "   \"timeout\": {\"total\": \"soon\"},"
        "   \"errors\": [{\"when\": {\"status\": 99, \"what\": 1}, \"do\": \"cry\", \"so\": 1}]},"
        " \"streams\": []}";
    static const char *const want[] = {
        "/client/base_url",           "/client/auth/token",
        "/client/timeout/total",      "/client/errors/0/when/status",
        "/client/errors/0/when/what", "/client/errors/0/do",
        "/client/errors/0/so",        "/streams",
    };
    struct arena *mem = arena_new();
    struct problems problems = PROBLEMS_INIT(mem);

    cr_assert_null(compiled(mem, json, &problems));
    cr_assert_eq(problems.n, sizeof want / sizeof want[0]);
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        bool found = false;

        for (size_t j = 0; j < problems.n; j++)
            found |= strcmp(problems.items[j].pointer, want[i]) == 0;
        cr_assert(found, "nothing at %s", want[i]);
    }
    arena_free(mem);
}
