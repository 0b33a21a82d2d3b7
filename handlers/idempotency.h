/*
 * idempotency.h - Idempotency-Key: a POST that is sent again creates nothing twice.
 *
 * A key is bound to the method, target and body it was first sent with, and gives back the stored
 * answer for 24 hours. Only answers that had an effect are stored: a refused request may be
 * corrected and sent again with the same key. The key goes into the row that is created (member
 * idempotency_key), so that a crash before the answer was stored cannot make it happen twice.
 */
#ifndef HANDLERS_IDEMPOTENCY_H
#define HANDLERS_IDEMPOTENCY_H

#include "server/app.h"
#include "server/http/http.h"
#include "server/store/store.h"

struct idempotency {
    struct store *store;
    const char *key; /* NULL = none was sent, or it is settled */
};

/* What a creating POST answers besides its body. */
struct created {
    int status;
    const char *location;
    int64_t revision; /* becomes the ETag; 0 = none */
    int64_t run;      /* becomes Run-Id; 0 = none */
};

/* 0 = go on; 1 = *out_answer is what was answered the first time, or would have been. Fails with
 * "invalid_header", "idempotency_in_progress", "idempotency_key_reused". */
CHECKED int idempotency_begin(const struct app *app, struct request *req, struct idempotency *out,
                              struct stored_answer *out_answer, struct error *err);

/* Sets the status and headers of `created`. */
void created_answer(struct response *res, const struct created *created);

/* Remembers `created` and `body` for the key, as soon as the effect is there. */
void idempotency_end(struct idempotency *i, const struct created *created, const char *body);

/* Frees the key unless it was settled by idempotency_end: for every way out that had no effect. */
void idempotency_abandon(struct idempotency *i);

/* Puts a stored answer into `res`, marked Idempotency-Replayed; *out_run is its Run-Id or 0. */
CHECKED int idempotency_replay(struct response *res, const struct stored_answer *answer,
                               int64_t *out_run, struct error *err);

#endif
