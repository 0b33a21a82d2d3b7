/* Our own tables, in the schema of the data: what the state of a stream is, and what was refused.
 */
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
    {.name = "pipeline",        .type = TEXT, .role = SQL_ROLE_KEY},
    {.name = "stream",          .type = TEXT, .role = SQL_ROLE_KEY},
    {.name = "part",            .type = TEXT, .role = SQL_ROLE_KEY},
    {.name = "generation",      .type = INT,  .role = SQL_ROLE_DATA},
    {.name = "live_generation", .type = INT,  .role = SQL_ROLE_DATA},
    {.name = "fence",           .type = INT,  .role = SQL_ROLE_DATA},
    {.name = "seq",             .type = INT,  .role = SQL_ROLE_DATA},
    {.name = "position",        .type = TEXT, .role = SQL_ROLE_DATA},
    {.name = "counters",        .type = TEXT, .role = SQL_ROLE_DATA},
    {.name = "schema_version",  .type = INT,  .role = SQL_ROLE_DATA},
    {.name = "run_id",          .type = TEXT, .role = SQL_ROLE_DATA},
    {.name = "committed_at",    .type = TEXT, .role = SQL_ROLE_DATA},
    {.name = "wanted_name",     .type = TEXT, .role = SQL_ROLE_DATA},
    {.name = "target",          .type = TEXT, .role = SQL_ROLE_DATA},
    {.name = "identity",        .type = TEXT, .role = SQL_ROLE_DATA},
    {.name = "schema_hash",     .type = TEXT, .role = SQL_ROLE_DATA},
    {.name = "columns",         .type = TEXT, .role = SQL_ROLE_DATA},
    {.name = "garbage",         .type = TEXT, .role = SQL_ROLE_DATA},
};
static const struct sql_column quarantine_columns[] = {
    {.name = "pipeline",   .type = TEXT, .role = SQL_ROLE_DATA},
    {.name = "stream",     .type = TEXT, .role = SQL_ROLE_DATA},
    {.name = "generation", .type = INT,  .role = SQL_ROLE_DATA},
    {.name = "seq",        .type = INT,  .role = SQL_ROLE_DATA},
    {.name = "ordinal",    .type = INT,  .role = SQL_ROLE_DATA},
    {.name = "level",      .type = TEXT, .role = SQL_ROLE_DATA},
    {.name = "column",     .type = TEXT, .role = SQL_ROLE_DATA},
    {.name = "reason",     .type = TEXT, .role = SQL_ROLE_DATA},
    {.name = "detail",     .type = TEXT, .role = SQL_ROLE_DATA},
    {.name = "key",        .type = TEXT, .role = SQL_ROLE_DATA},
    {.name = "position",   .type = TEXT, .role = SQL_ROLE_DATA},
    {.name = "raw",        .type = TEXT, .role = SQL_ROLE_DATA},
    {.name = "encoding",   .type = TEXT, .role = SQL_ROLE_DATA},
    {.name = "run_id",     .type = TEXT, .role = SQL_ROLE_DATA},
    {.name = "at",         .type = TEXT, .role = SQL_ROLE_DATA},
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

static void put_columns(const struct sql_dialect *d, const struct sql_table *t, struct buf *out)
{
    for (size_t i = 0; i < t->n_columns; i++) {
        buf_puts(out, i ? ", " : "");
        sql_put_name(d, t->columns[i].name, out);
    }
}

static void put_table(const struct sql_dialect *d, const struct sql_table *t, struct buf *out)
{
    sql_put_table(d, t->schema, t->name, out);
}

void sql_put_state_select(const struct sql_dialect *d, const char *schema, struct buf *out)
{
    struct sql_table t = sql_state_table(schema);

    buf_puts(out, "SELECT ");
    put_columns(d, &t, out);
    buf_puts(out, " FROM ");
    put_table(d, &t, out);
    buf_puts(out, " WHERE ");
    sql_put_name(d, "pipeline", out);
    buf_puts(out, " = ");
    sql_put_placeholder(d, 1, out);
    buf_puts(out, d->lock_rows);
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
