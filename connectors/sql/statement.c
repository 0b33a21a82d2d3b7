#include "connectors/sql/statement.h"

#include <stdlib.h>
#include <string.h>

/* A list of columns: those whose role is in `roles`, each written by `sql`'s quoted name. */
#define ROLE(r)   (1u << (r))
#define ROLES_ALL (ROLE(SQL_ROLE_DATA) | ROLE(SQL_ROLE_KEY) | ROLE(SQL_ROLE_STAMP))

static bool has_role(const struct sql_column *c, unsigned roles)
{
    return (ROLE(c->role) & roles) != 0;
}

static void put_list(const struct sql_dialect *d, const struct sql_table *t, unsigned roles,
                     const char *prefix, struct buf *out)
{
    const char *comma = "";

    for (size_t i = 0; i < t->n_columns; i++) {
        if (!has_role(&t->columns[i], roles))
            continue;
        buf_puts(out, comma);
        buf_puts(out, prefix);
        sql_put_name(d, t->columns[i].name, out);
        comma = ", ";
    }
}

/* "a.k1 = b.k1 AND a.k2 = b.k2" */
static void put_same_key(const struct sql_dialect *d, const struct sql_table *t, const char *a,
                         const char *b, struct buf *out)
{
    const char *and = "";

    for (size_t i = 0; i < t->n_columns; i++) {
        if (t->columns[i].role != SQL_ROLE_KEY)
            continue;
        buf_puts(out, and);
        buf_puts(out, a);
        sql_put_name(d, t->columns[i].name, out);
        buf_puts(out, " = ");
        buf_puts(out, b);
        sql_put_name(d, t->columns[i].name, out);
        and = " AND ";
    }
}

static void put_table(const struct sql_dialect *d, const struct sql_table *t, struct buf *out)
{
    sql_put_table(d, t->schema, t->name, out);
}

static void put_column(const struct sql_dialect *d, const struct sql_table *t,
                       const struct sql_column *c, struct buf *out)
{
    char type[SQL_TYPE_BYTES];

    sql_column_type(d, t, c, type);
    sql_put_name(d, c->name, out);
    buf_putc(out, ' ');
    buf_puts(out, type);
}

void sql_put_create(const struct sql_dialect *d, const struct sql_table *t, enum sql_create how,
                    struct buf *out)
{
    sql_put_create_indexed(d, t, how, NULL, out);
}

void sql_put_create_indexed(const struct sql_dialect *d, const struct sql_table *t,
                            enum sql_create how, const char *index, struct buf *out)
{
    if (d->put_create) {
        d->put_create(d, t, how, index, out);
        return;
    }
    if (how == SQL_CREATE_STAGE)
        buf_puts(out, d->create_stage);
    else
        buf_puts(out, how == SQL_CREATE_PLAIN ? "CREATE TABLE " : "CREATE TABLE IF NOT EXISTS ");
    put_table(d, t, out);
    buf_puts(out, " (");
    for (size_t i = 0; i < t->n_columns; i++) {
        if (i > 0)
            buf_puts(out, ", ");
        put_column(d, t, &t->columns[i], out);
        if (t->columns[i].role == SQL_ROLE_KEY &&
            (how == SQL_CREATE_KEYED || (how != SQL_CREATE_STAGE && d->promote_key)))
            buf_puts(out, " NOT NULL");
        /* The row number of SQLite and of InnoDB, so that reading in order is free. Elsewhere an
         * index would only cost. */
        if (t->columns[i].role == SQL_ROLE_ORDER && d->empty_stage != SQL_EMPTY_ON_COMMIT)
            buf_puts(out, " PRIMARY KEY");
    }
    if (how == SQL_CREATE_KEYED) {
        buf_puts(out, ", PRIMARY KEY (");
        put_list(d, t, ROLE(SQL_ROLE_KEY), "", out);
        buf_putc(out, ')');
    }
    if (index) {
        buf_puts(out, ", UNIQUE INDEX ");
        sql_put_name(d, index, out);
        buf_puts(out, " (");
        put_list(d, t, ROLE(SQL_ROLE_KEY), "", out);
        buf_putc(out, ')');
    }
    buf_putc(out, ')');
    if (how == SQL_CREATE_STAGE)
        buf_puts(out, d->create_stage_end);
}

void sql_put_drop_stage(const struct sql_dialect *d, const char *name, struct buf *out)
{
    buf_puts(out, d->drop_stage);
    sql_put_name(d, name, out);
}

void sql_put_key_index(const struct sql_dialect *d, const struct sql_table *t, const char *index,
                       struct buf *out)
{
    buf_puts(out, "CREATE UNIQUE INDEX ");
    sql_put_name(d, index, out);
    buf_puts(out, " ON ");
    put_table(d, t, out);
    buf_puts(out, " (");
    put_list(d, t, ROLE(SQL_ROLE_KEY), "", out);
    buf_putc(out, ')');
}

void sql_put_promote_key(const struct sql_dialect *d, const struct sql_table *t, const char *index,
                         struct buf *out)
{
    const struct sql_holes holes = {.schema = t->schema, .table = t->name, .index = index};

    sql_put_template(d, d->promote_key, &holes, out);
}

void sql_put_add_column(const struct sql_dialect *d, const struct sql_table *t,
                        const struct sql_column *column, struct buf *out)
{
    if (d->put_add_column) {
        d->put_add_column(d, t, column, out);
        return;
    }
    buf_puts(out, "ALTER TABLE ");
    put_table(d, t, out);
    buf_puts(out, " ADD COLUMN ");
    put_column(d, t, column, out);
}

void sql_put_delete_all(const struct sql_dialect *d, const char *schema, const char *name,
                        struct buf *out)
{
    buf_puts(out, "DELETE FROM ");
    sql_put_table(d, schema, name, out);
}

void sql_put_count(const struct sql_dialect *d, const char *schema, const char *name,
                   struct buf *out)
{
    buf_puts(out, "SELECT count(*) FROM ");
    sql_put_table(d, schema, name, out);
}

static bool is_shared(enum sql_fill fill)
{
    return fill == SQL_FILL_TEXT || fill == SQL_FILL_INT || fill == SQL_FILL_NULL;
}

void sql_put_insert(const struct sql_dialect *d, const struct sql_table *t,
                    const struct sql_bulk_column *fill, size_t n_rows, struct buf *out)
{
    bool repeat = fill && d->placeholder != SQL_PLACEHOLDER_PLAIN;
    size_t next = 1;

    buf_puts(out, "INSERT INTO ");
    put_table(d, t, out);
    buf_puts(out, " (");
    put_list(d, t, ~0u, "", out);
    buf_puts(out, ") VALUES ");
    for (size_t i = 0; repeat && i < t->n_columns; i++)
        next += is_shared(fill[i].fill);
    for (size_t row = 0; row < n_rows; row++) {
        size_t shared = 1;

        buf_puts(out, row ? ", (" : "(");
        for (size_t i = 0; i < t->n_columns; i++) {
            if (i > 0)
                buf_puts(out, ", ");
            sql_put_placeholder(d, repeat && is_shared(fill[i].fill) ? shared++ : next++, out);
        }
        buf_putc(out, ')');
    }
}

/* A value of the row `prefix` on its way into the column. */
static void put_value(const struct sql_dialect *d, const struct sql_column *c, const char *prefix,
                      struct buf *out)
{
    buf_puts(out, c->cast ? "CAST(" : "");
    buf_puts(out, prefix);
    sql_put_name(d, c->name, out);
    if (c->cast) {
        buf_puts(out, " AS ");
        buf_puts(out, c->declared);
        buf_putc(out, ')');
    }
}

static void put_value_list(const struct sql_dialect *d, const struct sql_table *t,
                           const char *prefix, struct buf *out)
{
    const char *comma = "";

    for (size_t i = 0; i < t->n_columns; i++) {
        if (!has_role(&t->columns[i], ROLES_ALL))
            continue;
        buf_puts(out, comma);
        put_value(d, &t->columns[i], prefix, out);
        comma = ", ";
    }
}

void sql_put_insert_select(const struct sql_dialect *d, const struct sql_table *into,
                           const char *from, struct buf *out)
{
    buf_puts(out, "INSERT INTO ");
    put_table(d, into, out);
    buf_puts(out, " (");
    put_list(d, into, ROLES_ALL, "", out);
    buf_puts(out, ") SELECT ");
    put_value_list(d, into, "", out);
    buf_puts(out, " FROM ");
    sql_put_table(d, into->schema, from, out);
}

static size_t find_order(const struct sql_table *stage)
{
    size_t i = 0;

    while (i < stage->n_columns && stage->columns[i].role != SQL_ROLE_ORDER)
        i++;
    return i;
}

/* Of a table that has one. */
static const struct sql_column *order_of(const struct sql_table *stage)
{
    size_t i = find_order(stage);

    if (i == stage->n_columns)
        abort();
    return &stage->columns[i];
}

/* DELETE FROM t WHERE id IN (SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY key ORDER
 * BY id DESC) AS nth FROM t) AS r WHERE nth > 1): a join, however many rows there are. */
static void put_fold(const struct sql_dialect *d, const struct sql_table *t, const char *id,
                     enum sql_keep keep, struct buf *out)
{
    buf_puts(out, "DELETE FROM ");
    put_table(d, t, out);
    buf_puts(out, " WHERE ");
    sql_put_name(d, id, out);
    buf_puts(out, " IN (SELECT id FROM (SELECT ");
    sql_put_name(d, id, out);
    buf_puts(out, " AS id, row_number() OVER (PARTITION BY ");
    put_list(d, t, ROLE(SQL_ROLE_KEY), "", out);
    buf_puts(out, " ORDER BY ");
    sql_put_name(d, id, out);
    buf_puts(out, keep == SQL_KEEP_LAST ? " DESC" : "");
    buf_puts(out, ") AS nth FROM ");
    put_table(d, t, out);
    buf_puts(out, ") AS ranked WHERE nth > 1)");
}

void sql_put_fold(const struct sql_dialect *d, const struct sql_table *stage, enum sql_keep keep,
                  struct buf *out)
{
    put_fold(d, stage, order_of(stage)->name, keep, out);
}

void sql_put_fold_loaded(const struct sql_dialect *d, const struct sql_table *t, const char *row_id,
                         struct buf *out)
{
    put_fold(d, t, row_id, SQL_KEEP_LAST, out);
}

void sql_put_fold_note(const struct sql_dialect *d, const struct sql_table *stage, const char *kept,
                       enum sql_keep keep, struct buf *out)
{
    buf_puts(out, d->create_stage);
    sql_put_name(d, kept, out);
    buf_puts(out, " (kept bigint PRIMARY KEY) SELECT ");
    buf_puts(out, keep == SQL_KEEP_LAST ? "max(" : "min(");
    sql_put_name(d, order_of(stage)->name, out);
    buf_puts(out, ") AS kept FROM ");
    put_table(d, stage, out);
    buf_puts(out, " GROUP BY ");
    put_list(d, stage, ROLE(SQL_ROLE_KEY), "", out);
}

void sql_put_fold_rest(const struct sql_dialect *d, const struct sql_table *stage, const char *kept,
                       struct buf *out)
{
    buf_puts(out, "DELETE s FROM ");
    put_table(d, stage, out);
    buf_puts(out, " AS s LEFT JOIN ");
    sql_put_name(d, kept, out);
    buf_puts(out, " AS k ON k.kept = s.");
    sql_put_name(d, order_of(stage)->name, out);
    buf_puts(out, " WHERE k.kept IS NULL");
}

/* One side of a comparison. */
static void put_compared(const struct sql_dialect *d, const struct sql_column *c,
                         const char *prefix, struct buf *out)
{
    const struct sql_holes holes = {.column = c->name, .prefix = prefix};
    /* What was cast, and PostgreSQL's json, may have no equality: its text has. */
    bool as_text = c->cast || (c->declared && strcmp(c->declared, "json") == 0);

    if (as_text)
        sql_put_template(d, "CAST({column} AS text)", &holes, out);
    else
        sql_put_template(d, d->compare[c->type.type] ? d->compare[c->type.type] : "{column}",
                         &holes, out);
}

static void put_differs(const struct sql_dialect *d, const struct sql_column *c, const char *a,
                        const char *b, struct buf *out)
{
    static const char *const between[] = {
        [SQL_DIFFERS_IS_NOT] = " IS NOT ",
        [SQL_DIFFERS_DISTINCT] = " IS DISTINCT FROM ",
        [SQL_DIFFERS_SPACESHIP] = " <=> ",
    };

    buf_puts(out, d->differs == SQL_DIFFERS_SPACESHIP ? "NOT (" : "");
    put_compared(d, c, a, out);
    buf_puts(out, between[d->differs]);
    put_compared(d, c, b, out);
    buf_puts(out, d->differs == SQL_DIFFERS_SPACESHIP ? ")" : "");
}

/* "a.c1 differs from b.c1 OR a.c2 ..." over the columns of data. */
static void put_any_differs(const struct sql_dialect *d, const struct sql_table *t, const char *a,
                            const char *b, struct buf *out)
{
    const char * or = "";

    for (size_t i = 0; i < t->n_columns; i++) {
        if (t->columns[i].role != SQL_ROLE_DATA)
            continue;
        buf_puts(out, or);
        put_differs(d, &t->columns[i], a, b, out);
        or = " OR ";
    }
}

static void put_assignments(const struct sql_dialect *d, const struct sql_table *t,
                            const char *from, struct buf *out)
{
    const char *comma = " SET ";

    for (size_t i = 0; i < t->n_columns; i++) {
        if (!has_role(&t->columns[i], ROLE(SQL_ROLE_DATA) | ROLE(SQL_ROLE_STAMP)))
            continue;
        buf_puts(out, comma);
        if (d->update == SQL_UPDATE_JOIN)
            buf_puts(out, "t.");
        sql_put_name(d, t->columns[i].name, out);
        buf_puts(out, " = ");
        put_value(d, &t->columns[i], from, out);
        comma = ", ";
    }
}

static bool has_data(const struct sql_table *t)
{
    for (size_t i = 0; i < t->n_columns; i++) {
        if (t->columns[i].role == SQL_ROLE_DATA)
            return true;
    }
    return false;
}

/* " AND s.order BETWEEN a AND b"; numbers of ours, not values. */
static void put_span(const struct sql_dialect *d, const struct sql_table *stage,
                     const struct sql_span *span, const char *before, struct buf *out)
{
    if (!span)
        return;
    buf_puts(out, before);
    buf_puts(out, "s.");
    sql_put_name(d, order_of(stage)->name, out);
    buf_printf(out, " BETWEEN %lld AND %lld", (long long)span->first, (long long)span->last);
}

bool sql_put_merge_update(const struct sql_dialect *d, const struct sql_table *into,
                          const struct sql_table *stage, const struct sql_span *span,
                          struct buf *out)
{
    if (!has_data(stage))
        return false;
    buf_puts(out, "UPDATE ");
    put_table(d, into, out);
    buf_puts(out, " AS t");
    if (d->update == SQL_UPDATE_JOIN) {
        buf_puts(out, " JOIN ");
        put_table(d, stage, out);
        buf_puts(out, " AS s ON ");
        put_same_key(d, stage, "t.", "s.", out);
        put_assignments(d, stage, "s.", out);
        buf_puts(out, " WHERE (");
    } else {
        put_assignments(d, stage, "s.", out);
        buf_puts(out, " FROM ");
        put_table(d, stage, out);
        buf_puts(out, " AS s WHERE ");
        put_same_key(d, stage, "t.", "s.", out);
        buf_puts(out, " AND (");
    }
    put_any_differs(d, stage, "t.", "s.", out);
    buf_putc(out, ')');
    put_span(d, stage, span, " AND ", out);
    return true;
}

void sql_put_merge_insert(const struct sql_dialect *d, const struct sql_table *into,
                          const struct sql_table *stage, const struct sql_span *span,
                          struct buf *out)
{
    buf_puts(out, "INSERT INTO ");
    put_table(d, into, out);
    buf_puts(out, " (");
    put_list(d, stage, ROLES_ALL, "", out);
    buf_puts(out, ") SELECT ");
    put_value_list(d, stage, "s.", out);
    buf_puts(out, " FROM ");
    put_table(d, stage, out);
    buf_puts(out, " AS s WHERE NOT EXISTS (SELECT 1 FROM ");
    put_table(d, into, out);
    buf_puts(out, " AS t WHERE ");
    put_same_key(d, stage, "t.", "s.", out);
    buf_putc(out, ')');
    put_span(d, stage, span, " AND ", out);
    if (find_order(stage) < stage->n_columns) {
        buf_puts(out, " ORDER BY ");
        put_list(d, stage, ROLE(SQL_ROLE_ORDER), "s.", out);
    }
}

void sql_put_stage_insert(const struct sql_dialect *d, const struct sql_table *into,
                          const struct sql_table *stage, const struct sql_span *span,
                          struct buf *out)
{
    buf_puts(out, "INSERT INTO ");
    put_table(d, into, out);
    buf_puts(out, " (");
    put_list(d, stage, ROLES_ALL, "", out);
    buf_puts(out, ") SELECT ");
    put_value_list(d, stage, "s.", out);
    buf_puts(out, " FROM ");
    put_table(d, stage, out);
    buf_puts(out, " AS s");
    put_span(d, stage, span, " WHERE ", out);
    buf_puts(out, " ORDER BY ");
    put_list(d, stage, ROLE(SQL_ROLE_ORDER), "s.", out);
}

void sql_put_stage_from(const struct sql_dialect *d, const struct sql_table *stage,
                        const char *schema, const char *from, struct buf *out)
{
    buf_puts(out, "INSERT INTO ");
    put_table(d, stage, out);
    buf_puts(out, " (");
    put_list(d, stage, ROLE(SQL_ROLE_ORDER), "", out);
    buf_puts(out, ", ");
    put_list(d, stage, ROLES_ALL, "", out);
    buf_puts(out, ") SELECT row_number() OVER () - 1, ");
    put_list(d, stage, ROLES_ALL, "", out);
    buf_puts(out, " FROM ");
    sql_put_table(d, schema, from, out);
}

bool sql_put_stage_index(const struct sql_dialect *d, const struct sql_table *stage,
                         struct buf *out)
{
    if (d->empty_stage != SQL_EMPTY_ON_COMMIT)
        return false;
    buf_puts(out, "CREATE INDEX ON ");
    put_table(d, stage, out);
    buf_puts(out, " (");
    put_list(d, stage, ROLE(SQL_ROLE_ORDER), "", out);
    buf_putc(out, ')');
    return true;
}

void sql_put_upsert(const struct sql_dialect *d, const struct sql_table *into,
                    const struct sql_table *stage, bool update, struct buf *out)
{
    buf_puts(out, "WITH w AS (INSERT INTO ");
    put_table(d, into, out);
    buf_puts(out, " AS t (");
    put_list(d, stage, ROLES_ALL, "", out);
    buf_puts(out, ") SELECT ");
    put_value_list(d, stage, "s.", out);
    buf_puts(out, " FROM ");
    put_table(d, stage, out);
    buf_puts(out, " AS s ON CONFLICT (");
    put_list(d, stage, ROLE(SQL_ROLE_KEY), "", out);
    buf_puts(out, ") DO ");
    if (update && has_data(stage)) {
        buf_puts(out, "UPDATE");
        put_assignments(d, stage, "excluded.", out);
        buf_puts(out, " WHERE ");
        put_any_differs(d, stage, "t.", "excluded.", out);
    } else {
        buf_puts(out, "NOTHING");
    }
    /* Of a row that was there, xmax is the lock this statement took before it rewrote it. */
    buf_puts(out, " RETURNING (xmax = 0) AS added) SELECT count(*) FILTER (WHERE added),"
                  " count(*) FILTER (WHERE NOT added) FROM w");
}

void sql_put_delete_missing(const struct sql_dialect *d, const struct sql_table *from,
                            const struct sql_table *in, struct buf *out)
{
    buf_puts(out, d->update == SQL_UPDATE_JOIN ? "DELETE t FROM " : "DELETE FROM ");
    put_table(d, from, out);
    buf_puts(out, " AS t WHERE NOT EXISTS (SELECT 1 FROM ");
    put_table(d, in, out);
    buf_puts(out, " AS s WHERE ");
    put_same_key(d, in, "t.", "s.", out);
    buf_putc(out, ')');
}

void sql_put_stage_row(const struct sql_dialect *d, const struct sql_table *stage, int64_t order,
                       struct buf *out)
{
    const struct sql_span one = {order, order};
    const char *comma = "";

    buf_puts(out, "SELECT ");
    for (size_t i = 0; i < stage->n_columns; i++) {
        if (!has_role(&stage->columns[i], ROLES_ALL))
            continue;
        buf_puts(out, comma);
        buf_puts(out, d->differs == SQL_DIFFERS_DISTINCT ? "CAST(s." : "s.");
        sql_put_name(d, stage->columns[i].name, out);
        buf_puts(out, d->differs == SQL_DIFFERS_DISTINCT ? " AS text)" : "");
        comma = ", ";
    }
    buf_puts(out, " FROM ");
    put_table(d, stage, out);
    buf_puts(out, " AS s");
    put_span(d, stage, &one, " WHERE ", out);
}

void sql_put_count_repeated(const struct sql_dialect *d, const struct sql_table *t, struct buf *out)
{
    buf_puts(out, "SELECT count(*) FROM (SELECT 1 AS one FROM ");
    put_table(d, t, out);
    buf_puts(out, " GROUP BY ");
    put_list(d, t, ROLE(SQL_ROLE_KEY), "", out);
    buf_puts(out, " HAVING count(*) > 1) AS repeated");
}
