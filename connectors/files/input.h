/*
 * input.h - the bytes of one regular file, decompressed.
 *
 * Nothing but regular files is opened: a FIFO, a socket or a device is refused without waiting for
 * it. Symbolic links are followed only inside the folder. gzip may have several members and zstd
 * several frames; one that stops in the middle is an error, never a silent end. Memory is constant
 * whatever the ratio of compression. Not shared between threads.
 */
#ifndef CONNECTORS_FILES_INPUT_H
#define CONNECTORS_FILES_INPUT_H

#include <stdint.h>

#include "connectors/base/cancel.h"
#include "connectors/base/hash.h"
#include "connectors/files/settings.h"

#define INPUT_CHUNK_BYTES ((size_t)256 << 10)
#define INPUT_HEAD_BYTES  4096 /* of the beginning, as stored: tells a rewritten file */
/* A frame of zstd may ask for this much memory and no more (2^25 = 32 MiB). */
#define INPUT_ZSTD_WINDOW_LOG 25

struct input; /* opaque */

/* Opens `name` in the folder `dir`. FILES_AUTO lets the first bytes tell the compression. Every
 * read looks at `cancel`. */
CHECKED int input_open(int dir, const char *name, enum files_compression compression,
                       const struct cancel *cancel, struct input **out, struct error *err);
void input_close(struct input *in); /* accepts NULL */
DEFINE_CLEANUP(struct input *, input_close_cleanup, input_close);

/* At most `n` bytes of content; *out_n is 0 at the end only. Fails with DATA when the compressed
 * stream is damaged or incomplete. */
CHECKED int input_read(struct input *in, char *to, size_t n, size_t *out_n, struct error *err);

/* Passes over content: a plain file seeks, others are decompressed. Fails with RESYNC when the
 * content is shorter. From the beginning of the content only. */
CHECKED int input_skip_to(struct input *in, uint64_t offset, struct error *err);

const char *input_name(const struct input *in);
bool input_is_plain(const struct input *in);
int64_t input_size(const struct input *in);     /* as stored, when it was opened */
int64_t input_mtime_us(const struct input *in); /* likewise */
int64_t input_consumed(const struct input *in); /* stored bytes read so far */

/* The digest of the first `n` stored bytes, n <= INPUT_HEAD_BYTES; fewer when the file is
 * shorter. */
CHECKED int input_head(struct input *in, size_t n, char out[static HASH_HEX_BYTES],
                       struct error *err);

#endif
