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

enum sql_create {
    SQL_CREATE_PLAIN, /* without a key: it is indexed when it is filled */
    SQL_CREATE_KEYED, /* with a primary key; nothing happens when the table is there */
    SQL_CREATE_STAGE, /* temporary */
};
void sql_put_create(const struct sql_dialect *d, const struct sql_table *t, enum sql_create how,
                    struct buf *out);
/* A unique index called `index` over the key columns. */
void sql_put_key_index(const struct sql_dialect *d, const struct sql_table *t, const char *index,
                       struct buf *out);
void sql_put_add_column(const struct sql_dialect *d, const struct sql_table *t,
                        const struct sql_column *column, struct buf *out);
/* For SQL_WIDEN_ALTER: gives the column the type it has in `column`. */
void sql_put_widen(const struct sql_dialect *d, const struct sql_table *t,
                   const struct sql_column *column, struct buf *out);
void sql_put_drop(const struct sql_dialect *d, const char *schema, const char *name,
                  struct buf *out);
void sql_put_rename(const struct sql_dialect *d, const char *schema, const char *from,
                    const char *to, struct buf *out);
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

/* Deletes all but the last (or first) staged row of each key. */
enum sql_keep { SQL_KEEP_LAST, SQL_KEEP_FIRST };
void sql_put_fold(const struct sql_dialect *d, const struct sql_table *stage, enum sql_keep keep,
                  struct buf *out);
/* The same for a loaded table, by physical row number. */
void sql_put_fold_loaded(const struct sql_dialect *d, const struct sql_table *t, const char *row_id,
                         struct buf *out);
/* Rewrites the rows of `into` that differ from the staged row of their key. Nothing is appended,
 * and false returned, when every column is a key. */
bool sql_put_merge_update(const struct sql_dialect *d, const struct sql_table *into,
                          const struct sql_table *stage, struct buf *out);
/* Inserts the staged rows whose key is not there, in their order. */
void sql_put_merge_insert(const struct sql_dialect *d, const struct sql_table *into,
                          const struct sql_table *stage, struct buf *out);
/* Counts keys that occur more than once, and rows with a NULL in the key. */
void sql_put_count_repeated(const struct sql_dialect *d, const struct sql_table *t,
                            struct buf *out);

/* Our own tables, in the schema of the data. */
struct sql_table sql_state_table(const char *schema);
struct sql_table sql_quarantine_table(const char *schema);
/* Parameters: the pipeline. All columns of the table, in its order. */
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
