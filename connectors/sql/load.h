/*
 * load.h - the SQL destination from inside: what its files share, and nobody else includes.
 *
 *   destination.c  the calls of the interface: transactions, counts, commit
 *   recover.c      what is there, and where this run goes on
 *   state.c        rows of _connectord_state
 *   shape.c        the table of a stream: names, columns, drift, staging
 *   quarantine.c   odd cells and rejected rows
 *   widen.c        columns that grow
 *   swap.c         a generation becomes the live table
 *   clear.c        streams are forgotten
 */
#ifndef CONNECTORS_SQL_LOAD_H
#define CONNECTORS_SQL_LOAD_H

#include "connectors/base/clock.h"
#include "connectors/sql/destination.h"
#include "connectors/sql/keyset.h"
#include "connectors/sql/names.h"
#include "connectors/sql/statement.h"

/* A column that a stream has had at the destination. */
struct known_column {
    const char *source, *name;
    struct column_type type;
};

/* One row of _connectord_state. */
struct state_row {
    const char *stream;
    int64_t generation, live_generation; /* equal: rows go into the live table, or are in it */
    int64_t fence, seq;
    const char *position; /* NULL at the beginning */
    struct counts counts;
    int64_t schema_version;
    const char *wanted_name, *target; /* as asked for; the live table */
    const char *identity;             /* modes, key and cursor as text */
    const char *schema_hash;
    const char *garbage; /* a table to drop, "" = none */
    const char *run_id;  /* of the run that wrote the row last */
    bool adopted;        /* the live table was there before us */
    const struct known_column *columns;
    size_t n_columns;
};

/* One stream being written. */
struct load {
    const struct selected_stream *want;
    const char *id, *schema, *wanted_name;
    const char *identity, *schema_hash;
    struct state_row row; /* as last committed */
    bool keyed;           /* the key matters: all modes but append */
    bool merging;         /* rows are staged and merged by key */
    bool building;        /* rows go to a generation beside the live table */
    bool live_exists;
    const char *table_name; /* where rows go */
    bool table_exists;

    /* The shape rows have now; see shape.c. Its memory is `mem`. */
    struct arena *mem;
    const struct schema *shape; /* NULL = none yet */
    struct sql_table table, stage;
    struct sql_bulk_column *fill, *stage_fill;
    bool *conflict; /* per column of the batch: its cells go to quarantine */
    size_t *key;    /* numbers of the key columns in the batch */
    /* What the next commit writes into row.columns. */
    const struct known_column *columns;
    size_t n_columns;

    /* Since the last commit. */
    struct counts pending;
    int64_t n_staged, ordinal;
    struct keyset *keys; /* of what is staged; NULL before the first */
    bool dirty;
    struct buf position; /* holds row.position */
    /* Committed by a call for another stream, not reported to the caller yet. */
    struct counts unreported;
};

struct sql_destination {
    struct destination base;
    struct sql_conn *conn;
    const struct sql_dialect *dialect;
    struct run *run;
    const struct write_plan *plan;
    struct arena *mem, *scratch; /* as long as the destination; one call */
    bool adopt, in_transaction, failed, over_limit;
    struct load *streams;
    int64_t run_read, run_quarantined; /* of this run, for the limits */
    char now[CLOCK_TEXT_BYTES];        /* when the open transaction began */
};

struct sql_destination *load_new(struct sql_conn *conn, struct run *run,
                                 const struct write_plan *plan);
void load_close(struct destination *base);
/* Runs the statement in `sql` and clears it; cancellation is looked at first. */
CHECKED int load_run(struct sql_destination *d, struct buf *sql, int64_t *out_changed,
                     struct error *err);
__attribute__((nonnull(1, 2, 5, 6), warn_unused_result)) int
load_run_with(struct sql_destination *d, struct buf *sql, const struct sql_value *params, size_t n,
              int64_t *out_changed, struct error *err);
CHECKED int load_count(struct sql_destination *d, struct buf *sql, int64_t *out, struct error *err);
CHECKED int load_begin(struct sql_destination *d, struct error *err);
CHECKED int load_commit(struct sql_destination *d, struct error *err);
void load_rollback(struct sql_destination *d);

/* state.c */
CHECKED int state_create_tables(struct sql_destination *d, const char *schema, struct error *err);
/* All rows of the pipeline in one schema, in `mem`. */
CHECKED int state_load(struct sql_destination *d, const char *schema, struct state_row **out,
                       size_t *out_n, struct error *err);
CHECKED int state_insert(struct sql_destination *d, const struct load *l,
                         const struct state_row *row, struct error *err);
/* FENCED when the stored row has not the fence and seq of `was`. */
CHECKED int state_update(struct sql_destination *d, const struct load *l,
                         const struct state_row *was, const struct state_row *row,
                         struct error *err);

/* shape.c */
struct table_column {
    const char *name, *declared;
};
CHECKED int shape_inspect(struct sql_destination *d, const char *schema, const char *table,
                          struct table_column **out, size_t *out_n, struct error *err);
/* Makes table, stage and fill fit rows of this schema. Within a transaction. */
CHECKED int shape_prepare(struct sql_destination *d, struct load *l, const struct schema *schema,
                          struct error *err);
/* Creates the unique index over the key of the table rows go to. */
CHECKED int shape_index_key(struct sql_destination *d, const struct load *l, struct error *err);

/* widen.c: gives columns of a table other types; `columns` are those that change. */
CHECKED int widen_columns(struct sql_destination *d, const struct load *l,
                          const struct known_column *from, const struct sql_column *to, size_t n,
                          struct error *err);

/* quarantine.c: records what cannot be stored; fills skip and meta (both per row, or NULL). */
CHECKED int quarantine_batch(struct sql_destination *d, struct load *l, const struct batch *rows,
                             bool **out_skip, const char ***out_meta, struct error *err);

/* recover.c */
/* What streams are called here: id, schema, wanted name, identity. */
void recover_describe(struct sql_destination *d);
int recover(struct destination *base, struct stream_position *out, struct error *err);

/* swap.c */
CHECKED int swap_generation(struct sql_destination *d, struct load *l, struct counts *fold,
                            struct error *err);
CHECKED int swap_drop_garbage(struct sql_destination *d, struct load *l, struct error *err);

/* What others have made on a table of ours: indexes, triggers, and how to make them again. */
struct attached {
    const char *name, *kind, *sql;
    struct attached *next;
};
struct attached_list {
    struct arena *mem;
    struct attached *first, **last;
};
CHECKED int swap_find_attached(struct sql_destination *d, const struct load *l, const char *table,
                               struct attached_list *out, struct error *err);

#endif
