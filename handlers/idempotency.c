#include "handlers/idempotency.h"

#include <inttypes.h>
#include <string.h>

#include "connectors/base/hash.h"
#include "connectors/base/jsonwrite.h"

#define KEY_MAX 255

static bool is_key(const char *s)
{
    size_t n = strlen(s);

    for (size_t i = 0; i < n; i++) {
        if (s[i] <= ' ' || s[i] > '~')
            return false;
    }
    return n >= 1 && n <= KEY_MAX;
}

static void fingerprint(const struct request *req, char out[static HASH_HEX_BYTES])
{
    const char *target = request_target(req);
    struct hash_stream *h = hash_new();
    size_t n = 0;
    const char *body = request_body(req, &n);

    hash_update(h, request_method(req), strlen(request_method(req)) + 1);
    hash_update(h, target, strlen(target) + 1);
    hash_update(h, body, n);
    hash_hex(h, out);
    hash_free(h);
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
    fingerprint(req, print);
    replayed = store_idempotency_begin(app->store, key, print, request_mem(req), out_answer, err);
    if (replayed == 0)
        *out = (struct idempotency){app->store, arena_strdup(request_mem(req), key)};
    return replayed;
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

void idempotency_end(struct idempotency *i, const struct created *created, const char *body)
{
    CLEANUP(buf_release) struct buf headers = BUF_INIT(8 << 10);
    struct jsonw w = JSONW_INIT(&headers);
    struct error ignored = ERROR_INIT;
    struct stored_answer answer = {.status = created->status, .body = body};

    if (!i->key)
        return;
    jsonw_object(&w);
    jsonw_put_string(&w, "location", created->location);
    jsonw_put_int(&w, "revision", created->revision);
    jsonw_put_int(&w, "run", created->run);
    jsonw_object_end(&w);
    answer.headers = buf_str(&headers);
    /* The effect is there and the caller is told so; a key that cannot be kept is given up. */
    if (store_idempotency_end(i->store, i->key, &answer, &ignored) < 0)
        idempotency_abandon(i);
    i->key = NULL;
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
