/*
 * deliver_internal.h - the state of a delivery. Private to deliver*.c.
 */
#ifndef CONNECTORS_SINGER_DELIVER_INTERNAL_H
#define CONNECTORS_SINGER_DELIVER_INTERNAL_H

#include "connectors/base/arena.h"
#include "connectors/singer/deliver.h"
#include "connectors/singer/intake.h"
#include "connectors/singer/pending.h"

/* One stream of the input. */
struct flow {
    struct stream stream;
    struct selected_stream want;
    struct singer_schema last; /* its last SCHEMA */
    struct intake intake;
    size_t at;       /* in the open plan; meaningless when not `is_open` */
    bool is_open;    /* the open plan has it as it is now */
    bool was_opened; /* some plan of this run had it */
    bool anew;       /* it takes the place of the old rows at the end */
    bool is_activated;
    const char *version;  /* of its records; NULL = none */
    const char *position; /* committed with its rows */
    int64_t rows;         /* written since the last commit, rejected ones included */
};

struct delivery {
    const struct deliver *how;
    struct arena *mem;
    struct singer_parser parser;
    struct flow **flows;
    size_t n, cap;
    struct flow *current; /* the next record is mostly of the same stream */
    /* What is open now. */
    struct arena *plan_mem;
    struct run plan_run;
    struct write_plan plan;
    struct destination *d;
    const char **upto; /* for each stream of the plan, as commits take and give them */
    struct counts *none, *did;
    struct pending states;
    int64_t rows, bytes, first_us; /* uncommitted; 0 = none */
    char bad[400];                 /* the first record that was rejected, and why; "" = none */
    struct deliver_result *result;
};

/* A stream from its first SCHEMA, as catalog and SCHEMA want it written. */
CHECKED int flow_new(struct delivery *x, const struct singer_schema *s, struct flow **out,
                     struct error *err);
/* Another SCHEMA of a stream, all of whose records are written. */
CHECKED int flow_change(struct delivery *x, struct flow *f, const struct singer_schema *s,
                        struct error *err);
void flow_free(struct flow *f);

/* Opens the destination for all streams there are; what was written before is committed. */
CHECKED int deliver_open(struct delivery *x, struct error *err);
/* Hands over what the streams hold. */
CHECKED int deliver_flush(struct delivery *x, struct error *err);
CHECKED int deliver_write(struct delivery *x, struct flow *f, struct error *err);
/* Makes everything durable, and gives back every STATE that came. */
CHECKED int deliver_commit(struct delivery *x, struct error *err);
/* The input has ended: streams that were written anew are shown. */
CHECKED int deliver_finish(struct delivery *x, struct error *err);
void deliver_close(struct delivery *x);

#endif
