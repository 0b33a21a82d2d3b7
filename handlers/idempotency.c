#include "handlers/idempotency.h"

#include <inttypes.h>
#include <string.h>

#include "connectors/base/failpoint.h"
#include "connectors/base/hash.h"
#include "connectors/base/jsonwrite.h"
#include "connectors/base/text.h"
#include "handlers/encode.h"

#define KEY_MAX    255
#define MAX_ANSWER ((size_t)16 << 20)

static bool is_key(const char *s)
{
    size_t n = strlen(s);

    for (size_t i = 0; i < n; i++) {
        if (s[i] <= ' ' || s[i] > '~')
            return false;
    }
    return n >= 1 && n <= KEY_MAX;
}

/* Under the pepper: a body may hold a password that is worth guessing. */
static void fingerprint(const struct app *app, const struct request *req,
                        char out[static HASH_HEX_BYTES])
{
    unsigned char digest[KEYRING_HASH_BYTES];
    const char *target = request_target(req);
    struct hash_stream *h = hash_new();
    size_t n = 0;
    const char *body = request_body(req, &n);

    hash_update(h, request_method(req), strlen(request_method(req)) + 1);
    hash_update(h, target, strlen(target) + 1);
    hash_update(h, body, n);
    hash_hex(h, out);
    hash_free(h);
    if (!app->vault.ring)
        return;
    keyring_digest(app->vault.ring, "idempotency", out, strlen(out), digest);
    text_hex(digest, sizeof digest, out);
}

static const char *headers_text(struct arena *mem, const struct created *c)
{
    CLEANUP(buf_release) struct buf headers = BUF_INIT((size_t)8 << 10);
    struct jsonw w = JSONW_INIT(&headers);

    jsonw_object(&w);
    jsonw_put_string(&w, "location", c->location);
    jsonw_put_int(&w, "revision", c->revision);
    jsonw_put_int(&w, "run", c->run);
    jsonw_object_end(&w);
    return arena_strdup(mem, buf_str(&headers));
}

void created_answer(struct response *res, const struct created *c)
{
    res->status = c->status;
    if (c->location)
        response_header(res, "Location", "%s", c->location);
    if (c->revision)
        response_etag(res, c->revision);
    if (c->run)
        response_header(res, "Run-Id", "%" PRId64, c->run);
}

void idempotency_abandon(struct idempotency *i)
{
    struct error ignored = ERROR_INIT;
    int kept; /* a key that cannot be freed now is free after the next start */

    if (!i->key)
        return;
    kept = store_idempotency_abandon(i->store, i->key, &ignored);
    (void)kept;
    i->key = NULL;
}

void idempotency_end(struct idempotency *i, const struct created *created, const char *body)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    struct error ignored = ERROR_INIT;
    struct stored_answer answer = {
        .status = created->status, .headers = headers_text(mem, created), .body = body};

    if (!i->key)
        return;
    /* The effect is there and the caller is told so; a key that cannot be kept is given up. */
    if (failpoint("before_answer_kept", &ignored) < 0 ||
        store_idempotency_end(i->store, i->key, &answer, &ignored) < 0)
        idempotency_abandon(i);
    i->key = NULL;
}

/* What was created under a key whose answer was lost in a crash, as the answer to it. */
static int effect_of_run(struct store *store, const char *id, struct arena *mem, struct jsonw *w,
                         struct created *out, struct error *err)
{
    struct run_row run;
    int64_t number = 0;

    if (!text_to_int64(id, strlen(id), &number))
        return error_set(err, ERR_INTERNAL, "a key has created a run called \"%s\"", id);
    if (store_get_run(store, number, mem, &run, err) < 0)
        return -1;
    out->location = arena_printf(mem, "/v1/runs/%" PRId64, number);
    out->run = number;
    return encode_run(w, &run, RUN_WHOLE, err);
}

static int effect_of_connection(struct store *store, const char *id, struct arena *mem,
                                struct jsonw *w, struct created *out, struct error *err)
{
    const struct delivery unknown = {0};
    struct connection c;

    if (store_get_connection(store, id, mem, &c, err) < 0)
        return -1;
    out->location = arena_printf(mem, "/v1/connections/%s", c.name);
    out->revision = c.revision;
    return encode_connection(w, &c, NULL, &unknown, err);
}

static int effect_of_resource(struct store *store, enum resource_kind kind, const char *id,
                              struct arena *mem, struct jsonw *w, struct created *out,
                              struct error *err)
{
    struct resource r;

    if (store_get_resource(store, kind, id, mem, &r, err) < 0)
        return -1;
    out->location = arena_printf(mem, "/v1/%ss/%s", connector_kind_name(kind), r.name);
    out->revision = r.revision;
    return encode_resource(store, mem, w, kind, &r, RESOURCE_WHOLE, err);
}

static int put_effect(struct store *store, const struct stored_answer *found, struct arena *mem,
                      struct jsonw *w, struct created *out, struct error *err)
{
    switch (found->effect) {
    case EFFECT_SOURCE:
        return effect_of_resource(store, RESOURCE_SOURCE, found->effect_id, mem, w, out, err);
    case EFFECT_DESTINATION:
        return effect_of_resource(store, RESOURCE_DESTINATION, found->effect_id, mem, w, out, err);
    case EFFECT_CONNECTION:
        return effect_of_connection(store, found->effect_id, mem, w, out, err);
    case EFFECT_RUN:
        return effect_of_run(store, found->effect_id, mem, w, out, err);
    case EFFECT_NONE:
        break;
    }
    return error_set(err, ERR_INTERNAL, "a key has created something of no kind");
}

/* The answer that the crash swallowed; it is stored for the next time. */
static int answer_effect(struct idempotency *i, struct arena *mem, struct stored_answer *io,
                         struct error *err)
{
    CLEANUP(buf_release) struct buf body = BUF_INIT(MAX_ANSWER);
    struct created created = {.status = 201};
    struct jsonw w = JSONW_INIT(&body);

    if (put_effect(i->store, io, mem, &w, &created, err) < 0)
        return error_wrap(err, "what the Idempotency-Key has created");
    io->status = created.status;
    io->headers = headers_text(mem, &created);
    io->body = arena_memdup(mem, buf_str(&body), body.len);
    idempotency_end(i, &created, io->body);
    return 1;
}

int idempotency_begin(const struct app *app, struct request *req, struct idempotency *out,
                      struct stored_answer *out_answer, struct error *err)
{
    const char *key = request_header(req, "Idempotency-Key");
    char print[HASH_HEX_BYTES];
    int replayed;

    *out = (struct idempotency){0};
    if (!key)
        return 0;
    if (!is_key(key))
        return error_set_reason(err, ERR_INVALID, "invalid_header",
                                "Idempotency-Key has 1 to %d visible ASCII characters", KEY_MAX);
    fingerprint(app, req, print);
    if (*request_token(req)) /* another caller's keys are his own */
        key = arena_printf(request_mem(req), "%s %s", request_token(req), key);
    else
        key = arena_strdup(request_mem(req), key);
    replayed = store_idempotency_begin(app->store, key, print, request_mem(req), out_answer, err);
    if (replayed == 0 || replayed == 2)
        *out = (struct idempotency){app->store, key};
    return replayed == 2 ? answer_effect(out, request_mem(req), out_answer, err) : replayed;
}

int idempotency_replay(struct response *res, const struct stored_answer *answer, int64_t *out_run,
                       struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *headers = NULL;
    struct created created;

    if (doc_parse_trusted(answer->headers, strlen(answer->headers), &headers, err) < 0)
        return error_wrap(err, "a stored answer");
    created = (struct created){
        .status = (int)answer->status,
        .location = doc_string(doc_get(headers, "location"), NULL),
        .revision = doc_int(doc_get(headers, "revision"), 0),
        .run = doc_int(doc_get(headers, "run"), 0),
    };
    created_answer(res, &created);
    response_header(res, "Idempotency-Replayed", "true");
    buf_puts(&res->body, answer->body);
    *out_run = created.run;
    return 0;
}
