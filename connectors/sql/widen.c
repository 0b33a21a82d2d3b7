/*
 * Columns that become wider: by a statement where the database has one, else by copying the table.
 *
 * In SQLite the affinity of a column is part of its declaration: text in an INTEGER column would
 * come back as a number ('007' as 7), so a column that grows from a number to text must be declared
 * anew. Indexes and triggers of others are made again as they were; views only mean the name.
 */
#include <string.h>

#include "connectors/base/failpoint.h"
#include "connectors/sql/load.h"

static const struct sql_column *find_changed(const struct sql_column *to, size_t n,
                                             const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(to[i].name, name) == 0)
            return &to[i];
    }
    return NULL;
}

/* connectord_convert("c", 'int', 'string'): a function of the driver, since only it has it. */
static void put_converted(const struct sql_dialect *d, const struct known_column *from,
                          const struct sql_column *to, struct buf *out)
{
    char old_type[32], new_type[32];

    type_format(from->type, old_type);
    type_format(to->type, new_type);
    buf_puts(out, "connectord_convert(");
    sql_put_name(d, to->name, out);
    buf_printf(out, ", '%s', '%s')", old_type, new_type);
}

/* The same text means the same value in both, or another text is needed. */
static bool needs_other_text(struct column_type from, struct column_type to)
{
    return (to.type == TYPE_JSON && from.type != TYPE_JSON) ||
           (to.type == TYPE_TIMESTAMP && from.type == TYPE_DATE);
}

static void put_copy_definition(struct sql_destination *d, const struct load *l, const char *copy,
                                const struct table_column *actual, size_t n_actual,
                                const struct sql_column *to, size_t n, struct buf *out)
{
    buf_puts(out, "CREATE TABLE ");
    sql_put_table(d->dialect, l->schema, copy, out);
    for (size_t i = 0; i < n_actual; i++) {
        const struct sql_column *changed = find_changed(to, n, actual[i].name);
        char type[SQL_TYPE_BYTES];

        buf_puts(out, i ? ", " : " (");
        sql_put_name(d->dialect, actual[i].name, out);
        buf_putc(out, ' ');
        if (changed) {
            sql_column_type(d->dialect, &l->table, changed, type);
            buf_puts(out, type);
        } else if (*actual[i].declared) {
            sql_put_declared(d->dialect, actual[i].declared, out);
        }
    }
    buf_putc(out, ')');
}

static void put_copy_rows(struct sql_destination *d, const struct load *l, const char *copy,
                          const struct table_column *actual, size_t n_actual,
                          const struct known_column *from, const struct sql_column *to, size_t n,
                          struct buf *out)
{
    buf_puts(out, "INSERT INTO ");
    sql_put_table(d->dialect, l->schema, copy, out);
    buf_puts(out, " SELECT ");
    for (size_t i = 0; i < n_actual; i++) {
        const struct sql_column *changed = find_changed(to, n, actual[i].name);

        if (i > 0)
            buf_puts(out, ", ");
        if (changed)
            put_converted(d->dialect, &from[changed - to], changed, out);
        else
            sql_put_name(d->dialect, actual[i].name, out);
    }
    buf_puts(out, " FROM ");
    sql_put_table(d->dialect, l->schema, l->table_name, out);
}

static int rebuild(struct sql_destination *d, const struct load *l, const struct known_column *from,
                   const struct sql_column *to, size_t n, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    const char *copy = names_generation(d->scratch, l->table_name, 0, &d->dialect->names);
    struct attached_list attached;
    struct table_column *actual;
    size_t n_actual;
    int64_t ignored;

    if (shape_inspect(d, l->schema, l->table_name, &actual, &n_actual, err) < 0 ||
        swap_find_attached(d, l, l->table_name, &attached, err) < 0)
        return -1;
    put_copy_definition(d, l, copy, actual, n_actual, to, n, &sql);
    if (load_run(d, &sql, &ignored, err) < 0)
        return -1;
    put_copy_rows(d, l, copy, actual, n_actual, from, to, n, &sql);
    if (load_run(d, &sql, &ignored, err) < 0)
        return -1;
    sql_put_drop(d->dialect, l->schema, l->table_name, &sql);
    if (load_run(d, &sql, &ignored, err) < 0)
        return -1;
    sql_put_rename(d->dialect, l->schema, copy, l->table_name, &sql);
    if (load_run(d, &sql, &ignored, err) < 0)
        return -1;
    for (const struct attached *a = attached.first; a; a = a->next) {
        buf_puts(&sql, a->sql);
        if (load_run(d, &sql, &ignored, err) < 0)
            return error_wrap(err, "making an index or trigger of \"%s\" again", l->table_name);
    }
    return l->merging ? alter_index_key(d, l, l->table_name, err) : 0;
}

/* The declaration stays as it is, what is stored does not. */
static int rewrite(struct sql_destination *d, const struct load *l, const struct known_column *from,
                   const struct sql_column *to, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    int64_t ignored;

    buf_puts(&sql, "UPDATE ");
    sql_put_table(d->dialect, l->schema, l->table_name, &sql);
    buf_puts(&sql, " SET ");
    sql_put_name(d->dialect, to->name, &sql);
    buf_puts(&sql, " = ");
    put_converted(d->dialect, from, to, &sql);
    return load_run(d, &sql, &ignored, err);
}

/* The type a column has while its values are made into others. */
static struct column_type halfway(const struct sql_dialect *d, struct column_type from,
                                  struct column_type to)
{
    bool by_text = d->json_by_text && to.type == TYPE_JSON && from.type != TYPE_JSON;

    /* Bytes become text only as base64. */
    return !by_text ? to : from.type == TYPE_BYTES ? from : type_plain(TYPE_STRING);
}

/* Six digits are all that becomes text of a float of 32 bits; as one of 64 it keeps its value. */
static bool loses_digits(const struct sql_dialect *d, struct column_type from,
                         struct column_type to)
{
    return d->float32_by_float && from.type == TYPE_FLOAT && from.bits == 32 &&
           to.type != TYPE_FLOAT;
}

/* A view that shows a column, for one, does not let it become another. */
static int blocked(const struct sql_column *to, struct error *err)
{
    const struct error why = *err;
    char type[32];

    type_format(to->type, type);
    *err = ERROR_INIT;
    return error_set_reason(err, ERR_SCHEMA, "widening_blocked",
                            "column \"%s\" has to become %s, and something that depends on it"
                            " forbids that; drop it, run, and make it again: %s",
                            to->name, type, why.message);
}

static int alter_column(struct sql_destination *d, const struct load *l, struct column_type from,
                        const struct sql_column *to, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    int64_t ignored;

    if (type_equal(from, to->type))
        return 0;
    sql_put_widen(d->dialect, &l->table, to, from.type, &sql);
    if (load_run(d, &sql, &ignored, err) < 0)
        return err->code == ERR_UNSUPPORTED ? blocked(to, err)
                                            : error_wrap(err, "widening column \"%s\"", to->name);
    return 0;
}

/* What the values have become is remembered in the transaction that makes them so: they must not be
 * made into it twice. */
static int rewrite_columns(struct sql_destination *d, struct load *l,
                           const struct known_column *from, const struct sql_column *to, size_t n,
                           struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    int64_t ignored;

    if (!d->dialect->ddl_in_transaction && load_begin(d, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (sql_put_widen_after(d->dialect, &l->table, &to[i], from[i].type.type, &sql) &&
            load_run(d, &sql, &ignored, err) < 0)
            return error_wrap(err, "widening column \"%s\"", to[i].name);
    }
    if (d->dialect->ddl_in_transaction)
        return 0;
    return shape_record(d, l, err) < 0 ? -1 : load_commit(d, err);
}

static int alter_columns(struct sql_destination *d, struct load *l, const struct known_column *from,
                         const struct sql_column *to, size_t n, struct error *err)
{
    for (size_t i = 0; i < n; i++) {
        struct sql_column first = to[i];

        if (loses_digits(d->dialect, from[i].type, to[i].type)) {
            first.type = type_plain(TYPE_FLOAT);
            if (alter_column(d, l, from[i].type, &first, err) < 0)
                return -1;
        }
        first.type = halfway(d->dialect, from[i].type, to[i].type);
        if (alter_column(d, l, from[i].type, &first, err) < 0)
            return -1;
    }
    if (failpoint("during_widening", err) < 0 || rewrite_columns(d, l, from, to, n, err) < 0 ||
        failpoint("after_rewriting", err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (alter_column(d, l, halfway(d->dialect, from[i].type, to[i].type), &to[i], err) < 0)
            return -1;
    }
    return 0;
}

int widen_columns(struct sql_destination *d, struct load *l, const struct known_column *from,
                  const struct sql_column *to, size_t n, struct error *err)
{
    bool other_declaration = false;

    for (size_t i = 0; i < n; i++) {
        char old_type[32], new_type[32];

        type_format(from[i].type, old_type);
        type_format(to[i].type, new_type);
        log_info(d->run->log, .message = "column widened",
                 .fields = {log_text("stream", l->id), log_text("column", to[i].name),
                            log_text("from", old_type), log_text("to", new_type)});
        other_declaration |=
            strcmp(d->dialect->type[from[i].type.type], d->dialect->type[to[i].type.type]) != 0;
    }
    if (d->dialect->widen == SQL_WIDEN_ALTER)
        return alter_columns(d, l, from, to, n, err);
    if (other_declaration)
        return rebuild(d, l, from, to, n, err);
    for (size_t i = 0; i < n; i++) {
        if (needs_other_text(from[i].type, to[i].type) && rewrite(d, l, &from[i], &to[i], err) < 0)
            return error_wrap(err, "widening column \"%s\"", to[i].name);
    }
    return 0;
}
