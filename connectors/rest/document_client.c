/*
 * The sections `client`, `auth` and `rate_limit` of a document.
 */
#include <string.h>

#include "connectors/base/text.h"
#include "connectors/rest/document_internal.h"

/* ----------------------------------------------------------------------- auth */

static const char *const auth_types[] = {"none",   "bearer",  "api_key", "basic",
                                         "oauth2", "session", NULL};
static const char *const places[] = {"header", "query", "cookie", "body", "path", NULL};
static const char *const auth_places[] = {"header", "query", "cookie", NULL};
static const char *const grants[] = {"client_credentials", "refresh_token", "password",
                                     "jwt_bearer", NULL};
static const char *const client_auths[] = {"body", "basic", NULL};
static const char *const expires_units[] = {"s", "iso", "epoch", NULL};

struct raw_auth {
    const char *type, *in, *prefix, *grant, *client_auth, *token_path, *expires_path, *expires_unit,
        *early, *ttl, *rotate;
    const struct doc *token, *name, *value, *username, *password, *token_url, *client_id,
        *client_secret, *scope, *audience, *refresh_token, *private_key, *key_id, *extra, *request,
        *send;
};
struct raw_send {
    const char *in, *name, *prefix;
};

#define ANY .check = document_any, .schema = "{}"
/* clang-format off */
static const char *const rotations[] = {"auto", NULL};
static const struct option auth_table[] = {
    OPTION(struct raw_auth, type, .title = "Type", .help = "Kind of identity.", .flags = OPTION_REQUIRED, .choices = auth_types),
    OPTION(struct raw_auth, token, .title = "Token", .help = "bearer: the token.", ANY),
    OPTION(struct raw_auth, name, .title = "Name", .help = "api_key: of the header, parameter or cookie.", ANY),
    OPTION(struct raw_auth, value, .title = "Value", .help = "api_key: the key.", ANY),
    OPTION(struct raw_auth, in, .title = "Place", .help = "api_key: where it goes.", .def = "header", .choices = auth_places),
    OPTION(struct raw_auth, prefix, .title = "Prefix", .help = "What stands in front of the value."),
    OPTION(struct raw_auth, username, .title = "User", .help = "basic, oauth2 password.", ANY),
    OPTION(struct raw_auth, password, .title = "Password", .help = "basic, oauth2 password.", ANY),
    OPTION(struct raw_auth, grant, .title = "Grant", .help = "oauth2.", .def = "client_credentials", .choices = grants),
    OPTION(struct raw_auth, token_url, .title = "Token address", .help = "oauth2.", ANY),
    OPTION(struct raw_auth, client_id, .title = "Client", .help = "oauth2.", ANY),
    OPTION(struct raw_auth, client_secret, .title = "Client secret", .help = "oauth2.", ANY),
    OPTION(struct raw_auth, client_auth, .title = "Client identity", .help = "oauth2: where the client says who it is.", .def = "body", .choices = client_auths),
    OPTION(struct raw_auth, scope, .title = "Scope", .help = "oauth2.", ANY),
    OPTION(struct raw_auth, audience, .title = "Audience", .help = "oauth2.", ANY),
    OPTION(struct raw_auth, extra, .title = "Extra", .help = "oauth2: further members of the request."),
    OPTION(struct raw_auth, refresh_token, .title = "Refresh token", .help = "oauth2.", ANY),
    OPTION(struct raw_auth, private_key, .title = "Private key", .help = "oauth2 jwt_bearer: RSA, in PEM.", ANY),
    OPTION(struct raw_auth, key_id, .title = "Key id", .help = "oauth2 jwt_bearer: which key it is, where the API asks for that.", ANY),
    OPTION(struct raw_auth, rotate, .title = "Rotation", .help = "oauth2: a new refresh token is kept before it is used.", .def = "auto", .choices = rotations),
    OPTION(struct raw_auth, token_path, .title = "Path of the token", .help = "oauth2, session.", .def = "access_token"),
    OPTION(struct raw_auth, expires_path, .title = "Path of the end", .help = "oauth2.", .def = "expires_in"),
    OPTION(struct raw_auth, expires_unit, .title = "Unit of the end", .help = "oauth2.", .def = "s", .choices = expires_units),
    OPTION(struct raw_auth, early, .title = "Early", .help = "How long before its end a token is renewed.", .def = "60s"),
    OPTION(struct raw_auth, request, .title = "Request", .help = "session: the request that answers with the token."),
    OPTION(struct raw_auth, ttl, .title = "Life", .help = "session: how long the token is good.", .def = "1h"),
    OPTION(struct raw_auth, send, .title = "Send", .help = "session: where the token goes."),
    OPTIONS_END,
};
static const struct option send_table[] = {
    OPTION(struct raw_send, in, .title = "Place", .help = "Where it goes.", .def = "header", .choices = auth_places),
    OPTION(struct raw_send, name, .title = "Name", .help = "Of the header, parameter or cookie.", .def = "Authorization"),
    OPTION(struct raw_send, prefix, .title = "Prefix", .help = "What stands in front.", .def = "Bearer "),
    OPTIONS_END,
};

/* What each type cannot do without. */
static const struct {
    enum rest_auth_type type;
    const char *member;
    size_t offset;
} needs[] = {
    {REST_AUTH_BEARER,  "token",     offsetof(struct raw_auth, token)},
    {REST_AUTH_API_KEY, "name",      offsetof(struct raw_auth, name)},
    {REST_AUTH_API_KEY, "value",     offsetof(struct raw_auth, value)},
    {REST_AUTH_BASIC,   "username",  offsetof(struct raw_auth, username)},
    {REST_AUTH_OAUTH2,  "token_url", offsetof(struct raw_auth, token_url)},
    {REST_AUTH_OAUTH2,  "client_id", offsetof(struct raw_auth, client_id)},
    {REST_AUTH_SESSION, "request",   offsetof(struct raw_auth, request)},
};
/* clang-format on */

static void check_needs(struct compile *c, const struct raw_auth *raw, enum rest_auth_type type,
                        const char *pointer)
{
    for (size_t i = 0; i < sizeof needs / sizeof needs[0]; i++) {
        const struct doc *there;

        memcpy(&there, (const char *)raw + needs[i].offset, sizeof there);
        if (needs[i].type == type && !there)
            problems_add(c->problems, document_at(c, pointer, needs[i].member), "required",
                         "\"%s\" is needed for this kind of identity", needs[i].member);
    }
}

static void check_grant(struct compile *c, const struct raw_auth *raw, const char *pointer)
{
    bool jwt = strcmp(raw->grant, "jwt_bearer") == 0;
    bool refresh = strcmp(raw->grant, "refresh_token") == 0;

    if ((jwt && !raw->private_key) || (refresh && !raw->refresh_token))
        problems_add(c->problems, document_at(c, pointer, jwt ? "private_key" : "refresh_token"),
                     "required", "it is needed for this grant");
}

static void compile_send(struct compile *c, const struct doc *object, const char *pointer,
                         struct rest_auth *out)
{
    struct raw_send raw = {0};
    struct doc *name;

    if (!options_decode(send_table, object, pointer, &raw, c->mem, c->problems))
        return;
    name = doc_new_string(raw.name);
    out->in = (enum rest_place)document_choice(raw.in, places);
    out->name = document_template(c, name, 0, pointer);
    out->prefix = document_text(c, raw.prefix);
    doc_free(name);
}

/* {{ secret.NAME }}: where a rotated refresh token has to be kept. */
static const char *secret_name(struct compile *c, const struct doc *value)
{
    const char *at = strstr(doc_string(value, ""), "secret.");
    size_t n;

    if (!at)
        return NULL;
    at += strlen("secret.");
    n = strcspn(at, " |}");
    return arena_memdup(c->mem, at, n);
}

static void compile_auth(struct compile *c, const struct doc *object, const char *pointer,
                         struct rest_auth *out)
{
    struct raw_auth raw = {0};

    *out = (struct rest_auth){.prefix = ""};
    if (!object || !options_decode(auth_table, object, pointer, &raw, c->mem, c->problems))
        return;
    out->type = (enum rest_auth_type)document_choice(raw.type, auth_types);
    check_needs(c, &raw, out->type, pointer);
    check_grant(c, &raw, pointer);
    out->in = (enum rest_place)document_choice(raw.in, places);
    out->prefix = document_text(c, raw.prefix ? raw.prefix : "");
#define TEMPLATE(member) \
    out->member = document_template(c, raw.member, SCOPES_CONFIG, document_at(c, pointer, #member))
    TEMPLATE(token);
    TEMPLATE(name);
    TEMPLATE(value);
    TEMPLATE(username);
    TEMPLATE(password);
    TEMPLATE(token_url);
    TEMPLATE(client_id);
    TEMPLATE(client_secret);
    TEMPLATE(scope);
    TEMPLATE(audience);
    TEMPLATE(refresh_token);
    TEMPLATE(private_key);
    TEMPLATE(key_id);
#undef TEMPLATE
    out->refresh_secret = secret_name(c, raw.refresh_token);
    out->grant = (enum rest_grant)document_choice(raw.grant, grants);
    out->client_basic = strcmp(raw.client_auth, "basic") == 0;
    out->extra = document_pairs(c, raw.extra, SCOPES_CONFIG, document_at(c, pointer, "extra"));
    document_path(c, raw.token_path, false, document_at(c, pointer, "token_path"),
                  &out->token_path);
    document_path(c, raw.expires_path, false, document_at(c, pointer, "expires_path"),
                  &out->expires_path);
    out->expires_unit = (enum rest_expires)document_choice(raw.expires_unit, expires_units);
    out->early_ms = document_duration_ms(c, raw.early, document_at(c, pointer, "early"));
    out->ttl_ms = document_duration_ms(c, raw.ttl, document_at(c, pointer, "ttl"));
    if (raw.request)
        document_request(c, raw.request, document_at(c, pointer, "request"), &out->request);
    if (out->type == REST_AUTH_SESSION)
        compile_send(c, raw.send, document_at(c, pointer, "send"), out);
}

/* ----------------------------------------------------------------- rate limits */

static const char *const resets[] = {"seconds", "epoch", "iso", NULL};
struct raw_limit {
    int64_t requests, burst, cost, min_remaining;
    const char *per, *remaining_header, *limit_header, *reset_header, *reset, *used_limit_header;
    const struct doc *match;
};
struct raw_match {
    const char *path, *path_regex, *method;
};
/* clang-format off */
static const struct option limit_table[] = {
    OPTION(struct raw_limit, requests, .title = "Requests", .help = "So many per period; 0 = what the server says.", .def = "0", .min = 0, .max = 1000000),
    OPTION(struct raw_limit, per, .title = "Period", .help = "A duration.", .def = "1s"),
    OPTION(struct raw_limit, burst, .title = "Burst", .help = "At once; 0 = all of a period.", .def = "0", .min = 0, .max = 1000000),
    OPTION(struct raw_limit, cost, .title = "Cost", .help = "Of one request.", .def = "1", .min = 1, .max = 1000000),
    OPTION(struct raw_limit, min_remaining, .title = "Left for others", .help = "Requests that are never used up.", .def = "1", .min = 0, .max = 1000000),
    OPTION(struct raw_limit, remaining_header, .title = "Header of the rest", .help = "Says how many are left."),
    OPTION(struct raw_limit, limit_header, .title = "Header of the limit", .help = "Says how many there are."),
    OPTION(struct raw_limit, reset_header, .title = "Header of the reset", .help = "Says when there are new ones."),
    OPTION(struct raw_limit, reset, .title = "Form of the reset", .help = "What that header holds.", .def = "seconds", .choices = resets),
    OPTION(struct raw_limit, used_limit_header, .title = "Header of use and limit", .help = "Holds both, as in 32/40."),
    OPTION(struct raw_limit, match, .title = "Which requests", .help = "Prefix of the path, method."),
    OPTIONS_END,
};
static const struct option match_table[] = {
    OPTION(struct raw_match, path, .title = "Path", .help = "Prefix of the path."),
    OPTION(struct raw_match, path_regex, .title = "Expression", .help = "Found anywhere in the path."),
    OPTION(struct raw_match, method, .title = "Method", .help = "GET or POST."),
    OPTIONS_END,
};
/* clang-format on */

static const struct pattern *compile_regex(struct compile *c, const char *text, const char *pointer)
{
    const struct pattern *out = NULL;
    const char *why = text ? pattern_compile(c->mem, text, &out) : NULL;

    if (why)
        problems_add(c->problems, pointer, "bad_pattern", "\"%s\": %s", text, why);
    return why ? NULL : out;
}

static void compile_limit(struct compile *c, const struct doc *object, const char *pointer,
                          struct rest_limit *out)
{
    struct raw_limit raw = {0};
    struct raw_match match = {0};

    *out = (struct rest_limit){.per_ms = 1000};
    if (!options_decode(limit_table, object, pointer, &raw, c->mem, c->problems))
        return;
    if (raw.match && !options_decode(match_table, raw.match, document_at(c, pointer, "match"),
                                     &match, c->mem, c->problems))
        return;
    *out = (struct rest_limit){
        .requests = raw.requests,
        .per_ms = document_duration_ms(c, raw.per, document_at(c, pointer, "per")),
        .burst = raw.burst ? raw.burst : raw.requests,
        .cost = raw.cost,
        .min_remaining = raw.min_remaining,
        .remaining_header = document_text(c, raw.remaining_header),
        .limit_header = document_text(c, raw.limit_header),
        .reset_header = document_text(c, raw.reset_header),
        .used_limit_header = document_text(c, raw.used_limit_header),
        .reset = (enum rest_reset)document_choice(raw.reset, resets),
        .match_path = document_text(c, match.path),
        .match_method = document_text(c, match.method),
        .match_regex = compile_regex(
            c, match.path_regex, document_at(c, document_at(c, pointer, "match"), "path_regex")),
    };
}

static void compile_limits(struct compile *c, const struct doc *value, const char *pointer,
                           struct rest_client *out)
{
    bool list = doc_is(value, DOC_ARRAY);
    size_t n = !value ? 0 : list ? doc_count(value) : 1;
    struct rest_limit *limits = arena_array(c->mem, n + 1, sizeof *limits);

    for (size_t i = 0; i < n; i++)
        compile_limit(c, list ? doc_at(value, i) : value,
                      list ? arena_printf(c->mem, "%s/%zu", pointer, i) : pointer, &limits[i]);
    out->limits = limits;
    out->n_limits = n;
}

/* --------------------------------------------------------------------- client */

struct raw_client {
    const struct doc *base_url, *headers, *params, *auth, *tls, *timeout, *rate_limit, *retry,
        *errors;
    const struct doc *decoder;
    const char *accept, *proxy, *max_response;
    int64_t concurrency, redirects;
    struct string_list allowed_hosts;
};
struct raw_decoder {
    const struct doc *csv, *gzip, *zip;
};
struct raw_csv {
    const char *delimiter, *encoding;
    bool header;
    struct string_list null;
};
static const char *const encodings[] = {"utf-8", "latin-1", NULL};
struct raw_tls {
    bool verify;
    const struct doc *ca, *cert, *key;
};
struct raw_timeout {
    const char *connect, *idle, *total;
};
struct raw_retry {
    int64_t tries;
    const char *base, *cap, *max_wait;
};
/* clang-format off */
static const struct option client_table[] = {
    OPTION(struct raw_client, base_url, .title = "Address", .help = "Scheme, host and prefix of every request.", .flags = OPTION_REQUIRED, ANY),
    OPTION(struct raw_client, headers, .title = "Headers", .help = "Sent with each request."),
    OPTION(struct raw_client, params, .title = "Parameters", .help = "Sent with each request."),
    OPTION(struct raw_client, auth, .title = "Identity", .help = "How the API knows us."),
    OPTION(struct raw_client, accept, .title = "Accept", .help = "What is asked for.", .def = "application/json"),
    OPTION(struct raw_client, decoder, .title = "Decoder", .help = "json, ndjson, csv, or csv with delimiter, header, encoding and null; {gzip: ...} or {zip: ...} around one for answers that are packed files. Else the Content-Type of the answer tells, then accept.", ANY),
    OPTION(struct raw_client, tls, .title = "TLS", .help = "verify, ca, cert, key."),
    OPTION(struct raw_client, proxy, .title = "Proxy", .help = "Address of a proxy; none without it."),
    OPTION(struct raw_client, timeout, .title = "Time limits", .help = "connect, idle, total."),
    OPTION(struct raw_client, concurrency, .title = "Concurrency", .help = "Requests in flight.", .def = "2", .min = 1, .max = 64),
    OPTION(struct raw_client, rate_limit, .title = "Rate limit", .help = "One, or a list.", ANY),
    OPTION(struct raw_client, retry, .title = "Retries", .help = "tries, base, cap, max_wait."),
    OPTION(struct raw_client, errors, .title = "Errors", .help = "Rules, looked at before the built-in ones.", ANY),
    OPTION(struct raw_client, allowed_hosts, .title = "Allowed hosts", .help = "Besides the host of the address."),
    OPTION(struct raw_client, redirects, .title = "Redirects", .help = "Followed, one after the other, to allowed hosts only.", .def = "5", .min = 0, .max = 20),
    OPTION(struct raw_client, max_response, .title = "Largest answer", .help = "Unpacked.", .def = "4GiB"),
    OPTIONS_END,
};
static const struct option decoder_table[] = {
    OPTION(struct raw_decoder, csv, .title = "CSV", .help = "How it is written."),
    OPTION(struct raw_decoder, gzip, .title = "gzip", .help = "What is in the packed file.", ANY),
    OPTION(struct raw_decoder, zip, .title = "zip", .help = "What each packed file is.", ANY),
    OPTIONS_END,
};
static const struct option csv_table[] = {
    OPTION(struct raw_csv, delimiter, .title = "Delimiter", .help = "One ASCII character.", .def = ",", .min = 1, .max = 1),
    OPTION(struct raw_csv, header, .title = "Header", .help = "Whether the first line names the columns; else they are column1, column2 ...", .def = "true"),
    OPTION(struct raw_csv, encoding, .title = "Encoding", .help = "utf-8 or latin-1.", .def = "utf-8", .choices = encodings),
    OPTION(struct raw_csv, null, .title = "Words for null", .help = "Text without quotes that means null.", .def = "[\"\"]"),
    OPTIONS_END,
};
static const struct option tls_table[] = {
    OPTION(struct raw_tls, verify, .title = "Verify", .help = "Whether certificates are checked.", .def = "true"),
    OPTION(struct raw_tls, ca, .title = "Authorities", .help = "In PEM; those of the system without them.", ANY),
    OPTION(struct raw_tls, cert, .title = "Our certificate", .help = "In PEM, for servers that ask who we are.", ANY),
    OPTION(struct raw_tls, key, .title = "Its key", .help = "In PEM.", ANY),
    OPTIONS_END,
};
static const struct option timeout_table[] = {
    OPTION(struct raw_timeout, connect, .title = "Connect", .help = "A duration.", .def = "10s"),
    OPTION(struct raw_timeout, idle, .title = "Idle", .help = "Between two pieces of an answer.", .def = "60s"),
    OPTION(struct raw_timeout, total, .title = "Total", .help = "Of one answer, waiting alone counted.", .def = "10m"),
    OPTIONS_END,
};
static const struct option retry_table[] = {
    OPTION(struct raw_retry, tries, .title = "Tries", .help = "Of one request.", .def = "5", .min = 1, .max = 100),
    OPTION(struct raw_retry, base, .title = "First wait", .help = "Doubled each time.", .def = "500ms"),
    OPTION(struct raw_retry, cap, .title = "Longest wait", .help = "Between two tries.", .def = "60s"),
    OPTION(struct raw_retry, max_wait, .title = "Patience", .help = "The longest wait a server may ask for.", .def = "15m"),
    OPTIONS_END,
};
/* clang-format on */

static void compile_csv(struct compile *c, const struct doc *object, const char *pointer,
                        struct page_settings *out)
{
    struct raw_csv raw = {0};
    struct string_list *words = arena_alloc(c->mem, sizeof *words);

    if (!options_decode(csv_table, object, pointer, &raw, c->mem, c->problems))
        return;
    if (strchr("\r\n\"", raw.delimiter[0]) || (raw.delimiter[0] & 0x80))
        problems_add(c->problems, document_at(c, pointer, "delimiter"), "wrong_format",
                     "one ASCII character that is neither a quote nor a line break is expected");
    words->items = arena_array(c->mem, raw.null.n + 1, sizeof *words->items);
    for (; words->n < raw.null.n; words->n++)
        words->items[words->n] = document_text(c, raw.null.items[words->n]);
    out->delimiter = raw.delimiter[0];
    out->no_header = !raw.header;
    out->latin1 = strcmp(raw.encoding, "latin-1") == 0;
    out->null_words = words;
}

static void compile_format(struct compile *c, const struct doc *value, const char *pointer,
                           bool packed, struct page_settings *out)
{
    static const char *const formats[] = {"json", "ndjson", "csv", NULL}; /* enum page_format */
    const char *word = doc_string(value, NULL);
    struct raw_decoder raw = {0};

    if (word) {
        out->format = (enum page_format)document_choice(word, formats);
        if (strcmp(formats[out->format], word) != 0)
            problems_add(c->problems, pointer, "not_allowed", "json, ndjson or csv is expected");
        return;
    }
    if (!doc_is(value, DOC_OBJECT)) {
        problems_add(c->problems, pointer, "wrong_type",
                     "json, ndjson, csv or an object with csv%s is expected",
                     packed ? "" : ", gzip or zip");
        return;
    }
    if (!options_decode(decoder_table, value, pointer, &raw, c->mem, c->problems))
        return;
    if (!raw.csv + !raw.gzip + !raw.zip != 2 || (packed && !raw.csv)) {
        problems_add(c->problems, pointer, "not_allowed",
                     packed ? "either a word or csv is expected"
                            : "one of csv, gzip and zip is expected");
        return;
    }
    if (raw.csv) {
        out->format = PAGE_CSV;
        compile_csv(c, raw.csv, document_at(c, pointer, "csv"), out);
        return;
    }
    out->packing = raw.gzip ? PAGE_GZIP : PAGE_ZIP;
    compile_format(c, raw.gzip ? raw.gzip : raw.zip,
                   document_at(c, pointer, raw.gzip ? "gzip" : "zip"), true, out);
}

/* What answers are: as the document says, else as they say themselves, else as was asked for. */
static void compile_decoder(struct compile *c, const struct doc *value, const char *accept,
                            const char *pointer, struct page_settings *out)
{
    *out = (struct page_settings){.by_content_type = !value};
    if (value)
        compile_format(c, value, pointer, false, out);
    else
        out->format = accept && strstr(accept, "ndjson") ? PAGE_NDJSON
                      : accept && strstr(accept, "csv")  ? PAGE_CSV
                                                         : PAGE_JSON;
}

static void compile_limits_of_time(struct compile *c, const struct raw_client *raw,
                                   const char *pointer, struct rest_client *out)
{
    const char *at = document_at(c, pointer, "timeout"),
               *retry_at = document_at(c, pointer, "retry");
    struct raw_timeout time = {0};
    struct raw_retry retry = {0};
    struct raw_tls tls = {0};

    if (options_decode(timeout_table, raw->timeout, at, &time, c->mem, c->problems)) {
        out->connect_ms = document_duration_ms(c, time.connect, document_at(c, at, "connect"));
        out->idle_ms = document_duration_ms(c, time.idle, document_at(c, at, "idle"));
        out->total_ms = document_duration_ms(c, time.total, document_at(c, at, "total"));
    }
    if (options_decode(retry_table, raw->retry, retry_at, &retry, c->mem, c->problems)) {
        out->retry_tries = retry.tries;
        out->retry_base_ms = document_duration_ms(c, retry.base, document_at(c, retry_at, "base"));
        out->retry_cap_ms = document_duration_ms(c, retry.cap, document_at(c, retry_at, "cap"));
        out->retry_max_wait_ms =
            document_duration_ms(c, retry.max_wait, document_at(c, retry_at, "max_wait"));
    }
    if (options_decode(tls_table, raw->tls, document_at(c, pointer, "tls"), &tls, c->mem,
                       c->problems)) {
        const char *tls_at = document_at(c, pointer, "tls");

        out->insecure = !tls.verify;
        out->ca = document_template(c, tls.ca, SCOPES_CONFIG, document_at(c, tls_at, "ca"));
        out->cert = document_template(c, tls.cert, SCOPES_CONFIG, document_at(c, tls_at, "cert"));
        out->key = document_template(c, tls.key, SCOPES_CONFIG, document_at(c, tls_at, "key"));
        if (!out->cert != !out->key)
            problems_add(c->problems, document_at(c, tls_at, out->cert ? "key" : "cert"),
                         "required", "a certificate and its key belong together");
    }
}

void document_client(struct compile *c, const struct doc *object, const char *pointer,
                     struct rest_client *out)
{
    struct raw_client raw = {0};
    bool ok;

    *out = (struct rest_client){0};
    ok = options_decode(client_table, object, pointer, &raw, c->mem, c->problems);
    out->base_url = document_template(c, raw.base_url, SCOPES_CONFIG | SCOPE_BIT(token),
                                      document_at(c, pointer, "base_url"));
    out->headers =
        document_pairs(c, raw.headers, SCOPES_REQUEST, document_at(c, pointer, "headers"));
    out->params = document_pairs(c, raw.params, SCOPES_REQUEST, document_at(c, pointer, "params"));
    compile_auth(c, raw.auth, document_at(c, pointer, "auth"), &out->auth);
    compile_limits_of_time(c, &raw, pointer, out);
    compile_limits(c, raw.rate_limit, document_at(c, pointer, "rate_limit"), out);
    out->errors = document_rules(c, raw.errors, document_at(c, pointer, "errors"));
    compile_decoder(c, raw.decoder, raw.accept, document_at(c, pointer, "decoder"), &out->decoder);
    if (!ok)
        return; /* what was decoded is looked at all the same: all problems are told at once */
    out->accept = document_text(c, raw.accept);
    out->proxy = document_text(c, raw.proxy);
    out->concurrency = raw.concurrency;
    out->redirects = raw.redirects;
    out->allowed_hosts = document_list(c, &raw.allowed_hosts);
    if (!text_to_bytes(raw.max_response, &out->max_body))
        problems_add(c->problems, document_at(c, pointer, "max_response"), "wrong_format",
                     "a size such as 512MiB is expected");
    out->decoder.max_bytes = out->max_body;
}
