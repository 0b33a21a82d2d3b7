/*
 * The sections `errors` of a document, and the presets that stand for several rules.
 */
#include <string.h>

#include "connectors/base/docyaml.h"
#include "connectors/rest/document_internal.h"

static const char *const actions[] = {"retry", "rate_limited", "refresh_auth", "reset_pagination",
                                      "empty", "skip_slice",   "stop",         "fail",
                                      NULL};
/* clang-format off */
static const struct {
    const char *name;
    enum error_code code;
} fail_codes[] = {
    {"config",     ERR_CONFIG},    {"auth",      ERR_UNAUTHORIZED}, {"permission", ERR_PERMISSION},
    {"not_found",  ERR_NOT_FOUND}, {"transient", ERR_TRANSIENT},    {"data",       ERR_DATA},
    {"schema",     ERR_SCHEMA},    {"resync",    ERR_RESYNC},
};
/* clang-format on */

static void read_status(struct compile *c, const struct doc *status, const char *pointer,
                        struct rest_rule *out)
{
    size_t n = doc_is(status, DOC_ARRAY) ? doc_count(status) : 1;
    int *list = arena_array(c->mem, n + 1, sizeof *list);

    for (size_t i = 0; i < n; i++) {
        int64_t code = doc_int(doc_is(status, DOC_ARRAY) ? doc_at(status, i) : status, 0);

        if (code < 100 || code > 599)
            problems_add(c->problems, pointer, "out_of_range",
                         "a status or a list of them is expected, from 100 to 599");
        list[i] = (int)code;
    }
    list[n] = 0;
    out->status = list;
}

/* Members of a rule are read by hand: `do` and `class` are words that C keeps for itself. */
static void compile_when(struct compile *c, const struct doc *when, const char *pointer,
                         struct rest_rule *out)
{
    if (!doc_is(when, DOC_OBJECT) || doc_count(when) == 0) {
        problems_add(c->problems, pointer, "required", "\"when\" says which answers are meant");
        return;
    }
    for (const struct doc_member *it = doc_first(when); it; it = doc_next(when, it)) {
        const char *key = doc_member_key(it), *at = document_at(c, pointer, key);
        const struct doc *value = doc_member_value(it);
        const char *text = doc_string(value, NULL);

        if (strcmp(key, "status") == 0) {
            read_status(c, value, at, out);
        } else if (!text) {
            problems_add(c->problems, at, "wrong_type", "a string is expected");
        } else if (strcmp(key, "class") == 0 && text[0] >= '1' && text[0] <= '5' &&
                   strcmp(text + 1, "xx") == 0) {
            out->status_class = text[0] - '0';
        } else if (strcmp(key, "header") == 0) {
            out->header = document_text(c, text);
        } else if (strcmp(key, "eq") == 0) {
            out->header_equals = document_text(c, text);
        } else if (strcmp(key, "body") == 0) {
            out->body = document_condition(c, text, SCOPES_ANSWER, at);
        } else {
            problems_add(c->problems, at, "unknown_field",
                         "\"status\", \"class\" (as in 5xx), \"header\", \"eq\" and \"body\" are "
                         "known here");
        }
    }
}

static void compile_rule(struct compile *c, const struct doc *rule, const char *pointer,
                         struct rest_rule *out)
{
    const char *does = doc_string(doc_get(rule, "do"), NULL);
    const char *as = doc_string(doc_get(rule, "as"), "config");
    bool known = false;

    *out = (struct rest_rule){.as = ERR_CONFIG};
    for (const struct doc_member *it = doc_first(rule); it; it = doc_next(rule, it)) {
        static const char *const names[] = {"when", "do",          "as",        "message",
                                            "wait", "wait_header", "wait_path", NULL};
        bool found = false;

        for (size_t i = 0; names[i]; i++)
            found |= strcmp(names[i], doc_member_key(it)) == 0;
        if (!found)
            problems_add(c->problems, document_at(c, pointer, doc_member_key(it)), "unknown_field",
                         "an error rule has no such member");
    }
    compile_when(c, doc_get(rule, "when"), document_at(c, pointer, "when"), out);
    for (int i = 0; actions[i]; i++) {
        if (does && strcmp(does, actions[i]) == 0) {
            out->action = (enum rest_do)i;
            known = true;
        }
    }
    if (!known)
        problems_add(c->problems, document_at(c, pointer, "do"), does ? "not_allowed" : "required",
                     "one of retry, rate_limited, refresh_auth, reset_pagination, empty, "
                     "skip_slice, stop, fail is expected");
    known = false;
    for (size_t i = 0; i < sizeof fail_codes / sizeof fail_codes[0]; i++) {
        if (strcmp(as, fail_codes[i].name) == 0) {
            out->as = fail_codes[i].code;
            known = true;
        }
    }
    if (!known)
        problems_add(c->problems, document_at(c, pointer, "as"), "not_allowed",
                     "there is no class of errors \"%s\"", as);
    out->message = document_template(c, doc_get(rule, "message"), SCOPES_ANSWER,
                                     document_at(c, pointer, "message"));
    out->wait_header = document_text(c, doc_string(doc_get(rule, "wait_header"), NULL));
    out->wait_ms = document_duration_ms(c, doc_string(doc_get(rule, "wait"), NULL),
                                        document_at(c, pointer, "wait"));
    out->has_wait_path = document_path(c, doc_string(doc_get(rule, "wait_path"), NULL), false,
                                       document_at(c, pointer, "wait_path"), &out->wait_path);
}

/* Rules that a word stands for: what everybody who speaks of such an API would have to write. */
static const struct {
    const char *name, *rules;
} presets[] = {
    {"slack",
     "[{'when': {'body': 'body.error == \"ratelimited\"'}, 'do': 'rate_limited', 'wait_header': "
     "'retry-after', 'wait': '30s'},"
     " {'when': {'body': 'body.error in [\"invalid_auth\", \"not_authed\", \"account_inactive\", "
     "\"token_revoked\", \"token_expired\"]'},"
     "  'do': 'refresh_auth', 'message': '{{ body.error }}'},"
     " {'when': {'body': 'body.error in [\"missing_scope\", \"no_permission\", \"access_denied\", "
     "\"not_allowed_token_type\"]'},"
     "  'do': 'fail', 'as': 'permission', 'message': '{{ body.error }} {{ body.needed | "
     "default:\"\" }}'},"
     " {'when': {'body': 'body.error in [\"internal_error\", \"fatal_error\", "
     "\"service_unavailable\", \"request_timeout\"]'}, 'do': 'retry', 'message': '{{ body.error "
     "}}'},"
     " {'when': {'body': 'body.ok == false'}, 'do': 'fail', 'as': 'data',"
     "  'message': '{{ body.error | default:\"no reason given\" }}'}]"},
    {"graphql",
     "[{'when': {'body': 'body.errors[0].extensions.code == \"THROTTLED\"'}, 'do': 'rate_limited'},"
     " {'when': {'body': 'body.errors[0] exists'}, 'do': 'fail', 'as': 'data',"
     "  'message': '{{ body.errors[0].message | default:\"no reason given\" }}'}]"},
};

static const char *preset_of(const struct doc *item)
{
    for (size_t i = 0; i < sizeof presets / sizeof presets[0]; i++) {
        if (strcmp(presets[i].name, doc_string(item, "")) == 0)
            return presets[i].rules;
    }
    return NULL;
}

/* The list with every word replaced by what it stands for. */
static struct doc *expanded(struct compile *c, const struct doc *list, const char *pointer)
{
    struct doc *out = doc_new_array();

    for (size_t i = 0; i < doc_count(list); i++) {
        CLEANUP(doc_free_cleanup) struct doc *rules = NULL;
        const struct doc *item = doc_at(list, i);
        const char *text = preset_of(item);
        struct error ignored = ERROR_INIT;

        if (doc_is(item, DOC_STRING) && !text)
            problems_add(c->problems, arena_printf(c->mem, "%s/%zu", pointer, i), "not_allowed",
                         "slack and graphql are the rules that have a name");
        if (text && doc_parse_yaml(text, strlen(text), &rules, &ignored) == 0) {
            for (size_t k = 0; k < doc_count(rules); k++)
                doc_append(out, doc_copy(doc_at(rules, k)));
        } else if (!doc_is(item, DOC_STRING)) {
            doc_append(out, doc_copy(item));
        }
    }
    return out;
}

struct rest_rules document_rules(struct compile *c, const struct doc *list, const char *pointer)
{
    CLEANUP(doc_free_cleanup) struct doc *whole = NULL;
    struct rest_rules out = {0};
    struct rest_rule *rules;

    if (!list)
        return out;
    if (!doc_is(list, DOC_ARRAY)) {
        problems_add(c->problems, pointer, "wrong_type", "a list of rules is expected");
        return out;
    }
    whole = expanded(c, list, pointer);
    list = whole;
    out.n = doc_count(list);
    rules = arena_array(c->mem, out.n + 1, sizeof *rules);
    for (size_t i = 0; i < out.n; i++)
        compile_rule(c, doc_at(list, i), arena_printf(c->mem, "%s/%zu", pointer, i), &rules[i]);
    out.items = rules;
    return out;
}
