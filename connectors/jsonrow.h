/*
 * jsonrow.h - JSON objects as rows of a batch: members become cells, numbers keep every digit.
 *
 * A column whose type was guessed takes only what the guess would have seen; a type the user
 * declared takes everything that can be read as it; what does not fit becomes an odd cell. Members
 * nobody knew go where `bind` says. Not shared between threads.
 */
#ifndef CONNECTORS_JSONROW_H
#define CONNECTORS_JSONROW_H

#include "connectors/base/jsonread.h"
#include "connectors/bind.h"

enum jsonrow_outcome {
    JSONROW_PUT,
    JSONROW_WIDENED, /* nothing was put: hand the batch on, give it bind->schema, come again */
    JSONROW_BAD,     /* this is no record, *why says how; the row is still open: drop it */
};

struct jsonrow {
    struct bind *bind;
    const size_t *required; /* columns that every record has, be it as null; borrowed */
    size_t n_required;
    const bool *base16; /* per column: its bytes are hexadecimal and not base64; borrowed */
    size_t n_base16;
    bool closed; /* a record with a member that bind->declared_type does not know is bad */
    /* Private: */
    struct jsonread json;
    struct buf text;
    uint64_t n_records; /* read so far */
    uint64_t *seen;     /* per column the record that last had it */
    size_t n_seen;
    long *guess; /* the columns of the last record in its order: the next one looks alike */
    size_t n_guess;
};

void jsonrow_init(struct jsonrow *r, struct bind *bind); /* `bind` is borrowed */
void jsonrow_release(struct jsonrow *r);

/* Puts one record as the next row of `rows`, whose schema is bind->schema. Fails only when the
 * stream must stop: a new member of a stream whose schema is frozen. */
CHECKED int jsonrow_put(struct jsonrow *r, struct slice record, struct batch *rows,
                        enum jsonrow_outcome *out, struct error *why, struct error *err);

/* The type of a JSON value that is not null, from its token. */
struct column_type jsonrow_type(enum jsonread_token token, const struct jsonread *json,
                                struct slice raw);

#endif
