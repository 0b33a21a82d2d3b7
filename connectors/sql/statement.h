/*
 * statement.h - the text of every statement the engine runs, as pure functions of the dialect.
 *
 * Each appends one statement without a semicolon. Values are parameters, never text; names go
 * through sql_put_name. Golden files hold what comes out for every dialect (tests/golden/sql).
 * Whether the text fitted shows in buf_ok. Safe from any thread.
 */
#ifndef CONNECTORS_SQL_STATEMENT_H
#define CONNECTORS_SQL_STATEMENT_H

#include "connectors/sql/dialect.h"

#define SQL_MAX_STATEMENT ((size_t)8 << 20) /* 4096 columns of long names, many rows per VALUES */

void sql_put_create(const struct sql_dialect *d, const struct sql_table *t, enum sql_create how,
                    struct buf *out);
/* The same with a unique index over the key, for databases that can say both at once; NULL = none.
 */
__attribute__((nonnull(1, 2, 5))) void sql_put_create_indexed(const struct sql_dialect *d,
                                                              const struct sql_table *t,
                                                              enum sql_create how,
                                                              const char *index, struct buf *out);
/* A unique index called `index` over the key columns. */
void sql_put_key_index(const struct sql_dialect *d, const struct sql_table *t, const char *index,
                       struct buf *out);
/* Makes that index the primary key, where the dialect says so (promote_key). */
void sql_put_promote_key(const struct sql_dialect *d, const struct sql_table *t, const char *index,
                         struct buf *out);
void sql_put_drop_index(const struct sql_dialect *d, const char *schema, const char *table,
                        const char *index, struct buf *out);
void sql_put_drop_stage(const struct sql_dialect *d, const char *name, struct buf *out);
void sql_put_add_column(const struct sql_dialect *d, const struct sql_table *t,
                        const struct sql_column *column, struct buf *out);
/* New rows have nothing in the column unless they are given it. */
void sql_put_drop_default(const struct sql_dialect *d, const struct sql_table *t,
                          const struct sql_column *column, struct buf *out);
/* Writes into every row of `t` what the only row of the other table has in its columns. */
void sql_put_fill(const struct sql_dialect *d, const struct sql_table *t,
                  const struct sql_table *row, struct buf *out);
/* For SQL_WIDEN_ALTER: gives the column, which has been `from`, the type it has in `column`. */
void sql_put_widen(const struct sql_dialect *d, const struct sql_table *t,
                   const struct sql_column *column, enum type from, struct buf *out);
/* What has to follow; nothing is appended, and false returned, when nothing has to. */
bool sql_put_widen_after(const struct sql_dialect *d, const struct sql_table *t,
                         const struct sql_column *column, enum type from, struct buf *out);
void sql_put_drop(const struct sql_dialect *d, const char *schema, const char *name,
                  struct buf *out);
void sql_put_rename(const struct sql_dialect *d, const char *schema, const char *from,
                    const char *to, struct buf *out);
void sql_put_rename_column(const struct sql_dialect *d, const struct sql_table *t, const char *from,
                           const char *to, struct buf *out);
/* `live` becomes `aside` and `generation` becomes `live`, in one statement (SQL_SWAP_EXCHANGE). */
void sql_put_exchange(const struct sql_dialect *d, const char *schema, const char *live,
                      const char *aside, const char *generation, struct buf *out);
void sql_put_delete_all(const struct sql_dialect *d, const char *schema, const char *name,
                        struct buf *out);
void sql_put_count(const struct sql_dialect *d, const char *schema, const char *name,
                   struct buf *out);

/*
 * Inserts `n_rows` rows of parameters. With `fill`, columns that are the same in every row have the
 * parameters 1..k once (in dialects that can repeat a parameter), the others follow row by row.
 */
void sql_put_insert(const struct sql_dialect *d, const struct sql_table *t,
                    const struct sql_bulk_column *fill, size_t n_rows, struct buf *out);
/* Copies all rows of the table `from`, which has the columns of `into`. */
void sql_put_insert_select(const struct sql_dialect *d, const struct sql_table *into,
                           const char *from, struct buf *out);

/* Fills an empty stage with all rows of a table that has its columns, numbered from 0. */
void sql_put_stage_from(const struct sql_dialect *d, const struct sql_table *stage,
                        const char *schema, const char *from, struct buf *out);
/* An index over those numbers, for a stage that is large. Nothing is appended, and false returned,
 * where every stage has one. */
bool sql_put_stage_index(const struct sql_dialect *d, const struct sql_table *stage,
                         struct buf *out);

/* Deletes all but the last (or first) staged row of each key. */
enum sql_keep { SQL_KEEP_LAST, SQL_KEEP_FIRST };
void sql_put_fold(const struct sql_dialect *d, const struct sql_table *stage, enum sql_keep keep,
                  struct buf *out);
/* The same for a loaded table, by physical row number. */
void sql_put_fold_loaded(const struct sql_dialect *d, const struct sql_table *t, const char *row_id,
                         struct buf *out);
/* The same in two statements, for databases that cannot name a temporary table twice: the table
 * `kept` with the numbers of the rows that stay, and the deletion of the others. */
void sql_put_fold_note(const struct sql_dialect *d, const struct sql_table *stage, const char *kept,
                       enum sql_keep keep, struct buf *out);
void sql_put_fold_rest(const struct sql_dialect *d, const struct sql_table *stage, const char *kept,
                       struct buf *out);

/* A part of the staged rows, by their order numbers; NULL = all of them. */
struct sql_span {
    int64_t first, last;
};
/* Rewrites the rows of `into` that differ from the staged row of their key. Nothing is appended,
 * and false returned, when every column is a key. `stage` may be any table with the same columns.
 */
__attribute__((nonnull(1, 2, 3, 5))) bool
sql_put_merge_update(const struct sql_dialect *d, const struct sql_table *into,
                     const struct sql_table *stage, const struct sql_span *span, struct buf *out);
/* Inserts the staged rows whose key is not there, in their order. */
__attribute__((nonnull(1, 2, 3, 5))) void
sql_put_merge_insert(const struct sql_dialect *d, const struct sql_table *into,
                     const struct sql_table *stage, const struct sql_span *span, struct buf *out);
/* Inserts the staged rows, in their order. */
__attribute__((nonnull(1, 2, 3, 5))) void
sql_put_stage_insert(const struct sql_dialect *d, const struct sql_table *into,
                     const struct sql_table *stage, const struct sql_span *span, struct buf *out);
/* Both at once over the unique index of the key (SQL_MERGE_UPSERT); without `update`, rows that are
 * there stay. A query: how many were inserted, how many rewritten. */
void sql_put_upsert(const struct sql_dialect *d, const struct sql_table *into,
                    const struct sql_table *stage, bool update, struct buf *out);
/* Deletes the rows whose key is not `in` the other table. */
void sql_put_delete_missing(const struct sql_dialect *d, const struct sql_table *from,
                            const struct sql_table *in, struct buf *out);
/* A query: the values of one staged row. */
void sql_put_stage_row(const struct sql_dialect *d, const struct sql_table *stage, int64_t order,
                       struct buf *out);
/* Counts keys that occur more than once, and rows with a NULL in the key. */
void sql_put_count_repeated(const struct sql_dialect *d, const struct sql_table *t,
                            struct buf *out);

/* Our own tables, in the schema of the data. */
struct sql_table sql_state_table(const char *schema);
struct sql_table sql_quarantine_table(const char *schema);
/* Parameters: the pipeline. All columns of the table, in its order; waits for whoever commits. */
void sql_put_state_select(const struct sql_dialect *d, const char *schema, struct buf *out);
/* Everybody's tables: pipeline, stream, target. */
void sql_put_owners_select(const struct sql_dialect *d, const char *schema, struct buf *out);
/* Parameters: the new values of all columns that are not key in the order of the table, then
 * pipeline, stream, part, fence, seq as they must be. */
void sql_put_state_update(const struct sql_dialect *d, const char *schema, struct buf *out);
/* Parameters: pipeline, stream. */
void sql_put_state_delete(const struct sql_dialect *d, const char *schema, struct buf *out);
void sql_put_quarantine_delete(const struct sql_dialect *d, const char *schema, struct buf *out);

#endif
