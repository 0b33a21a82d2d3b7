/*
 * output.h - one file being written: invisible until it is whole and on the disk.
 *
 * Written as NAME.part with mode 0600, synced, and renamed to NAME, which must be new; the folder
 * is synced by who calls. A file that is discarded leaves nothing. Not shared between threads.
 */
#ifndef CONNECTORS_FILES_OUTPUT_H
#define CONNECTORS_FILES_OUTPUT_H

#include "connectors/base/hash.h"
#include "connectors/files/settings.h"

struct output; /* opaque */

/* In the folder `dir`, whose path is `folder` in messages. */
CHECKED int output_create(int dir, const char *folder, const char *name,
                          enum files_compression compression, struct output **out,
                          struct error *err);
CHECKED int output_write(struct output *o, const char *bytes, size_t n, struct error *err);
/* Makes it whole, durable and visible, and closes it. On failure nothing is left either. */
CHECKED int output_seal(struct output *o, int64_t *out_size, char sha256[static HASH_HEX_BYTES],
                        struct error *err);
void output_discard(struct output *o); /* accepts NULL */

/* A small file at once, replacing what has this name. */
CHECKED int output_replace(int dir, const char *folder, const char *name, const char *bytes,
                           size_t n, struct error *err);
/* A small file `name`, which must be new: written and synced, without a sync of the folder. */
CHECKED int output_put_new(int dir, const char *folder, const char *name, const char *bytes,
                           size_t n, struct error *err);

/* Makes the folders of `path` below `dir` that are missing, durably. */
CHECKED int output_make_folders(int dir, const char *folder, const char *path, struct error *err);
/* Opens a folder below `dir`; never through a link. */
CHECKED int output_open_folder(int dir, const char *folder, const char *path, int *out,
                               struct error *err);
CHECKED int output_sync_folder(int dir, const char *folder, struct error *err);

/* For CLEANUP on such a descriptor; -1 is none. */
void output_close_folder(int *fd);

#endif
