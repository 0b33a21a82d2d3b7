#include "connectors/sql/statement.h"

#define STATE      "_connectord_state"
#define QUARANTINE "_connectord_quarantine"

/* Column types of our own tables. */
#define INT              \
    {                    \
        .type = TYPE_INT \
    }
#define TEXT                \
    {                       \
        .type = TYPE_STRING \
    }

/* clang-format off */
static const struct sql_column state_columns[] = {
    {"pipeline",        TEXT, SQL_ROLE_KEY},
    {"stream",          TEXT, SQL_ROLE_KEY},
    {"part",            TEXT, SQL_ROLE_KEY},
    {"generation",      INT,  SQL_ROLE_DATA},
    {"live_generation", INT,  SQL_ROLE_DATA},
    {"fence",           INT,  SQL_ROLE_DATA},
    {"seq",             INT,  SQL_ROLE_DATA},
    {"position",        TEXT, SQL_ROLE_DATA},
    {"counters",        TEXT, SQL_ROLE_DATA},
    {"schema_version",  INT,  SQL_ROLE_DATA},
    {"run_id",          TEXT, SQL_ROLE_DATA},
    {"committed_at",    TEXT, SQL_ROLE_DATA},
    {"wanted_name",     TEXT, SQL_ROLE_DATA},
    {"target",          TEXT, SQL_ROLE_DATA},
    {"identity",        TEXT, SQL_ROLE_DATA},
    {"schema_hash",     TEXT, SQL_ROLE_DATA},
    {"columns",         TEXT, SQL_ROLE_DATA},
    {"garbage",         TEXT, SQL_ROLE_DATA},
};
static const struct sql_column quarantine_columns[] = {
    {"pipeline",   TEXT, SQL_ROLE_DATA},
    {"stream",     TEXT, SQL_ROLE_DATA},
    {"generation", INT,  SQL_ROLE_DATA},
    {"seq",        INT,  SQL_ROLE_DATA},
    {"ordinal",    INT,  SQL_ROLE_DATA},
    {"level",      TEXT, SQL_ROLE_DATA},
    {"column",     TEXT, SQL_ROLE_DATA},
    {"reason",     TEXT, SQL_ROLE_DATA},
    {"detail",     TEXT, SQL_ROLE_DATA},
    {"key",        TEXT, SQL_ROLE_DATA},
    {"position",   TEXT, SQL_ROLE_DATA},
    {"raw",        TEXT, SQL_ROLE_DATA},
    {"encoding",   TEXT, SQL_ROLE_DATA},
    {"run_id",     TEXT, SQL_ROLE_DATA},
    {"at",         TEXT, SQL_ROLE_DATA},
};
/* clang-format on */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct sql_table sql_state_table(const char *schema)
{
    return (struct sql_table){schema, STATE, state_columns, COUNT(state_columns)};
}

struct sql_table sql_quarantine_table(const char *schema)
{
    return (struct sql_table){schema, QUARANTINE, quarantine_columns, COUNT(quarantine_columns)};
}

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

static void put_column(const struct sql_dialect *d, const struct sql_column *c, struct buf *out)
{
    char type[64];

    sql_format_type(d, c->type, c->role == SQL_ROLE_KEY, type);
    sql_put_name(d, c->name, out);
    buf_putc(out, ' ');
    buf_puts(out, type);
}

void sql_put_create(const struct sql_dialect *d, const struct sql_table *t, enum sql_create how,
                    struct buf *out)
{
    if (how == SQL_CREATE_STAGE)
        buf_puts(out, d->create_stage);
    else
        buf_puts(out, how == SQL_CREATE_KEYED ? "CREATE TABLE IF NOT EXISTS " : "CREATE TABLE ");
    put_table(d, t, out);
    buf_puts(out, " (");
    for (size_t i = 0; i < t->n_columns; i++) {
        if (i > 0)
            buf_puts(out, ", ");
        put_column(d, &t->columns[i], out);
        if (how == SQL_CREATE_KEYED && t->columns[i].role == SQL_ROLE_KEY)
            buf_puts(out, " NOT NULL");
        if (t->columns[i].role == SQL_ROLE_ORDER)
            buf_puts(out, " PRIMARY KEY"); /* SQLite's row number, so reading in order is free */
    }
    if (how == SQL_CREATE_KEYED) {
        buf_puts(out, ", PRIMARY KEY (");
        put_list(d, t, ROLE(SQL_ROLE_KEY), "", out);
        buf_putc(out, ')');
    }
    buf_putc(out, ')');
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

void sql_put_add_column(const struct sql_dialect *d, const struct sql_table *t,
                        const struct sql_column *column, struct buf *out)
{
    buf_puts(out, "ALTER TABLE ");
    put_table(d, t, out);
    buf_puts(out, " ADD COLUMN ");
    put_column(d, column, out);
}

void sql_put_widen(const struct sql_dialect *d, const struct sql_table *t,
                   const struct sql_column *column, struct buf *out)
{
    char type[64];

    sql_format_type(d, column->type, column->role == SQL_ROLE_KEY, type);
    for (const char *s = d->widen_column; *s;) {
        const char *hole = strchr(s, '{'), *end = hole ? strchr(hole, '}') : NULL;

        if (!end) {
            buf_puts(out, s);
            return;
        }
        buf_put(out, s, (size_t)(hole - s));
        if (strncmp(hole, "{table}", 7) == 0)
            put_table(d, t, out);
        else if (strncmp(hole, "{column}", 8) == 0)
            sql_put_name(d, column->name, out);
        else
            buf_puts(out, type);
        s = end + 1;
    }
}

void sql_put_drop(const struct sql_dialect *d, const char *schema, const char *name,
                  struct buf *out)
{
    buf_puts(out, "DROP TABLE IF EXISTS ");
    sql_put_table(d, schema, name, out);
}

void sql_put_rename(const struct sql_dialect *d, const char *schema, const char *from,
                    const char *to, struct buf *out)
{
    buf_puts(out, "ALTER TABLE ");
    sql_put_table(d, schema, from, out);
    buf_puts(out, " RENAME TO ");
    /* PostgreSQL takes no schema here; MySQL would move the table to the current one without. */
    sql_put_table(d, d->ddl_in_transaction ? "" : schema, to, out);
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

void sql_put_insert_select(const struct sql_dialect *d, const struct sql_table *into,
                           const char *from, struct buf *out)
{
    buf_puts(out, "INSERT INTO ");
    put_table(d, into, out);
    buf_puts(out, " (");
    put_list(d, into, ROLES_ALL, "", out);
    buf_puts(out, ") SELECT ");
    put_list(d, into, ROLES_ALL, "", out);
    buf_puts(out, " FROM ");
    sql_put_table(d, into->schema, from, out);
}

/* DELETE FROM t WHERE id NOT IN (SELECT keep FROM (SELECT max(id) AS keep FROM t GROUP BY key) AS
 * kept): the derived table is for MySQL, which may not read the table it deletes from. */
static void put_fold(const struct sql_dialect *d, const struct sql_table *t, const char *id,
                     const char *which, struct buf *out)
{
    buf_puts(out, "DELETE FROM ");
    put_table(d, t, out);
    buf_puts(out, " WHERE ");
    sql_put_name(d, id, out);
    buf_puts(out, " NOT IN (SELECT keep FROM (SELECT ");
    buf_puts(out, which);
    buf_putc(out, '(');
    sql_put_name(d, id, out);
    buf_puts(out, ") AS keep FROM ");
    put_table(d, t, out);
    buf_puts(out, " GROUP BY ");
    put_list(d, t, ROLE(SQL_ROLE_KEY), "", out);
    buf_puts(out, ") AS kept)");
}

void sql_put_fold(const struct sql_dialect *d, const struct sql_table *stage, enum sql_keep keep,
                  struct buf *out)
{
    const char *order = "";

    for (size_t i = 0; i < stage->n_columns; i++) {
        if (stage->columns[i].role == SQL_ROLE_ORDER)
            order = stage->columns[i].name;
    }
    put_fold(d, stage, order, keep == SQL_KEEP_LAST ? "max" : "min", out);
}

void sql_put_fold_loaded(const struct sql_dialect *d, const struct sql_table *t, const char *row_id,
                         struct buf *out)
{
    put_fold(d, t, row_id, "max", out);
}

static void put_differs(const struct sql_dialect *d, const char *name, struct buf *out)
{
    buf_puts(out, d->differs == SQL_DIFFERS_SPACESHIP ? "NOT (t." : "t.");
    sql_put_name(d, name, out);
    switch (d->differs) {
    case SQL_DIFFERS_IS_NOT:
        buf_puts(out, " IS NOT s.");
        break;
    case SQL_DIFFERS_DISTINCT:
        buf_puts(out, " IS DISTINCT FROM s.");
        break;
    case SQL_DIFFERS_SPACESHIP:
        buf_puts(out, " <=> s.");
        break;
    }
    sql_put_name(d, name, out);
    if (d->differs == SQL_DIFFERS_SPACESHIP)
        buf_putc(out, ')');
}

static void put_assignments(const struct sql_dialect *d, const struct sql_table *stage,
                            struct buf *out)
{
    const char *comma = " SET ";

    for (size_t i = 0; i < stage->n_columns; i++) {
        if (!has_role(&stage->columns[i], ROLE(SQL_ROLE_DATA) | ROLE(SQL_ROLE_STAMP)))
            continue;
        buf_puts(out, comma);
        if (d->update == SQL_UPDATE_JOIN)
            buf_puts(out, "t.");
        sql_put_name(d, stage->columns[i].name, out);
        buf_puts(out, " = s.");
        sql_put_name(d, stage->columns[i].name, out);
        comma = ", ";
    }
}

bool sql_put_merge_update(const struct sql_dialect *d, const struct sql_table *into,
                          const struct sql_table *stage, struct buf *out)
{
    const char * or = "";
    size_t n_data = 0;

    for (size_t i = 0; i < stage->n_columns; i++)
        n_data += stage->columns[i].role == SQL_ROLE_DATA;
    if (n_data == 0)
        return false;
    buf_puts(out, "UPDATE ");
    put_table(d, into, out);
    buf_puts(out, " AS t");
    if (d->update == SQL_UPDATE_JOIN) {
        buf_puts(out, " JOIN ");
        put_table(d, stage, out);
        buf_puts(out, " AS s ON ");
        put_same_key(d, stage, "t.", "s.", out);
        put_assignments(d, stage, out);
        buf_puts(out, " WHERE (");
    } else {
        put_assignments(d, stage, out);
        buf_puts(out, " FROM ");
        put_table(d, stage, out);
        buf_puts(out, " AS s WHERE ");
        put_same_key(d, stage, "t.", "s.", out);
        buf_puts(out, " AND (");
    }
    for (size_t i = 0; i < stage->n_columns; i++) {
        if (stage->columns[i].role != SQL_ROLE_DATA)
            continue;
        buf_puts(out, or);
        put_differs(d, stage->columns[i].name, out);
        or = " OR ";
    }
    buf_putc(out, ')');
    return true;
}

void sql_put_merge_insert(const struct sql_dialect *d, const struct sql_table *into,
                          const struct sql_table *stage, struct buf *out)
{
    buf_puts(out, "INSERT INTO ");
    put_table(d, into, out);
    buf_puts(out, " (");
    put_list(d, stage, ROLES_ALL, "", out);
    buf_puts(out, ") SELECT ");
    put_list(d, stage, ROLES_ALL, "s.", out);
    buf_puts(out, " FROM ");
    put_table(d, stage, out);
    buf_puts(out, " AS s WHERE NOT EXISTS (SELECT 1 FROM ");
    put_table(d, into, out);
    buf_puts(out, " AS t WHERE ");
    put_same_key(d, stage, "t.", "s.", out);
    buf_puts(out, ") ORDER BY ");
    put_list(d, stage, ROLE(SQL_ROLE_ORDER), "s.", out);
}

void sql_put_count_repeated(const struct sql_dialect *d, const struct sql_table *t, struct buf *out)
{
    buf_puts(out, "SELECT count(*) FROM (SELECT 1 AS one FROM ");
    put_table(d, t, out);
    buf_puts(out, " GROUP BY ");
    put_list(d, t, ROLE(SQL_ROLE_KEY), "", out);
    buf_puts(out, " HAVING count(*) > 1) AS repeated");
}

void sql_put_state_select(const struct sql_dialect *d, const char *schema, struct buf *out)
{
    struct sql_table t = sql_state_table(schema);

    buf_puts(out, "SELECT ");
    put_list(d, &t, ~0u, "", out);
    buf_puts(out, " FROM ");
    put_table(d, &t, out);
    buf_puts(out, " WHERE ");
    sql_put_name(d, "pipeline", out);
    buf_puts(out, " = ");
    sql_put_placeholder(d, 1, out);
}

void sql_put_owners_select(const struct sql_dialect *d, const char *schema, struct buf *out)
{
    struct sql_table t = sql_state_table(schema);

    buf_puts(out, "SELECT ");
    sql_put_name(d, "pipeline", out);
    buf_puts(out, ", ");
    sql_put_name(d, "stream", out);
    buf_puts(out, ", ");
    sql_put_name(d, "target", out);
    buf_puts(out, " FROM ");
    put_table(d, &t, out);
}

static void put_condition(const struct sql_dialect *d, const char *before, const char *name,
                          size_t number, struct buf *out)
{
    buf_puts(out, before);
    sql_put_name(d, name, out);
    buf_puts(out, " = ");
    sql_put_placeholder(d, number, out);
}

void sql_put_state_update(const struct sql_dialect *d, const char *schema, struct buf *out)
{
    struct sql_table t = sql_state_table(schema);
    const char *before = " SET ";
    size_t n = 1;

    buf_puts(out, "UPDATE ");
    put_table(d, &t, out);
    for (size_t i = 0; i < t.n_columns; i++) {
        if (t.columns[i].role == SQL_ROLE_KEY)
            continue;
        put_condition(d, before, t.columns[i].name, n++, out);
        before = ", ";
    }
    put_condition(d, " WHERE ", "pipeline", n++, out);
    put_condition(d, " AND ", "stream", n++, out);
    put_condition(d, " AND ", "part", n++, out);
    put_condition(d, " AND ", "fence", n++, out);
    put_condition(d, " AND ", "seq", n, out);
}

static void put_delete_stream(const struct sql_dialect *d, const struct sql_table *t,
                              struct buf *out)
{
    buf_puts(out, "DELETE FROM ");
    put_table(d, t, out);
    put_condition(d, " WHERE ", "pipeline", 1, out);
    put_condition(d, " AND ", "stream", 2, out);
}

void sql_put_state_delete(const struct sql_dialect *d, const char *schema, struct buf *out)
{
    struct sql_table t = sql_state_table(schema);

    put_delete_stream(d, &t, out);
}

void sql_put_quarantine_delete(const struct sql_dialect *d, const char *schema, struct buf *out)
{
    struct sql_table t = sql_quarantine_table(schema);

    put_delete_stream(d, &t, out);
}
