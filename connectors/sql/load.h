/*
 * load.h - the SQL destination from inside: what its files share, and nobody else includes.
 *
 *   destination.c  the calls of the interface: transactions, counts, commit
 *   recover.c      what is there, and where this run goes on
 *   reconcile.c    which generation of a stream that is
 *   state.c        rows of _connectord_state
 *   shape.c        the table of a stream: names, columns, drift
 *   alter.c        the statements that make it so, staging included
 *   rename.c       columns that have another name at the source now
 *   older.c        what rows have in a column that is newer than they are
 *   widen.c        columns that grow
 *   quarantine.c   odd cells and rejected rows
 *   refused.c      rows that their table refused
 *   fits.c         values that a column cannot hold
 *   patch.c        a batch without them, or without what is odd in them
 *   straight.c     rows that need no merging, since their keys are new
 *   merge.c        what is staged goes into its table
 *   swap.c         a generation becomes the live table
 *   carry.c        what others have made on the live table
 *   copy.c         the same, row by row, when others depend on the table
 *   clear.c        streams are forgotten
 */
#ifndef CONNECTORS_SQL_LOAD_H
#define CONNECTORS_SQL_LOAD_H

#include "connectors/bad_rows.h"
#include "connectors/base/clock.h"
#include "connectors/sql/destination.h"
#include "connectors/sql/keyset.h"
#include "connectors/sql/names.h"
#include "connectors/sql/statement.h"

/* A column that a stream has had at the destination. */
struct known_column {
    const char *source, *name;
    struct column_type type;
    const char *older; /* what the rows that are there have yet to get; NULL = nothing */
    const char *was;   /* how the table may still call it; NULL = as we do */
};

struct name_list {
    const char *const *names;
    size_t n;
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
    struct name_list garbage; /* tables of no use: dropped when nothing else is under way */
    /* The generation is complete and verified, and about to take the place of the live table, or
     * has done so: which of the two shows in whether its own table is still there. */
    bool swapping;
    const char *run_id; /* of the run that wrote the row last */
    bool adopted;       /* the live table was there before us */
    const struct known_column *columns;
    size_t n_columns;
    /* Columns that the source had and rows came without; NULL = nobody knows. */
    const struct name_list *left_out;
};

/* The names that are taken in one schema, and what of it is ours. */
struct place {
    const char *schema;
    struct table_name {
        const char *name;
        bool is_table;
    } * tables; /* sorted */
    size_t n_tables;
    bool any_case;          /* "T" and "t" are one name */
    struct state_row *rows; /* of this pipeline, by stream */
    size_t n_rows;
};

/* One stream being written. */
struct load {
    const struct selected_stream *want;
    const char *id, *schema, *wanted_name;
    const char *identity, *schema_hash;
    struct place *place;
    struct state_row row; /* as last committed */
    bool keyed;           /* the key matters: all modes but append */
    bool merging;         /* rows are merged by key */
    bool staging;         /* rows are staged, to be merged or because the table is of others */
    bool straight;        /* those with new keys are not; see straight.c */
    bool building;        /* rows go to a generation beside the live table */
    bool live_exists;
    int64_t live_delivered; /* rows of the live table that were committed there; -1 = unknown */
    const char *table_name; /* where rows go */
    bool table_exists;

    /* The shape rows have now; see shape.c. Its memory is `mem`. */
    struct arena *mem;
    const struct schema *shape; /* NULL = none yet */
    struct sql_table table, stage;
    struct sql_bulk_column *fill, *stage_fill;
    bool stage_exists;
    bool *conflict; /* per column of the batch: its cells go to quarantine */
    bool *altered;  /* the same: the log has said that its cells are written without U+0000 */
    size_t *key;    /* numbers of the key columns in the batch */
    /* What the next commit writes into row.columns. */
    const struct known_column *columns;
    size_t n_columns;
    const struct name_list *left_out;
    bool starts_anew; /* and with them, that rows are read from the beginning again */

    int64_t greatest;        /* no key of the table, or of a row that was written, is greater */
    int64_t greatest_before; /* the same as of the last commit */
    bool has_greatest;       /* they were asked for */

    /* Since the last commit. */
    struct counts pending;
    bool went_straight; /* a row has gone into the table without being staged */
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
    bool recovering; /* rows are yet to come */
    struct load *streams;
    struct place *places;
    size_t n_places, n_stages;
    struct batch *patched; /* a batch without what its table cannot hold; or NULL */
    struct bad_rows_share bad;
    char now[CLOCK_TEXT_BYTES]; /* when the open transaction began */
};

struct sql_destination *load_new(struct sql_conn *conn, struct run *run,
                                 const struct write_plan *plan);
void load_close(struct destination *base);
/* Asks the catalog about a table: `query` of the dialect, whose parameters are schema, table and,
 * when it is not NULL, `more`. */
__attribute__((nonnull(1, 2, 3, 4, 6, 8), warn_unused_result)) int
load_ask(struct sql_destination *d, const char *query, const char *schema, const char *table,
         const char *more, sql_row_fn *each, void *arg, struct error *err);
/* Runs the statement in `sql` and clears it; cancellation is looked at first. */
CHECKED int load_run(struct sql_destination *d, struct buf *sql, int64_t *out_changed,
                     struct error *err);
__attribute__((nonnull(1, 2, 5, 6), warn_unused_result)) int
load_run_with(struct sql_destination *d, struct buf *sql, const struct sql_value *params, size_t n,
              int64_t *out_changed, struct error *err);
/* The same for a statement that stands somewhere. */
CHECKED int load_run_text(struct sql_destination *d, const char *sql, struct error *err);
/* Statements that wait for readers do so for a few seconds only, or as long as all others again. In
 * PostgreSQL that is a matter of the open transaction. */
CHECKED int load_wait_shortly(struct sql_destination *d, bool shortly, struct error *err);
CHECKED int load_count(struct sql_destination *d, struct buf *sql, int64_t *out, struct error *err);
CHECKED int load_begin(struct sql_destination *d, struct error *err);
CHECKED int load_commit(struct sql_destination *d, struct error *err);
void load_rollback(struct sql_destination *d);

/* state.c */
CHECKED int state_create_tables(struct sql_destination *d, const struct place *place,
                                struct error *err);
/* All rows of the pipeline in one schema, by stream, in `mem`; waits for whoever commits. */
CHECKED int state_load(struct sql_destination *d, const char *schema, struct state_row **out,
                       size_t *out_n, struct error *err);
const struct state_row *state_find(const struct state_row *rows, size_t n, const char *stream);
CHECKED int state_insert(struct sql_destination *d, const struct load *l,
                         const struct state_row *row, struct error *err);
/* FENCED when the stored row has not the fence and seq of `was`. */
CHECKED int state_update(struct sql_destination *d, const struct load *l,
                         const struct state_row *was, const struct state_row *row,
                         struct error *err);
/* `row` with one more table to drop; the list lives in d->mem. */
void state_discard(struct sql_destination *d, struct state_row *row, const char *table);

/* shape.c */
struct table_column {
    const char *name, *declared;
};
CHECKED int shape_inspect(struct sql_destination *d, const char *schema, const char *table,
                          struct table_column **out, size_t *out_n, struct error *err);
/* Makes table and fill fit rows of this schema. Where DDL commits, rows that are not committed
 * stand in its way: they are given up, the table is made to fit, and it fails with TRANSIENT,
 * reason "schema_changed", so that the next attempt finds it so. */
CHECKED int shape_prepare(struct sql_destination *d, struct load *l, const struct schema *schema,
                          struct error *err);
/* Whether the stream has had other columns until now. */
bool shape_is_news(const struct load *l, const struct schema *schema);
/* Writes the columns of now into the state row, in a transaction that the caller commits. */
CHECKED int shape_record(struct sql_destination *d, struct load *l, struct error *err);

/* The same for a position that columns which are new make useless: `next` goes back to the
 * beginning. Together with those columns, or a crash between would lose it. */
void shape_start_anew(struct sql_destination *d, struct load *l, struct state_row *next);

/* Work on one new shape. */
struct shaping {
    struct sql_destination *d;
    struct load *l;
    const struct schema *schema; /* of the rows */
    struct table_column *actual; /* the table as it stands; none when it is to be created */
    size_t n_actual;
    const char **names;                /* per column of `schema`, at the destination */
    struct evolve_step *steps;         /* the same */
    const struct known_column *before; /* the columns as they were until now */
    size_t n_before;
    /* The table of others that rows end in: what it says of its columns counts. Or none. */
    struct table_column *model;
    size_t n_model;
    bool late; /* rows had to be given up */
};
const struct known_column *shape_find_known(const struct load *l, const char *source);
const struct table_column *shape_find_actual(const struct shaping *s, const char *name);

/* alter.c: creates the table, or adds what is missing and widens what is too narrow. */
CHECKED int alter_apply(struct shaping *s, struct error *err);
/* The staging table, empty. */
CHECKED int alter_stage(struct sql_destination *d, struct load *l, struct error *err);
CHECKED int alter_drop_stage(struct sql_destination *d, struct load *l, struct error *err);
/* The unique index over the key of a table; nothing when it has one. `promote`: see the dialect. */
CHECKED int alter_index_key(struct sql_destination *d, const struct load *l, const char *table,
                            struct error *err);
/* *out: our index over the key of the table, "" when there is none; *out_same: it is over the key
 * of now. */
CHECKED int alter_find_key_index(struct sql_destination *d, const struct load *l, const char *table,
                                 const char **out, bool *out_same, struct error *err);

/* rename.c: gives columns of the live table the names that the user says they have now; in no
 * transaction. */
CHECKED int rename_columns(struct sql_destination *d, struct load *l, struct error *err);

/*
 * older.c: rows that were delivered before their source got a column have there what they have in
 * the source, its constant default, wherever that is known: nobody delivers them again for it.
 */
/* What they get; NULL = NULL. */
const char *older_constant(struct sql_destination *d, const struct load *l,
                           const struct known_column *column);
bool older_is_due(const struct load *l);
/* Adds it. Where it can have a default and lose it again at once, its rows have that. */
CHECKED int older_add_column(struct sql_destination *d, const struct load *l,
                             const struct sql_column *column, struct error *err);
/* Writes into the rows what they do not have by that, and remembers in the same transaction that
 * nothing is due any more. */
CHECKED int older_fill(struct sql_destination *d, struct load *l, struct error *err);

/* widen.c: gives columns of a table other types; `columns` are those that change. */
CHECKED int widen_columns(struct sql_destination *d, struct load *l,
                          const struct known_column *from, const struct sql_column *to, size_t n,
                          struct error *err);

/* straight.c: called when a shape is new; decides l->straight. */
CHECKED int straight_look(struct sql_destination *d, struct load *l, struct error *err);
/* A batch: into the table, into the stage, or some of it into each. */
CHECKED int straight_put(struct sql_destination *d, struct load *l, const struct batch *rows,
                         struct error *err);
/* A key that is there nevertheless: the run is tried again. */
void straight_blame(struct sql_destination *d, struct error *err);

/* merge.c: moves what is staged into the table. */
CHECKED int merge_staged(struct sql_destination *d, struct load *l, struct error *err);

/* quarantine.c: records what cannot be stored; fills skip and meta (both per row, or NULL).
 * *out_rows is `rows`, or a copy without the cells that the table cannot hold. */
CHECKED int quarantine_batch(struct sql_destination *d, struct load *l, const struct batch *rows,
                             const struct batch **out_rows, bool **out_skip, const char ***out_meta,
                             struct error *err);
/* What is kept of one cell or row. */
struct trace {
    const char *level, *column, *detail, *key; /* level: "cell" or "row"; the others may be NULL */
    enum reason reason;
    struct slice raw;
};
CHECKED int quarantine_record(struct sql_destination *d, struct load *l, const struct trace *t,
                              struct error *err);
/* Rows, not cells, are what the limits count: a row with three odd cells is one bad row. */
void quarantine_count_row(struct sql_destination *d);

/* refused.c: a staged row that its table refused, and why. */
CHECKED int quarantine_staged(struct sql_destination *d, struct load *l, int64_t order,
                              const char *why, struct error *err);

/* patch.c: what becomes of a cell, per row and column. */
enum cell_fate { CELL_STAYS, CELL_BLANK, CELL_ALTERED };
/* Whether a value of this type can be written without its U+0000, and is no longer than a value may
 * be then. */
bool patch_can_alter(enum type type, struct slice s, enum nul_policy nul);
/* A copy in which that has happened. Row numbers stay. */
const struct batch *patch_batch(struct sql_destination *d, const struct batch *rows,
                                const unsigned char *fate, enum nul_policy nul);

/* fits.c */
struct fit {
    const struct sql_dialect *dialect;
    int64_t version; /* of the server */
    const struct sql_column *to;
    enum type from;
    size_t key_characters; /* of a text in the key; 0 = any number */
    enum nul_policy nul;   /* other than quarantine: judged as it will be then */
};
/* Whether every value of the type that is in `v` can be stored: most columns need no second look.
 */
bool fits_all(const struct fit *f, const struct column_view *v, size_t n_rows);
/* Whether one that has a value can; *why otherwise. */
bool fits_cell(const struct fit *f, const struct batch *rows, size_t column,
               const struct column_view *v, size_t row, enum reason *why);

/* recover.c */
/* What streams are called here: id, schema, wanted name, identity. */
void recover_describe(struct sql_destination *d);
CHECKED int recover_places(struct sql_destination *d, struct error *err);
int recover(struct destination *base, struct stream_position *out, struct error *err);
/* The table in which a generation is built. */
const char *recover_generation(struct sql_destination *d, const char *target, int64_t generation);

/* reconcile.c */
/* Whether the name is taken, and whether by a table. */
bool reconcile_exists(const struct place *p, const char *name, bool *out_is_table);
void reconcile_sort(struct place *p);
/* Decides on the generation; l->row becomes what is to be stored, fence aside. `was` may be NULL.
 */
__attribute__((nonnull(1, 2, 4), warn_unused_result)) int
reconcile_stream(struct sql_destination *d, struct load *l, const struct state_row *was,
                 struct error *err);

/* swap.c */
CHECKED int swap_generation(struct sql_destination *d, struct load *l, struct counts *fold,
                            struct error *err);
/* Ends an exchange that was announced; in no transaction. The row is as last committed. */
CHECKED int swap_complete(struct sql_destination *d, struct load *l, bool generation_exists,
                          struct error *err);
CHECKED int swap_drop_garbage(struct sql_destination *d, struct load *l, struct error *err);
CHECKED int swap_count_rows(struct sql_destination *d, const struct load *l, const char *table,
                            int64_t *out, struct error *err);

/* carry.c */
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

/* A statement that gives the new table what the live one has, before or with the renames. */
struct carried {
    int64_t with_renames;
    const char *sql;
    struct carried *next;
};
struct carried_list {
    struct arena *mem;
    struct carried *first, **last;
};

CHECKED int swap_find_carried(struct sql_destination *d, const struct load *l,
                              struct carried_list *out, struct error *err);
/* In the open transaction, which it ends. 1 when something cannot be made on the new table, which
 * *why says, and nothing was. */
CHECKED int swap_carry_over(struct sql_destination *d, const struct carried_list *list,
                            struct error *why, struct error *err);

struct dependents {
    struct arena *mem;
    const char *name, *kind; /* of the first; NULL = none */
    const char *reference;   /* what points at rows; NULL = nothing */
};

CHECKED int swap_find_dependents(struct sql_destination *d, const struct load *l,
                                 struct dependents *out, struct error *err);

/* copy.c */
/* What has to be copied, and whether the live table can take it. */
struct copy {
    struct sql_column *columns; /* of the generation */
    size_t n;
    struct sql_column *added; /* of those, the live table lacks these */
    size_t n_added;
    struct table_column *kept; /* of the live table, the generation lacks these */
    size_t n_kept;
    bool fits;   /* every column is there with the same type, or can be added */
    bool by_key; /* rows of others point at rows: those that stay must not be deleted */
};
CHECKED int copy_plan(struct sql_destination *d, const struct load *l, struct copy *out,
                      struct error *err);
/* DDL: the live table gets what it lacks; the generation gets what the live table had more. */
CHECKED int copy_add_columns(struct sql_destination *d, const struct load *l,
                             const struct copy *what, struct error *err);
CHECKED int copy_keep_columns(struct sql_destination *d, const struct load *l,
                              const struct copy *what, struct error *err);
/* The rows of the generation in place of those of the live table, or beside them. A table of others
 * may refuse some: those go to quarantine, and *out_refused is their number. */
CHECKED int copy_replace(struct sql_destination *d, struct load *l, const struct copy *what,
                         int64_t *out_refused, struct error *err);
CHECKED int copy_append(struct sql_destination *d, struct load *l, const struct copy *what,
                        int64_t *out_refused, struct error *err);

#endif
