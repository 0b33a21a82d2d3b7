/*
 * references.h - secrets that live elsewhere: "${env:NAME}" and "${file:/path}".
 *
 * A configuration may name a variable of the environment or a file instead of holding a secret, but
 * only those the operator has listed. A reference is a whole value: inside a longer text it is
 * text. Variables are read when the service starts, files whenever a run needs them. Const, safe
 * from any thread.
 */
#ifndef SERVER_SECRETS_REFERENCES_H
#define SERVER_SECRETS_REFERENCES_H

#include <stdbool.h>
#include <stddef.h>

#include "connectors/base/arena.h"
#include "connectors/base/error.h"
#include "connectors/base/problem.h"

#define REFERENCE_MAX_BYTES ((size_t)64 << 10) /* of what a reference stands for */
#define SECRET_MIN_BYTES    6                  /* shorter secrets could not be kept out of logs */

struct references; /* opaque; lives in the arena it was made in */

/*
 * `names` are "env:NAME" and "file:/path"; anything else is a problem at `pointer`. `lookup` gives
 * the value of a variable, or NULL.
 */
const struct references *references_new(struct arena *mem, const char *const *names, size_t n,
                                        const char *(*lookup)(const char *name),
                                        const char *pointer, struct problems *problems);

/* Does the text have the form of a reference? */
bool reference_is(const char *text);
/* May it be used? NULL references allow none. */
bool references_allow(const struct references *refs, const char *text);
/* What the reference stands for, without a final newline. Fails with CONFIG
 * "unresolved_reference"; the message names the reference, never the value. */
__attribute__((nonnull(2, 3, 4, 5), warn_unused_result)) int
references_resolve(const struct references *refs, const char *text, struct arena *mem,
                   const char **out, struct error *err);

#endif
