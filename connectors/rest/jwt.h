/*
 * jwt.h - signed assertions: who we are, by a private key (RFC 7519, RFC 7523, RS256).
 */
#ifndef CONNECTORS_REST_JWT_H
#define CONNECTORS_REST_JWT_H

#include <stdint.h>

#include "connectors/base/arena.h"
#include "connectors/base/error.h"

struct jwt_claims {
    const char *issuer, *subject, *audience;
    const char *key_id;        /* NULL = not told */
    int64_t issued_s, valid_s; /* since 1970, and for how long */
};

/* Signs with an RSA key in PEM. CONFIG "bad_private_key" when it is none; the key is in no message.
 * Memory of `mem`. */
CHECKED int jwt_sign(const struct jwt_claims *claims, const char *private_key, struct arena *mem,
                     const char **out, struct error *err);

#endif
