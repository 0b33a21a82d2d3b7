#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "connectors/base/clock.h"
#include "connectors/rest/fetch.h"
#include "tests/support/fake_api.h"

/* What the server has seen; the paths say what it answers. */
struct server {
    _Atomic int calls, tokens, refused;
    char authorization[200], query[400], body[400], kept[400];
};

static void json(struct fake_answer *out, int status, const char *body)
{
    out->status = status;
    out->body = body;
    out->headers[0].name = "Content-Type";
    out->headers[0].value = "application/json";
}

static void header(struct fake_answer *out, const char *name, const char *value)
{
    for (int i = 0; i < FAKE_HEADERS; i++) {
        if (!out->headers[i].name) {
            out->headers[i].name = name;
            out->headers[i].value = value;
            return;
        }
    }
}

#define PAGE "{\"data\":[{\"id\":1},{\"id\":2}],\"next\":\"n\"}"

static void answer(void *arg, const struct fake_request *r, struct arena *mem,
                   struct fake_answer *out)
{
    struct server *s = arg;
    const char *key = fake_header(r, "Authorization");
    int n = ++s->calls;

    snprintf(s->authorization, sizeof s->authorization, "%s", key ? key : "");
    snprintf(s->query, sizeof s->query, "%s", r->query);
    snprintf(s->body, sizeof s->body, "%.*s", (int)r->n_body, r->body);
    json(out, 200, PAGE);
    if (strcmp(r->path, "/token") == 0) {
        int token = ++s->tokens;

        snprintf(s->kept, sizeof s->kept, "%s", s->body);
        json(out, 200,
             arena_printf(mem,
                          "{\"access_token\":\"tok%d\",\"expires_in\":3600,"
                          "\"refresh_token\":\"rot%d\"}",
                          token, token));
    } else if (strcmp(r->path, "/stale") == 0) {
        if (!key || strcmp(key, "Bearer tok1") == 0)
            json(out, 401, "{\"error\":\"expired\"}");
    } else if (strcmp(r->path, "/never") == 0) {
        json(out, 401, "{\"error\":\"who are you\"}");
    } else if (strcmp(r->path, "/storm") == 0) {
        if (n < 3)
            json(out, 503, "{\"data\":[{\"id\":666}]}");
    } else if (strcmp(r->path, "/busy") == 0) {
        if (n < 2) {
            json(out, 429, "{}");
            header(out, "Retry-After", "0");
        }
    } else if (strcmp(r->path, "/busy-all-day") == 0) {
        json(out, 429, "{}");
        header(out, "Retry-After", "28800");
    } else if (strcmp(r->path, "/ok-but-no") == 0) {
        json(out, 200, "{\"ok\":false,\"error\":\"missing_scope\",\"data\":[{\"id\":9}]}");
    } else if (strcmp(r->path, "/gone") == 0) {
        json(out, 404, "<html>no</html>");
    } else if (strcmp(r->path, "/expired") == 0) {
        json(out, 410, "{}");
    } else if (strcmp(r->path, "/broken") == 0) {
        if (n < 2)
            json(out, 200, "{\"data\":[{\"id\":1},{\"id\"");
    } else if (strcmp(r->path, "/always-broken") == 0) {
        json(out, 200, "{\"data\":[{\"id\":1}");
    } else if (strcmp(r->path, "/cut") == 0) {
        if (n < 2)
            out->cut_after = 20;
    } else if (strcmp(r->path, "/same") == 0) {
        header(out, "ETag", "\"v1\"");
        if (fake_header(r, "If-None-Match"))
            json(out, 304, "");
    } else if (strcmp(r->path, "/large") == 0 || strcmp(r->path, "/large-cut") == 0) {
        struct buf body = BUF_INIT((size_t)64 << 20);

        buf_puts(&body, "{\"data\":[");
        for (int i = 0; i < 200000; i++)
            buf_printf(&body, "%s{\"id\":%d,\"text\":\"some words to fill it up\"}", i ? "," : "",
                       i);
        buf_puts(&body, "]}");
        out->body = arena_memdup(mem, buf_str(&body), body.len);
        out->n_body = body.len;
        out->cut_after = strcmp(r->path, "/large-cut") == 0 ? body.len - 100 : 0;
        buf_release(&body);
    } else if (strcmp(r->path, "/leak") == 0) {
        json(out, 500, "{}");
    }
}

struct fixture {
    struct server seen;
    struct fake_api *api;
    struct arena *mem;
    struct cancel *cancel;
    struct run run;
    const struct rest_document *doc;
    struct fetcher *fetcher;
    struct buf records, notes;
    struct run_host host;
    int64_t n;
};

static int take(void *arg, struct slice record, struct error *err)
{
    struct fixture *f = arg;

    (void)err;
    f->n++;
    if (f->records.len < 1000)
        buf_put(&f->records, record.ptr, record.len);
    return 0;
}

static int begin_credential(void *arg, const char *pointer, struct arena *mem, const char **out,
                            struct error *err)
{
    struct fixture *f = arg;

    (void)err;
    cr_assert_str_eq(pointer, "/secrets/refresh");
    *out = arena_strdup(mem, f->seen.kept[0] ? f->seen.kept : "first-refresh");
    return 0;
}

static int end_credential(void *arg, const char *pointer, const char *value, struct error *err)
{
    struct fixture *f = arg;

    (void)pointer;
    (void)err;
    if (value)
        snprintf(f->seen.kept, sizeof f->seen.kept, "%s", value);
    return 0;
}

static void note_request(void *arg, const struct request_note *note)
{
    struct fixture *f = arg;

    buf_printf(&f->notes, "%s %s %d\n", note->method, note->url, note->status);
}

static void open_fixture(struct fixture *f, const char *client, const char *stream)
{
    static const char secret[] = "{\"key\":\"k3y+secret\",\"refresh\":\"first-refresh\"}";
    struct error err = ERROR_INIT;
    struct problems problems;
    struct scopes base = {0};
    const char *text;
    struct doc *d;

    f->api = fake_api_start(answer, &f->seen);
    f->mem = arena_new();
    f->records = BUF_INIT(1 << 20);
    cr_assert_eq(cancel_new(&f->cancel, &err), 0);
    f->run = (struct run){
        .mem = f->mem, .cancel = f->cancel, .log = &log_nowhere, .id = "r", .host = &f->host};
    f->host = (struct run_host){begin_credential, end_credential, note_request, f};
    f->notes = BUF_INIT(1 << 16);
    problems = PROBLEMS_INIT(f->mem);
    text =
        arena_printf(f->mem,
                     "{\"secrets\":{\"key\":{},\"refresh\":{}},"
                     "\"client\":{\"base_url\":\"%s\",\"retry\":{\"tries\":4,\"base\":\"1ms\"}%s},"
                     "\"streams\":[{\"name\":\"s\",\"records\":{\"path\":\"data\"}%s}]}",
                     fake_api_url(f->api), client, stream);
    cr_assert_eq(doc_parse(text, strlen(text), &d, &err), 0, "%s in %s", err.message, text);
    f->doc = rest_document_compile(f->mem, d, "", &problems);
    cr_assert_not_null(f->doc, "%s %s", problems.items[0].pointer, problems.items[0].message);
    doc_free(d);
    base.json[SCOPE_secret] = (struct slice){secret, sizeof secret - 1};
    cr_assert_eq(fetcher_new(f->doc, &base, &f->run, "/secrets", &f->fetcher, &err), 0);
}

static void close_fixture(struct fixture *f)
{
    fetcher_free(f->fetcher);
    fake_api_stop(f->api);
    cancel_free(f->cancel);
    buf_release(&f->records);
    buf_release(&f->notes);
    arena_free(f->mem);
}

static int fetch(struct fixture *f, const char *path, struct fetch_result *out, struct error *err)
{
    const struct fetch_request r = {
        .method = "GET", .url = arena_printf(f->mem, "%s%s", fake_api_url(f->api), path)};
    struct fetch_request first;

    f->n = 0;
    buf_clear(&f->records);
    f->seen.calls = 0;
    /* Rendering makes the client. */
    if (fetch_render(f->fetcher, &f->doc->streams[0].request, &(struct scopes){0}, f->mem, &first,
                     err) < 0)
        return -1;
    return fetch_page(f->fetcher, &f->doc->streams[0], &r,
                      &(struct fetch_taker){.each = take, .arg = f}, out, err);
}

static struct fetch_result good(struct fixture *f, const char *path)
{
    struct error err = ERROR_INIT;
    struct fetch_result out;

    cr_assert_eq(fetch(f, path, &out, &err), 0, "%s: %s", path, err.message);
    return out;
}

static struct error bad(struct fixture *f, const char *path)
{
    struct error err = ERROR_INIT;
    struct fetch_result out;

    cr_assert_eq(fetch(f, path, &out, &err), -1, "%s", path);
    return err;
}

Test(rest_fetch, hands_on_a_page_and_what_is_around_it)
{
    struct fixture f = {0};
    struct fetch_result r;

    open_fixture(&f, "", "");
    r = good(&f, "/page");
    cr_assert_eq(r.outcome, FETCH_PAGE);
    cr_assert_eq(r.n_records, 2);
    cr_assert_str_eq(buf_str(&f.records), "{\"id\":1}{\"id\":2}");
    cr_assert_str_eq(r.envelope.ptr, "{\"data\":[],\"next\":\"n\"}");
    cr_assert_not_null(strstr(r.headers.ptr, "\"content-type\":\"application/json\""));
    cr_assert_str_eq(r.first.ptr, "{\"id\":1}");
    cr_assert_str_eq(r.last.ptr, "{\"id\":2}");
    cr_assert(r.found_records);
    cr_assert_neq(r.date_unix_us, 0);
    cr_assert_eq(f.seen.calls, 1);
    close_fixture(&f);
}

Test(rest_fetch, says_who_we_are)
{
    struct fixture f = {0};

    open_fixture(&f, ",\"auth\":{\"type\":\"bearer\",\"token\":\"{{ secret.key }}\"}", "");
    good(&f, "/page");
    cr_assert_str_eq(f.seen.authorization, "Bearer k3y+secret");
    close_fixture(&f);
    f = (struct fixture){0};
    open_fixture(
        &f, ",\"auth\":{\"type\":\"basic\",\"username\":\"u\",\"password\":\"{{ secret.key }}\"}",
        "");
    good(&f, "/page");
    cr_assert_str_eq(f.seen.authorization, "Basic dTprM3krc2VjcmV0");
    close_fixture(&f);
    f = (struct fixture){0};
    open_fixture(&f,
                 ",\"auth\":{\"type\":\"api_key\",\"name\":\"key\",\"value\":\"{{ secret.key }}\","
                 "\"in\":\"query\"}",
                 "");
    good(&f, "/page?a=1");
    cr_assert_str_eq(f.seen.query, "a=1&key=k3y%2Bsecret");
    close_fixture(&f);
}

Test(rest_fetch, never_tells_a_secret)
{
    struct fixture f = {0};
    struct error err;
    int n;

    open_fixture(&f,
                 ",\"auth\":{\"type\":\"api_key\",\"name\":\"key\",\"value\":\"{{ secret.key }}\","
                 "\"in\":\"query\"}",
                 ",\"errors\":[{\"when\":{\"status\":418},\"do\":\"fail\"}]");
    good(&f, "/page");
    err = bad(&f, "/leak?copy=k3y%2Bsecret");
    cr_assert_null(strstr(err.message, "k3y"), "%s", err.message);
    cr_assert_null(strstr(buf_str(&f.notes), "k3y"), "%s", buf_str(&f.notes));
    n = 0;
    for (const char *at = buf_str(&f.notes); (at = strstr(at, "key=***")); at++)
        n++;
    cr_assert_eq(n, 5); /* one, and four tries */
    close_fixture(&f);
}

Test(rest_fetch, asks_for_a_token_and_for_a_new_one)
{
    struct fixture f = {0};
    char client[400];
    struct error err;

    /* The address of the tokens is the fake's own: known only once it runs. */
    open_fixture(&f, "", "");
    snprintf(client, sizeof client,
             ",\"auth\":{\"type\":\"oauth2\",\"token_url\":\"%s/token\",\"client_id\":\"me\","
             "\"client_secret\":\"{{ secret.key }}\",\"grant\":\"refresh_token\","
             "\"refresh_token\":\"{{ secret.refresh }}\"}",
             fake_api_url(f.api));
    struct fixture g = {0};

    open_fixture(&g, client, "");
    good(&g, "/page");
    cr_assert_str_eq(g.seen.authorization, "Bearer tok1");
    cr_assert_str_eq(f.seen.body,
                     "grant_type=refresh_token&refresh_token=first-refresh&client_id=me&"
                     "client_secret=k3y%2Bsecret");
    cr_assert_str_eq(g.seen.kept, "rot1");
    good(&g, "/page");
    cr_assert_eq(f.seen.tokens, 1, "a token that is good is used again");
    good(&g, "/stale");
    cr_assert_eq(f.seen.tokens, 2);
    cr_assert_str_eq(g.seen.authorization, "Bearer tok2");
    cr_assert_not_null(strstr(f.seen.body, "refresh_token=rot1"), "%s", f.seen.body);
    err = bad(&g, "/never");
    cr_assert_eq(err.code, ERR_UNAUTHORIZED);
    cr_assert_str_eq(err.reason, "auth_failed");
    cr_assert_eq(g.seen.calls, 2, "one refresh, one more try");
    close_fixture(&g);
    close_fixture(&f);
}

Test(rest_fetch, tries_again_without_doubling_anything)
{
    static const char *const paths[] = {"/storm", "/busy", "/broken", "/cut"};
    struct fixture f = {0};

    open_fixture(&f, "", "");
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct fetch_result r = good(&f, paths[i]);

        cr_assert_eq(r.n_records, 2, "%s", paths[i]);
        cr_assert_str_eq(buf_str(&f.records), "{\"id\":1}{\"id\":2}", "%s", paths[i]);
        cr_assert_gt(f.seen.calls, 1, "%s", paths[i]);
    }
    close_fixture(&f);
}

Test(rest_fetch, gives_up_in_time_and_says_why)
{
    struct fixture f = {0};
    struct error err;

    open_fixture(&f, "", "");
    err = bad(&f, "/leak");
    cr_assert_eq(err.code, ERR_TRANSIENT);
    cr_assert_str_eq(err.reason, "server_error");
    cr_assert_eq(f.seen.calls, 4);
    err = bad(&f, "/always-broken");
    cr_assert_eq(err.code, ERR_DATA);
    cr_assert_str_eq(err.reason, "body_not_decodable");
    cr_assert_eq(f.seen.calls, 3, "twice more");
    err = bad(&f, "/busy-all-day");
    cr_assert_eq(err.code, ERR_RATE_LIMITED);
    cr_assert_str_eq(err.reason, "wait_too_long");
    cr_assert_eq(f.seen.calls, 1);
    err = bad(&f, "/gone");
    cr_assert_str_eq(err.reason, "not_found");
    cr_assert_eq(f.n, 0);
    close_fixture(&f);
}

Test(rest_fetch, follows_the_rules_of_the_document)
{
    struct fixture f = {0};
    struct error err;

    open_fixture(
        &f, "",
        ",\"errors\":[{\"when\":{\"status\":200,\"body\":\"body.ok == false and body.error "
        "in ['missing_scope']\"},\"do\":\"fail\",\"as\":\"permission\",\"message\":\"the "
        "token may not read this\"},"
        "{\"when\":{\"status\":404},\"do\":\"empty\"},"
        "{\"when\":{\"class\":\"5xx\"},\"do\":\"skip_slice\",\"message\":\"gave up\"}]");
    err = bad(&f, "/ok-but-no");
    cr_assert_eq(err.code, ERR_PERMISSION);
    cr_assert_str_eq(err.message, "the token may not read this (status 200)");
    cr_assert_eq(f.n, 0, "its records are no records");
    cr_assert_eq(good(&f, "/gone").outcome, FETCH_EMPTY);
    cr_assert_eq(good(&f, "/expired").outcome, FETCH_RESET);
    cr_assert_eq(good(&f, "/leak").outcome, FETCH_SKIP);
    cr_assert_eq(f.seen.calls, 1);
    cr_assert_eq(good(&f, "/page").outcome, FETCH_PAGE);
    close_fixture(&f);
}

Test(rest_fetch, hands_on_what_is_too_large_to_hold_back)
{
    struct fixture f = {0};
    struct error err;

    open_fixture(&f, "", "");
    cr_assert_eq(good(&f, "/large").n_records, 200000);
    cr_assert_eq(f.n, 200000);
    err = bad(&f, "/large-cut");
    cr_assert_eq(err.code, ERR_TRANSIENT);
    cr_assert_eq(f.seen.calls, 1, "what was handed on cannot be taken back");
    close_fixture(&f);
}

Test(rest_fetch, knows_what_has_not_changed)
{
    struct fixture f = {0};
    struct error err = ERROR_INIT;
    struct fetch_result r;
    struct fetch_request again;

    open_fixture(&f, "", "");
    r = good(&f, "/same");
    cr_assert_str_eq(r.etag, "\"v1\"");
    again = (struct fetch_request){
        .method = "GET",
        .url = arena_printf(f.mem, "%s/same", fake_api_url(f.api)),
        .etag = "\"v1\"",
    };
    cr_assert_eq(fetch_page(f.fetcher, &f.doc->streams[0], &again,
                            &(struct fetch_taker){.each = take, .arg = &f}, &r, &err),
                 0);
    cr_assert_eq(r.outcome, FETCH_NOT_MODIFIED);
    close_fixture(&f);
}

Test(rest_fetch, tells_equal_pages)
{
    struct fixture f = {0};
    struct fetch_result a, b, c;

    open_fixture(&f, "", ",\"paginate\":{\"type\":\"page\"}");
    a = good(&f, "/page");
    b = good(&f, "/page?again");
    c = good(&f, "/large");
    cr_assert_eq(memcmp(a.hash, b.hash, sizeof a.hash), 0);
    cr_assert_neq(memcmp(a.hash, c.hash, sizeof a.hash), 0);
    close_fixture(&f);
}

Test(rest_fetch, sends_the_next_request_ahead)
{
    struct error err = ERROR_INIT;
    struct fixture f = {0};
    struct fetch_request next;

    open_fixture(&f, "", "");
    good(&f, "/page");
    next = (struct fetch_request){.method = "GET",
                                  .url = arena_printf(f.mem, "%s/next", fake_api_url(f.api))};
    fetch_ahead(f.fetcher, &f.doc->streams[0], &next);
    cr_assert_eq(good(&f, "/next").n_records, 2);
    cr_assert_leq(f.seen.calls, 1, "asked once");
    fetch_ahead(f.fetcher, &f.doc->streams[0], &next);
    cr_assert_eq(good(&f, "/other").n_records, 2, "another request is asked for itself");
    (void)err;
    close_fixture(&f);
}

Test(rest_fetch, renders_requests)
{
    static const char client[] = ",\"headers\":{\"X-A\":\"client\",\"X-B\":\"{{ state.start }}\"},"
                                 "\"params\":{\"size\":5,\"gone\":\"{{ vars.x | default:null }}\"}";
    static const char stream[] =
        ",\"path\":\"/a/{{ parent.id | urlencode }}/b\",\"method\":\"POST\","
        "\"headers\":{\"x-a\":\"stream\"},\"params\":{\"size\":7,\"q\":\"a&b c\"},"
        "\"body\":{\"json\":{\"since\":\"{{ state.start }}\",\"n\":[1,null]}}";
    struct error err = ERROR_INIT;
    struct fixture f = {0};
    struct fetch_request r;
    struct scopes s = {0};

    open_fixture(&f, client, stream);
    s.json[SCOPE_state] = (struct slice){"{\"start\":\"2024\"}", 16};
    s.json[SCOPE_parent] = (struct slice){"{\"id\":\"x/y\"}", 12};
    s.json[SCOPE_vars] = (struct slice){"{}", 2};
    cr_assert_eq(fetch_render(f.fetcher, &f.doc->streams[0].request, &s, f.mem, &r, &err), 0, "%s",
                 err.message);
    cr_assert_str_eq(strchr(r.url + 8, '/'), "/a/x%2Fy/b?size=7&q=a%26b%20c");
    cr_assert_str_eq(r.method, "POST");
    cr_assert_str_eq(r.body.ptr, "{\"since\":\"2024\",\"n\":[1,null]}");
    cr_assert_eq(r.n_headers, 4);
    cr_assert_str_eq(r.headers[0].name, "X-B");
    cr_assert_str_eq(r.headers[1].value, "stream");
    cr_assert_str_eq(r.headers[2].value, "application/json");
    s.json[SCOPE_parent] = (struct slice){"{}", 2};
    cr_assert_eq(fetch_render(f.fetcher, &f.doc->streams[0].request, &s, f.mem, &r, &err), -1);
    cr_assert_str_eq(err.reason, "template_missing");
    close_fixture(&f);
}
