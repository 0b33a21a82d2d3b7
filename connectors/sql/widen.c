/*
 * Columns that become wider: by a statement where the database has one, else by copying the table.
 *
 * In SQLite the affinity of a column is part of its declaration: text in an INTEGER column would
 * come back as a number ('007' as 7), so a column that grows from a number to text must be declared
 * anew. Indexes and triggers of others are made again as they were; views only mean the name.
 */
#include <string.h>

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
    buf_puts(out, "connectord_convert(");
    sql_put_name(d, to->name, out);
    buf_printf(out, ", '%s', '%s')", type_name(from->type.type), type_name(to->type.type));
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
            sql_format_type(d->dialect, changed->type, changed->role == SQL_ROLE_KEY, type);
            buf_puts(out, type);
        } else if (*actual[i].declared) {
            sql_put_name(d->dialect, actual[i].declared, out); /* a quoted type is a type */
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

/* Numbers are JSON as they stand; everything else has to become it. */
static int alter_to_json(struct sql_destination *d, const struct load *l, enum type from,
                         const struct sql_column *to, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    const struct sql_dialect *dialect = d->dialect;
    struct sql_column text = *to;
    int64_t ignored;

    if (dialect->widen_to_json) {
        sql_put_widen_json(dialect, &l->table, to,
                           from == TYPE_BYTES ? dialect->bytes_to_json : dialect->widen_to_json,
                           &sql);
        return load_run(d, &sql, &ignored, err);
    }
    if (from == TYPE_BYTES) {
        sql_put_widen_json(dialect, &l->table, to, dialect->bytes_to_json, &sql);
        if (load_run(d, &sql, &ignored, err) < 0)
            return -1;
    }
    text.type = type_plain(TYPE_STRING);
    sql_put_widen(dialect, &l->table, &text, &sql);
    if (load_run(d, &sql, &ignored, err) < 0)
        return -1;
    if (from != TYPE_INT && from != TYPE_DECIMAL && from != TYPE_FLOAT && from != TYPE_BYTES) {
        sql_put_widen_json(dialect, &l->table, to,
                           from == TYPE_BOOL ? dialect->bool_to_json : dialect->text_to_json, &sql);
        if (load_run(d, &sql, &ignored, err) < 0)
            return -1;
    }
    sql_put_widen(dialect, &l->table, to, &sql);
    return load_run(d, &sql, &ignored, err);
}

static int alter_column(struct sql_destination *d, const struct load *l, enum type from,
                        const struct sql_column *to, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    int64_t ignored;

    if (to->type.type == TYPE_JSON && from != TYPE_JSON)
        return alter_to_json(d, l, from, to, err);
    sql_put_widen(d->dialect, &l->table, to, &sql);
    return load_run(d, &sql, &ignored, err);
}

int widen_columns(struct sql_destination *d, const struct load *l, const struct known_column *from,
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
    if (d->dialect->widen == SQL_WIDEN_REBUILD && other_declaration)
        return rebuild(d, l, from, to, n, err);
    for (size_t i = 0; i < n; i++) {
        if (d->dialect->widen == SQL_WIDEN_ALTER) {
            if (alter_column(d, l, from[i].type.type, &to[i], err) < 0)
                return error_wrap(err, "widening column \"%s\"", to[i].name);
        } else if (needs_other_text(from[i].type, to[i].type) &&
                   rewrite(d, l, &from[i], &to[i], err) < 0) {
            return error_wrap(err, "widening column \"%s\"", to[i].name);
        }
    }
    return 0;
}
