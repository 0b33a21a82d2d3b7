#include <criterion/criterion.h>

#include <string.h>

#include "connectors/rest/template.h"

static const unsigned all = ~0u;

static void fill(struct scopes *s)
{
    static const char *const texts[SCOPE_COUNT] = {
        [SCOPE_vars] = "{\"owner\":\"me & you\",\"n\":12.50,\"list\":[1,\"b\",true],\"none\":null,"
                       "\"a b\":{\"c\":\"deep\"},\"big\":123456789012345678901234567890}",
        [SCOPE_secret] = "{\"key\":\"s3cret\"}",
        [SCOPE_state] = "{\"start\":\"2024-02-29T12:34:56.5Z\",\"day\":\"2024-03-01\","
                        "\"epoch\":1700000000,\"ms\":1700000000123}",
        [SCOPE_record] =
            "{\"id\":7,\"name\":\"Ünï\",\"tags\":[],\"at\":\"2024-01-01T02:00:00+02:00\"}",
    };

    for (int i = 0; i < SCOPE_COUNT; i++)
        s->json[i] = texts[i] ? (struct slice){texts[i], strlen(texts[i])} : (struct slice){0};
}

static const struct template *compiled(struct arena *mem, const char *json, unsigned allowed,
                                       struct problems *problems)
{
    struct error err = ERROR_INIT;
    struct doc *d;
    const struct template *t;

    cr_assert_eq(doc_parse(json, strlen(json), &d, &err), 0, "%s: %s", json, err.message);
    t = template_compile(mem, d, allowed, "/x", problems);
    doc_free(d);
    return t;
}

/* The rendered value as JSON. */
static const char *render(struct arena *mem, const char *json, struct error *err)
{
    struct problems problems = PROBLEMS_INIT(mem);
    const struct template *t = compiled(mem, json, all, &problems);
    struct buf text = BUF_INIT(1 << 20);
    struct rest_value v;
    struct scopes s;
    const char *out;

    fill(&s);
    cr_assert_not_null(t, "%s: %s", json, problems.n ? problems.items[0].message : "?");
    if (template_render(t, &s, mem, &v, err) < 0)
        return NULL;
    rest_value_put_json(&v, &text);
    out = arena_strdup(mem, buf_str(&text));
    buf_release(&text);
    return out;
}

Test(rest_template, renders)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"\"plain\"", "\"plain\""},
        {"5", "5"},
        {"null", "null"},
        {"\"{{ vars.owner }}\"", "\"me & you\""},
        {"\"{{vars.n}}\"", "12.50"},
        {"\"{{ vars.big }}\"", "123456789012345678901234567890"},
        {"\"n={{ vars.n }}&o={{ vars.owner | urlencode }}\"", "\"n=12.50&o=me%20%26%20you\""},
        {"\"{{ vars.list }}\"", "[1,\"b\",true]"},
        {"\"{{ vars.list | join:',' }}\"", "\"1,b,true\""},
        {"\"{{ vars.list | first }}/{{ vars.list | last }}\"", "\"1/true\""},
        {"\"{{ vars['a b'].c | upper }}\"", "\"DEEP\""},
        {"\"{{ vars.gone | default:'x y' }}\"", "\"x y\""},
        {"\"{{ vars.gone | default:7 }}\"", "7"},
        {"\"{{ vars.none | default:'d' }}\"", "\"d\""},
        {"\"{{ vars.none }}\"", "null"},
        {"\"[{{ vars.none }}]\"", "\"[]\""},
        {"\"{{ vars.owner | regex:'(\\\\w+)$' }}\"", "\"you\""},
        {"\"{{ vars.owner | regex:'z' | default:'none' }}\"", "\"none\""},
        {"\"{{ state.start | iso }}\"", "\"2024-02-29T12:34:56.5Z\""},
        {"\"{{ state.day | iso }}\"", "\"2024-03-01T00:00:00Z\""},
        {"\"{{ state.start | date:'%Y-%m-%d %H:%M' }}\"", "\"2024-02-29 12:34\""},
        {"\"{{ state.start | date:'%F %T.%f %j%%' }}\"", "\"2024-02-29 12:34:56.500000 060%\""},
        {"\"{{ state.start | epoch }}\"", "1709210096"},
        {"\"{{ state.start | epoch_ms }}\"", "1709210096500"},
        {"\"{{ state.epoch | iso }}\"", "\"2023-11-14T22:13:20Z\""},
        {"\"{{ state.ms | iso }}\"", "\"2023-11-14T22:13:20.123Z\""},
        {"\"{{ state.start | add:'-PT5M' }}\"", "\"2024-02-29T12:29:56.5Z\""},
        {"\"{{ state.start | add:'P1D' | date:'%Y-%m-%d' }}\"", "\"2024-03-01\""},
        {"\"{{ record.at | iso }}\"", "\"2024-01-01T00:00:00Z\""},
        {"\"{{ secret.key | sha256 }}\"",
         "\"1ec1c26b50d5d3c58d9583181af8076655fe00756bf7285940ba3670f99fcba0\""},
        {"\"{{ record.id | string }}\"", "\"7\""},
        {"\"{{ vars.list | json }}\"", "\"[1,\\\"b\\\",true]\""},
        {"\"Basic {{ secret.key | base64 }}\"", "\"Basic czNjcmV0\""},
        {"{\"a\": \"{{ record.id }}\", \"b\": [\"{{ vars.owner }}\", 1, {\"c\": null}]}",
         "{\"a\":7,\"b\":[\"me & you\",1,{\"c\":null}]}"},
        {"\"a }} b { c\"", "\"a }} b { c\""},
        {"\"{{ vars.gone | default:'}}' }}\"", "\"}}\""},
        {"\"{{ vars.gone | upper | default:'z' }}\"", "\"z\""},
    };
    struct arena *mem = arena_new();

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = ERROR_INIT;
        const char *got = render(mem, cases[i].text, &err);

        cr_assert_not_null(got, "%s: %s", cases[i].text, err.message);
        cr_assert_str_eq(got, cases[i].want, "%s: %s", cases[i].text, got);
    }
    arena_free(mem);
}

Test(rest_template, says_what_is_missing_or_of_another_kind)
{
    static const struct {
        const char *text, *reason;
    } cases[] = {
        {"\"{{ vars.gone }}\"", "template_missing"},
        {"\"x {{ parent.id }}\"", "template_missing"},
        {"\"{{ vars.list[9] }}\"", "template_missing"},
        {"\"{{ vars.owner | int }}\"", "template_value"},
        {"\"{{ vars.n | int }}\"", "template_value"},
        {"\"{{ state.start | date:'%Q' }}\"", "template_value"},
        {"\"{{ state.start | date:'x%' }}\"", "template_value"},
        {"\"{{ vars.owner | iso }}\"", "template_value"},
        {"\"{{ vars.owner | join:',' }}\"", "template_value"},
        {"\"{{ state.start | add:'P1M' }}\"", "template_value"},
    };
    struct arena *mem = arena_new();

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = ERROR_INIT;

        cr_assert_null(render(mem, cases[i].text, &err), "%s", cases[i].text);
        cr_assert_str_eq(err.reason, cases[i].reason, "%s: %s", cases[i].text, err.message);
    }
    arena_free(mem);
}

Test(rest_template, finds_mistakes_when_it_is_loaded)
{
    static const struct {
        const char *text, *code, *pointer;
    } cases[] = {
        {"\"{{ vars.a\"", "bad_template", "/x"},
        {"\"{{ }}\"", "bad_template", "/x"},
        {"\"{{ vars..a }}\"", "bad_template", "/x"},
        {"\"{{ vars.a b }}\"", "bad_template", "/x"},
        {"\"{{ nothing.a }}\"", "unknown_scope", "/x"},
        {"\"{{ record.a }}\"", "unknown_scope", "/x"},
        {"\"{{ vars.a | shout }}\"", "unknown_filter", "/x"},
        {"\"{{ vars.a | default }}\"", "bad_template", "/x"},
        {"\"{{ vars.a | upper:'x' }}\"", "bad_template", "/x"},
        {"\"{{ vars.a | regex:'(' }}\"", "bad_template", "/x"},
        {"{\"a\": [1, {\"b/c\": \"{{ vars.a | shout }}\"}]}", "unknown_filter", "/x/a/1/b~1c"},
    };
    struct arena *mem = arena_new();

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct problems problems = PROBLEMS_INIT(mem);

        cr_assert_null(compiled(mem, cases[i].text, SCOPE_BIT(vars) | SCOPE_BIT(state), &problems),
                       "%s", cases[i].text);
        cr_assert_eq(problems.n, 1, "%s", cases[i].text);
        cr_assert_str_eq(problems.items[0].code, cases[i].code, "%s: %s", cases[i].text,
                         problems.items[0].message);
        cr_assert_str_eq(problems.items[0].pointer, cases[i].pointer);
    }
    arena_free(mem);
}

/* J5: what other languages would carry out is text, or no template at all. */
Test(rest_template, only_substitutes)
{
    static const char *const literals[] = {
        "${HOME}",    "$(id)",   "`id`",    "{% for a in b %}", "<%= 7*7 %>",
        "#{7*7}",     "${{7*7}", "{7*7}",   "%{7*7}",           "{{{ vars.n",
        "[[${7*7}]]", "@(7*7)",  "{%raw%}", "*{T(Runtime)}",    "{# comment #}",
    };
    static const char *const refused[] = {
        "{{ 7*7 }}",
        "{{ vars.n * 2 }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ config.items() }}",
        "{{ self.__init__.__globals__ }}",
        "{{ range(1000000000) }}",
        "{{ env.HOME }}",
        "{{ file('/etc/passwd') }}",
        "{{ include '/etc/passwd' }}",
        "{{ vars.owner | system }}",
        "{{ vars.owner | attr:'__class__' }}",
        "{{ request.application }}",
        "{{ lipsum }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ constructor.constructor('return 1')() }}",
        "{{ #each vars.list }}",
        "{{ vars.a = 1 }}",
    };
    struct arena *mem = arena_new();
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < sizeof literals / sizeof literals[0]; i++) {
        const char *json = arena_printf(mem, "\"%s\"", literals[i]);

        if (strstr(literals[i], "{{")) {
            struct problems problems = PROBLEMS_INIT(mem);

            cr_expect_null(compiled(mem, json, all, &problems), "%s", json);
            continue;
        }
        cr_expect_str_eq(render(mem, json, &err), json);
    }
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct problems problems = PROBLEMS_INIT(mem);

        cr_expect_null(compiled(mem, arena_printf(mem, "\"%s\"", refused[i]), all, &problems), "%s",
                       refused[i]);
        cr_expect_eq(problems.n, 1, "%s", refused[i]);
    }
    /* What a value brings in is not looked at again. */
    cr_expect_str_eq(render(mem, "\"{{ vars.gone | default:'{% vars.n %}' }}\"", &err),
                     "\"{% vars.n %}\"");
    arena_free(mem);
}

Test(rest_template, tells_which_scopes_it_reads)
{
    struct arena *mem = arena_new();
    struct problems problems = PROBLEMS_INIT(mem);

    cr_assert_eq(template_scopes(compiled(mem, "\"x\"", all, &problems)), 0);
    cr_assert_eq(
        template_scopes(compiled(mem, "[\"{{ vars.a }}\", \"{{ secret.b }}\"]", all, &problems)),
        SCOPE_BIT(vars) | SCOPE_BIT(secret));
    arena_free(mem);
}

static bool holds(struct arena *mem, const char *text)
{
    struct problems problems = PROBLEMS_INIT(mem);
    const struct condition *c = condition_compile(mem, text, all, "/x", &problems);
    struct error err = ERROR_INIT;
    struct scopes s;
    bool out;

    fill(&s);
    cr_assert_not_null(c, "%s: %s", text, problems.n ? problems.items[0].message : "?");
    cr_assert_eq(condition_holds(c, &s, mem, &out, &err), 0, "%s", err.message);
    return out;
}

Test(rest_template, conditions_hold_or_not)
{
    static const char *const yes[] = {
        "record.id == 7",
        "record.id == 7.0",
        "record.id != 8",
        "record.id<8",
        "record.id >= 7 and record.id <= 7",
        "record.name == 'Ünï'",
        "record.name ~ '^Ü'",
        "record.id in [1, 7]",
        "vars.list[1] in ['a', 'b']",
        "record.id exists",
        "not record.gone exists",
        "vars.none == null",
        "not vars.none exists",
        "record.gone == 1 or record.id > 6",
        "not (record.id == 1 or record.id == 2) and vars.list[2] == true",
        "record.at < '2024-01-01T00:00:01Z'",
        "record.at == \"2024-01-01\"",
        "record.name != 7",
        "vars['a b'].c == 'deep'",
        "vars.big > 5",
    };
    static const char *const no[] = {
        "record.gone == 1",    "record.gone != 1",   "record.id == '7'",
        "record.id in [1, 2]", "record.name ~ '^x'", "record.tags == 1",
        "record.id > 7",       "not record.id == 7", "record.id == 7 and record.gone exists",
        "vars.list == 'x'",
    };
    struct arena *mem = arena_new();

    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
        cr_assert(holds(mem, yes[i]), "%s", yes[i]);
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        cr_assert_not(holds(mem, no[i]), "%s", no[i]);
    arena_free(mem);
}

Test(rest_template, refuses_conditions_it_cannot_read)
{
    static const char *const bad[] = {
        "",
        "record.id",
        "record.id ==",
        "== 5",
        "record.id == 5 5",
        "(record.id == 5",
        "record.id = 5",
        "record.id == 'x",
        "record.id in 5",
        "record.id == [1]",
        "record.id in [1",
        "record.id ~ '('",
        "record.id == 5 and",
        "not",
        "nothing.id == 5",
        "record.id == {}x",
        "((((((((((((((((((((((((((((((((((((record.id == 1))))))))))))))))))))))))))))))))))))",
    };
    struct arena *mem = arena_new();

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct problems problems = PROBLEMS_INIT(mem);

        cr_assert_null(condition_compile(mem, bad[i], all, "/x", &problems), "%s", bad[i]);
        cr_assert_eq(problems.n, 1, "%s gives %zu", bad[i], problems.n);
    }
    arena_free(mem);
}
