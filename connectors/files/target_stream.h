/*
 * target_stream.h - one stream of the destination: who owns it, what is durable, what is pending.
 *
 * The steps of taking a stream over, filling files and committing them. Private to target.c.
 */
#ifndef CONNECTORS_FILES_TARGET_STREAM_H
#define CONNECTORS_FILES_TARGET_STREAM_H

#include "connectors/bad_rows.h"
#include "connectors/files/encode.h"
#include "connectors/files/manifest.h"
#include "connectors/files/output.h"
#include "connectors/files/target.h"

#define TARGET_MAX_OPEN 8 /* data files at a time: a compressor holds megabytes */

struct target_stream {
    const struct selected_stream *want;
    const char *folder;   /* name of the stream as that of a folder */
    struct manifest last; /* the newest manifest, which is ours */
    char last_digest[65];
    char *position;          /* last.position points here */
    bool has_live;           /* a generation that readers see now */
    int64_t live_generation; /* its number */
    int64_t live_rows;       /* and rows, for the shrink guard */
    struct encoder *encoder; /* of the file being written */
    struct output *data, *quarantine;
    int64_t data_rows, quarantine_rows;
    char *data_name, *quarantine_name; /* of the files being written */
    struct manifest_file *files;       /* sealed, not yet committed */
    struct arena *names;               /* theirs */
    size_t n_files, cap_files;
    struct counts pending;
    int64_t ordinal; /* of quarantined things in this commit */
};

/* What all streams of an opened destination share. */
struct target {
    struct destination base;
    const struct files_target_config *config;
    struct run *run;
    const struct write_plan *plan;
    int root; /* the folder */
    enum files_format format;
    enum files_compression compression;
    struct target_stream *streams;
    size_t n_open; /* data files */
    struct bad_rows_share bad_rows;
    struct buf text; /* encoded rows on their way */
    struct buf odd;  /* encoded quarantine */
};

/* ------------------------------------------------------------ target_take.c */

/* Fences older writers of the stream and settles which generation is written. Fails with CONFLICT
 * (table_owned, table_exists), CONTENTION, FENCED. */
CHECKED int target_take(struct target *t, size_t stream, struct error *err);
/* Drafts the manifest behind the last one; number, digest and description are filled in. */
CHECKED int target_prepare(const struct target *t, const struct target_stream *s,
                           struct manifest *m, struct manifest_draft *out, struct error *err);
/* It was published: it is the last one now. */
void target_committed(struct target_stream *s, const struct manifest *m,
                      const struct manifest_draft *d);
/* All of it for one manifest. */
CHECKED int target_put(const struct target *t, struct target_stream *s, struct manifest *m,
                       struct error *err);

/* ----------------------------------------------------------- target_write.c */

CHECKED int target_write(struct target *t, size_t stream, const struct batch *rows,
                         struct error *err);
/* Seals the files that are being written. */
CHECKED int target_seal(struct target *t, struct target_stream *s, struct error *err);
/* Forgets everything pending, files included. */
void target_forget(struct target *t, struct target_stream *s);
/* The list of sealed files: a manifest names them now. */
void target_forget_files(struct target_stream *s);

#endif
