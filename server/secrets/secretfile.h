/*
 * secretfile.h - small files with something secret in them: who may read them, and how they are
 * replaced.
 */
#ifndef SERVER_SECRETS_SECRETFILE_H
#define SERVER_SECRETS_SECRETFILE_H

#include "connectors/base/buf.h"

/*
 * Appends the content of a regular file; "-" is standard input. `what` it is for goes into
 * messages. Fails with NOT_FOUND when there is none, PERMISSION when it is readable by everybody,
 * CONFIG when it is no regular file, TOO_LARGE beyond the limit of `out`.
 */
CHECKED int secretfile_read(const char *path, const char *what, struct buf *out, struct error *err);

/* The same for a file that somebody else cares for, whoever may read it. */
CHECKED int secretfile_read_any(const char *path, const char *what, struct buf *out,
                                struct error *err);

/* Replaces or creates it with mode 0600; durable and whole, or not at all. */
CHECKED int secretfile_write(const char *path, const struct buf *text, struct error *err);

#endif
