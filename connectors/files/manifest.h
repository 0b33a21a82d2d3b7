/*
 * manifest.h - which files of a destination count: the numbered records of its commits.
 *
 * A stream has generations, a generation has manifests 0, 1, 2 ... in
 * _manifests/<stream>/<generation>/<number>.json. A manifest is created by link(2) and so exists as
 * a whole or not at all, and only one writer can create a number: that is the fence. The newest one
 * tells position, counters, and whether its generation is live; each names the digest of the one
 * before it. What no manifest names does not count.
 *
 * Layout below the folder of the destination:
 *   _manifests/<stream>/<generation>/<number>.json    commits
 *   _manifests/<stream>/live.json                     which generation is live, for readers:
 *                          {"generation":2,"directory":"0000000002","data":"g0000000002"}
 *   <stream>/g<generation>/<number>-<random>.<ext>    data
 *   <stream>/current -> g<generation>                 the same as live.json, as a link
 *   _connectord_quarantine/<stream>-<generation>-<number>-<random>.ndjson
 */
#ifndef CONNECTORS_FILES_MANIFEST_H
#define CONNECTORS_FILES_MANIFEST_H

#include "connectors/connector.h"

#define MANIFEST_FOLDER     "_manifests"
#define MANIFEST_QUARANTINE "_connectord_quarantine"
#define MANIFEST_MAX_BYTES  ((size_t)128 << 20)

struct manifest_file {
    const char *name; /* from the folder of the destination */
    int64_t size, rows;
    char sha256[65];
    bool quarantine;
};

struct manifest {
    const char *pipeline;
    int64_t generation, number;
    int64_t seq;   /* commits of this generation, without those that only fence */
    int64_t fence; /* grows whenever a writer takes over */
    bool live;     /* readers see this generation */
    bool abandoned;
    bool complete; /* the run `run_id` has read its source to the end */
    const char *run_id;
    const char *position; /* JSON text, NULL = none */
    struct counts counts; /* of the generation so far */
    struct manifest_file *files;
    size_t n_files;
    char previous[65]; /* digest of the one before, "" for the first */
    /* Only written: */
    const char *stream, *format, *compression;
    const struct schema *schema; /* NULL = none */
};

/* What a folder holds for one stream. Texts belong to the arena. */
struct manifest_state {
    bool exists;            /* there is at least one generation */
    struct manifest newest; /* the last manifest of the highest generation */
    char newest_digest[65];
    bool has_live;
    struct manifest live; /* the last manifest of the highest live generation */
};

/* The name of a stream as that of a folder: anything but letters, digits, '-', '_' and '.' is
 * written as %XX, names that could be ours or hidden too, long ones are cut and get a digest. */
const char *manifest_stream_folder(struct arena *mem, const char *namespace, const char *name);

/* Appends the text; parses it. Fails with DATA when it is none of ours. */
void manifest_write(const struct manifest *m, struct buf *out);
CHECKED int manifest_parse(const char *text, size_t n, struct arena *mem, struct manifest *out,
                           struct error *err);

/* Reads the state; `root` is the folder of the destination, `stream` the folder of the stream. */
CHECKED int manifest_find(int root, const char *stream, struct arena *mem,
                          struct manifest_state *out, struct error *err);
/* One manifest; 1 when there is none with this number. */
CHECKED int manifest_read(int root, const char *stream, int64_t generation, int64_t number,
                          struct arena *mem, struct manifest *out, struct error *err);

/* A manifest on its way: written and synced, not yet linked. */
struct manifest_draft {
    int dir;     /* of the generation; -1 = none */
    bool linked; /* it counts, even if what follows the link has failed */
    char temporary[32], name[32];
    char digest[65];
};

/* The folder of the generation must exist. */
CHECKED int manifest_prepare(int root, const char *stream, const struct manifest *m,
                             struct manifest_draft *out, struct error *err);
/* The commit itself. Fails with FENCED when the number is taken or the generation is gone. */
CHECKED int manifest_publish(struct manifest_draft *d, struct error *err);
void manifest_discard(struct manifest_draft *d);

/* Makes the folders of a generation, data and manifests. */
CHECKED int manifest_make_generation(int root, const char *stream, int64_t generation,
                                     struct error *err);
/* Points readers at a generation, unless they are pointed at it already. */
CHECKED int manifest_set_live(int root, const char *stream, int64_t generation, struct error *err);

/* Keeps others from pointing readers elsewhere meanwhile; -1 in *out where locks do not exist. The
 * lock ends when the descriptor is closed. Fails with CONTENTION after 5 s. */
CHECKED int manifest_lock(int root, const char *stream, const struct cancel *cancel, int *out,
                          struct error *err);

/* "users/g0000000001" and "_manifests/users/0000000001". */
const char *manifest_data_folder(struct arena *mem, const char *stream, int64_t generation);
const char *manifest_folder(struct arena *mem, const char *stream, int64_t generation);

/* ------------------------------------------------------------------ sweeping */

/* Removes data and quarantine files of numbers `from`..`to` in this generation, and drafts of
 * manifests: files of commits that cannot happen any more. Nothing is an error; what remains is
 * logged. */
void manifest_sweep(int root, const char *stream, int64_t generation, int64_t from, int64_t to,
                    struct log *log);
/* Removes all generations of the stream but `keep` and `keep_too`, data first; none above
 * `keep`. */
void manifest_remove_old(int root, const char *stream, int64_t keep, int64_t keep_too,
                         struct log *log);
/* Removes one generation: data, quarantine, manifests. */
void manifest_remove_generation(int root, const char *stream, int64_t generation, struct log *log);
/* Removes everything of the stream. */
CHECKED int manifest_remove_all(int root, const char *stream, struct error *err);

#endif
