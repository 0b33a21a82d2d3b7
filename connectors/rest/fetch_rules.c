/*
 * What an answer means: the rules of the stream, those of the client, then the built-in ones.
 */
#include <string.h>

#include "connectors/base/clock.h"
#include "connectors/base/text.h"
#include "connectors/http/retry.h"
#include "connectors/rest/fetch_internal.h"

#define EPOCH_FROM INT64_C(1000000000) /* a wait of so many seconds is a time: 2001 and later */

/* clang-format off */
static const struct {
    int from, to;
    enum rest_do action;
    enum error_code as;
    const char *reason, *message;
} built_in[] = {
    {401, 401, REST_DO_REFRESH_AUTH,     ERR_UNAUTHORIZED, "auth_failed",       "the API does not accept who we are"},
    {403, 403, REST_DO_FAIL,             ERR_PERMISSION,   "permission_denied", "the API does not allow this"},
    {404, 404, REST_DO_FAIL,             ERR_CONFIG,       "not_found",         "the API has nothing at this address"},
    {408, 408, REST_DO_RETRY,            ERR_TRANSIENT,    "server_error",      "the API did not answer in time"},
    {410, 410, REST_DO_RESET_PAGINATION, ERR_TRANSIENT,    "cursor_expired",    "the cursor is no longer known"},
    {425, 425, REST_DO_RETRY,            ERR_TRANSIENT,    "server_error",      "the API asks to come later"},
    {429, 429, REST_DO_RATE_LIMITED,     ERR_RATE_LIMITED, "rate_limited",      "the API asks to slow down"},
    {400, 499, REST_DO_FAIL,             ERR_CONFIG,       "request_refused",   "the API refuses the request"},
    {500, 599, REST_DO_RETRY,            ERR_TRANSIENT,    "server_error",      "the API has a failure of its own"},
    {300, 399, REST_DO_FAIL,             ERR_CONFIG,       "request_refused",   "the API sends us elsewhere without an address"},
};
/* clang-format on */

struct answer {
    int status;
    struct slice envelope;
    const char *retry_after, *date;
};

static int matches(struct fetcher *f, const struct rest_rule *rule, const struct answer *a,
                   const struct scopes *s, struct arena *mem, bool *out, struct error *err)
{
    const char *header = NULL;
    struct rest_value v;
    bool listed = !rule->status;

    *out = false;
    for (const int *status = rule->status; status && *status; status++)
        listed |= *status == a->status;
    if (!listed || (rule->status_class && a->status / 100 != rule->status_class))
        return 0;
    if (rule->header) {
        struct path_step step = {PATH_KEY, NULL, 0};
        struct path p = {rule->header, &step, 1};
        char *lower = arena_strdup(mem, rule->header);

        for (char *c = lower; *c; c++)
            *c = (char)(*c >= 'A' && *c <= 'Z' ? *c + ('a' - 'A') : *c);
        step.key = lower;
        if (path_find(&p, s->json[SCOPE_header], mem, &v, err) < 0)
            return -1;
        header = v.kind == VALUE_STRING ? rest_value_text(&v, mem) : NULL;
        if (!header || (rule->header_equals && strcmp(header, rule->header_equals) != 0))
            return 0;
    }
    (void)f;
    *out = true;
    return rule->body ? condition_holds(rule->body, s, mem, out, err) : 0;
}

/* Seconds, a date, or the second itself: no server asks to wait for thirty years. */
static bool wait_ms_of(const char *text, const struct answer *a, int64_t *out)
{
    int64_t number, now = clock_unix_us();

    if (text_to_int64(text, strlen(text), &number) && number >= EPOCH_FROM) {
        *out = number * 1000 - now / 1000;
        *out = *out > 0 ? *out : 0;
        return true;
    }
    return retry_after_ms(text, a->date, now, out);
}

/* What a rule says about waiting: a header, a path, a time of its own, the server's Retry-After. */
static int64_t wait_of(const struct rest_rule *rule, const struct answer *a, const struct scopes *s,
                       struct arena *mem)
{
    struct error ignored = ERROR_INIT;
    struct rest_value v;
    int64_t ms;

    if (rule && rule->wait_header) {
        struct path_step step = {PATH_KEY, rule->wait_header, 0};
        struct path p = {rule->wait_header, &step, 1};

        if (path_find(&p, s->json[SCOPE_header], mem, &v, &ignored) == 0 &&
            v.kind == VALUE_STRING && wait_ms_of(rest_value_text(&v, mem), a, &ms))
            return ms;
    }
    if (rule && rule->has_wait_path &&
        path_find(&rule->wait_path, a->envelope, mem, &v, &ignored) == 0 &&
        (v.kind == VALUE_NUMBER || v.kind == VALUE_STRING) &&
        wait_ms_of(rest_value_text(&v, mem), a, &ms))
        return ms;
    if (rule && rule->wait_ms)
        return rule->wait_ms;
    if (a->retry_after && retry_after_ms(a->retry_after, a->date, clock_unix_us(), &ms))
        return ms;
    return -1;
}

static void decide_built_in(const struct answer *a, struct decision *out)
{
    out->page = a->status >= 200 && a->status < 300;
    if (out->page)
        return;
    for (size_t i = 0; i < sizeof built_in / sizeof built_in[0]; i++) {
        if (a->status < built_in[i].from || a->status > built_in[i].to)
            continue;
        out->action = built_in[i].action;
        out->as = built_in[i].as;
        out->reason = built_in[i].reason;
        out->message = built_in[i].message;
        break;
    }
    /* Many APIs say 403 when they mean 429. */
    if (a->status == 403 && a->retry_after) {
        out->action = REST_DO_RATE_LIMITED;
        out->as = ERR_RATE_LIMITED;
        out->reason = "rate_limited";
    }
}

/* What the rule says about the answer; secrets that the API gives back are masked. */
static const char *message_of(struct fetcher *f, const struct rest_rule *rule,
                              const struct scopes *s, struct arena *mem)
{
    struct error ignored = ERROR_INIT;
    const char *text = NULL;

    if (rule->message && render_text(f, rule->message, s, mem, &text, &ignored) == 0 && text)
        return mask_text(f, mem, text);
    return "an error rule of the document applies";
}

static int decide_by(struct fetcher *f, const struct rest_rules *rules, const struct answer *a,
                     const struct scopes *s, struct arena *mem, struct decision *out,
                     bool *out_found, struct error *err)
{
    for (size_t i = 0; i < rules->n; i++) {
        const struct rest_rule *rule = &rules->items[i];

        if (matches(f, rule, a, s, mem, out_found, err) < 0)
            return -1;
        if (!*out_found)
            continue;
        *out = (struct decision){
            .action = rule->action,
            .as = rule->action == REST_DO_FAIL           ? rule->as
                  : rule->action == REST_DO_RATE_LIMITED ? ERR_RATE_LIMITED
                  : rule->action == REST_DO_REFRESH_AUTH ? ERR_UNAUTHORIZED
                                                         : ERR_TRANSIENT,
            .message = message_of(f, rule, s, mem),
            .reason = rule->action == REST_DO_REFRESH_AUTH ? "auth_failed" : NULL,
            .wait_ms = wait_of(rule, a, s, mem),
        };
        return 0;
    }
    return 0;
}

int rules_decide(struct fetcher *f, const struct rest_stream *stream, int status,
                 struct slice envelope, const char *retry_after, const char *date,
                 struct arena *mem, struct decision *out, struct error *err)
{
    const struct answer a = {status, envelope, retry_after, date};
    struct scopes s = f->base;
    bool found = false;

    *out = (struct decision){.wait_ms = -1};
    s.json[SCOPE_body] = envelope;
    s.json[SCOPE_header] = (struct slice){buf_str(&f->headers), f->headers.len};
    if (decide_by(f, &stream->errors, &a, &s, mem, out, &found, err) < 0)
        return -1;
    if (!found && decide_by(f, &f->doc->client.errors, &a, &s, mem, out, &found, err) < 0)
        return -1;
    if (found)
        return 0;
    decide_built_in(&a, out);
    out->wait_ms = wait_of(NULL, &a, &s, mem);
    if (status == 404 && stream->for_each.missing_is_empty)
        out->action = REST_DO_EMPTY;
    return 0;
}
