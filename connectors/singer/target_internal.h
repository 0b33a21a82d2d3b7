/*
 * target_internal.h - a target that is being written to. Private to target*.c.
 */
#ifndef CONNECTORS_SINGER_TARGET_INTERNAL_H
#define CONNECTORS_SINGER_TARGET_INTERNAL_H

#include "connectors/bad_rows.h"
#include "connectors/singer/feed.h"
#include "connectors/singer/target.h"
#include "connectors/singer/write.h"

struct target_stream {
    const char *name; /* as the target hears it */
    const char *id;   /* in states */
    const char *position;
    int64_t generation, seq, version;
    struct singer_rows *rows; /* NULL: the program that runs has not heard its schema */
    struct counts pending;    /* since the last commit */
    int64_t n_rows;           /* that were written, of this generation */
};

struct target {
    struct destination destination; /* first */
    const struct singer_target *config;
    const struct program *program;
    struct run *run;
    const struct write_plan *plan;
    struct target_stream *streams;
    struct feed *feed; /* NULL: none is running */
    struct buf out, config_text;
    struct string_list secrets; /* of the configuration, that the program may say */
    struct bad_rows_share bad_rows;
    bool quarantine_told; /* its schema */
    int64_t epoch;
    int64_t rows_fed; /* to the program that runs */
    bool by_state;
};

/* target.c: hands t->out over, to a program that is started when none runs. */
CHECKED int target_flush(struct target *t, struct error *err);

/* target_rows.c */
CHECKED int target_write_rows(struct target *t, size_t stream, const struct batch *rows,
                              struct error *err);
/* The schema of a stream that may have no rows at all. */
CHECKED int target_tell_schema(struct target *t, size_t stream, const struct schema *schema,
                               struct error *err);

#endif
