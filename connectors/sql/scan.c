#include "connectors/sql/scan.h"

struct writer {
    const struct sql_dialect *d;
    const struct sql_scan *s;
    struct buf *out;
    struct sql_value *params;
    size_t n;
    const char *and; /* what stands before the next condition */
};

static void put_param(struct writer *w, struct sql_value v)
{
    w->params[w->n++] = v;
    sql_put_placeholder(w->d, w->n, w->out);
}

static void put_cursor(struct writer *w);

static void put_template(struct writer *w, const char *template, const char *column)
{
    for (const char *t = template; *t;) {
        const char *hole = strchr(t, '{'), *end = hole ? strchr(hole, '}') : NULL;

        if (!end) {
            buf_puts(w->out, t);
            return;
        }
        buf_put(w->out, t, (size_t)(hole - t));
        if (strncmp(hole, "{column}", 8) == 0)
            sql_put_name(w->d, column, w->out);
        else if (strncmp(hole, "{cursor}", 8) == 0)
            put_cursor(w);
        else
            put_param(w, sql_text(w->s->hint));
        t = end + 1;
    }
}

static void put_cursor(struct writer *w)
{
    put_template(w, w->d->cursor[w->s->cursor_type], w->s->cursor);
}

/* The line break ends a comment that the text may end with. */
static void put_from(struct writer *w)
{
    buf_puts(w->out, " FROM ");
    if (w->s->query) {
        buf_putc(w->out, '(');
        buf_puts(w->out, w->s->query);
        buf_puts(w->out, "\n) AS q");
        return;
    }
    sql_put_table(w->d, w->s->schema, w->s->table, w->out);
}

static void condition(struct writer *w)
{
    buf_puts(w->out, w->and);
    w->and = " AND ";
}

static void put_keys(struct writer *w, const char *comma)
{
    for (size_t i = 0; i < w->s->n_key; i++) {
        buf_puts(w->out, comma);
        sql_put_name(w->d, w->s->key[i], w->out);
        comma = ", ";
    }
}

static void put_hint(struct writer *w)
{
    const char *hint = w->d->cursor_hint[w->s->cursor_type];

    if (!w->s->hint || !hint)
        return;
    condition(w);
    put_template(w, hint, w->s->cursor);
}

static void put_window(struct writer *w)
{
    const struct sql_scan *s = w->s;

    if (s->window == SQL_WINDOW_NULL) {
        condition(w);
        put_template(w, w->d->cursor_is_null[s->cursor_type], s->cursor);
    }
    if (s->window != SQL_WINDOW_RANGE)
        return;
    put_hint(w);
    if (s->has_lower && !s->after_cursor) {
        condition(w);
        put_cursor(w);
        buf_puts(w->out, " >= ");
        put_param(w, s->lower);
    }
    condition(w);
    put_cursor(w);
    buf_puts(w->out, " <= ");
    put_param(w, s->upper);
}

static struct sql_value filter_param(const struct row_filter *f, const struct filter_value *v)
{
    struct sql_value out = {.kind = SQL_TEXT, .bytes = v->text};

    switch (f->type.type) {
    case TYPE_BOOL:
    case TYPE_INT:
    case TYPE_DATE:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
        out = sql_int(v->number);
        break;
    case TYPE_FLOAT:
        out = (struct sql_value){.kind = SQL_REAL, .real = v->real};
        break;
    case TYPE_BYTES:
        out.kind = SQL_BLOB;
        break;
    case TYPE_DECIMAL:
    case TYPE_STRING:
    case TYPE_TIME:
    case TYPE_INTERVAL:
    case TYPE_UUID:
    case TYPE_JSON:
    case TYPE_COUNT:
        break;
    }
    out.type = &f->type;
    return out;
}

static void put_filter(struct writer *w, const struct row_filter *f)
{
    static const char *const words[FILTER_OP_COUNT] = {
        [FILTER_EQ] = " = ",           [FILTER_NE] = " <> ",
        [FILTER_LT] = " < ",           [FILTER_LE] = " <= ",
        [FILTER_GT] = " > ",           [FILTER_GE] = " >= ",
        [FILTER_IN] = " IN (",         [FILTER_NOT_IN] = " NOT IN (",
        [FILTER_IS_NULL] = " IS NULL", [FILTER_IS_NOT_NULL] = " IS NOT NULL",
    };
    const char *column = w->d->filter[f->type.type];

    condition(w);
    put_template(w, column && f->n_values > 0 ? column : "{column}", f->column);
    buf_puts(w->out, words[f->op]);
    for (size_t i = 0; i < f->n_values; i++) {
        if (i > 0)
            buf_puts(w->out, ", ");
        put_param(w, filter_param(f, &f->values[i]));
    }
    if (f->op == FILTER_IN || f->op == FILTER_NOT_IN)
        buf_putc(w->out, ')');
}

static void put_filters(struct writer *w)
{
    for (size_t i = 0; i < w->s->n_filters; i++)
        put_filter(w, &w->s->filters[i]);
}

/* (cursor, k1, k2) > (?, ?, ?) */
static void put_resume_row(struct writer *w)
{
    const struct sql_scan *s = w->s;
    const char *comma = "";

    buf_putc(w->out, '(');
    if (s->after_cursor) {
        put_cursor(w);
        comma = ", ";
    }
    if (s->after_key)
        put_keys(w, comma);
    buf_puts(w->out, ") > (");
    comma = "";
    if (s->after_cursor) {
        put_param(w, s->resume_cursor);
        comma = ", ";
    }
    for (size_t i = 0; s->after_key && i < s->n_key; i++) {
        buf_puts(w->out, comma);
        put_param(w, s->resume_key[i]);
        comma = ", ";
    }
    buf_putc(w->out, ')');
}

/* One element of the row, compared. */
static void put_element(struct writer *w, size_t i, const char *operator)
{
    const struct sql_scan *s = w->s;
    size_t key = i - s->after_cursor;

    if (s->after_cursor && i == 0)
        put_cursor(w);
    else
        sql_put_name(w->d, s->key[key], w->out);
    buf_puts(w->out, operator);
    put_param(w, s->after_cursor && i == 0 ? s->resume_cursor : s->resume_key[key]);
}

/* (cursor > ? OR (cursor = ? AND (k1 > ? OR (k1 = ? AND k2 > ?)))) */
static void put_resume_expanded(struct writer *w)
{
    size_t n = w->s->after_cursor + (w->s->after_key ? w->s->n_key : 0);

    for (size_t i = 0; i < n; i++) {
        buf_putc(w->out, '(');
        put_element(w, i, " > ");
        if (i + 1 < n) {
            buf_puts(w->out, " OR (");
            put_element(w, i, " = ");
            buf_puts(w->out, " AND ");
        }
    }
    for (size_t i = 0; i < 2 * n - 1; i++)
        buf_putc(w->out, ')');
}

static void put_resume(struct writer *w)
{
    if (!w->s->after_cursor && !w->s->after_key)
        return;
    condition(w);
    if (w->d->expand_rows)
        put_resume_expanded(w);
    else
        put_resume_row(w);
}

static void put_order(struct writer *w)
{
    const char *comma = " ORDER BY ";

    if (w->s->window == SQL_WINDOW_RANGE) {
        buf_puts(w->out, comma);
        put_cursor(w);
        comma = ", ";
    }
    put_keys(w, comma);
}

static void put_selected(struct writer *w, const char *cast, const char *column)
{
    put_template(w, cast ? cast : "{column}", column);
}

size_t sql_put_scan(const struct sql_dialect *d, const struct sql_scan *s, struct buf *out,
                    struct sql_value params[static SQL_SCAN_PARAMS])
{
    struct writer w = {.d = d, .s = s, .out = out, .params = params, .and = " WHERE "};
    const char *comma = "";

    buf_puts(out, "SELECT ");
    for (size_t i = 0; i < s->columns->n_columns; i++) {
        buf_puts(out, comma);
        put_selected(&w, s->cast ? s->cast[i] : NULL, s->columns->columns[i].name);
        comma = ", ";
    }
    for (size_t i = 0; i < s->n_key && !s->omit_key; i++) {
        buf_puts(out, comma);
        put_selected(&w, s->key_cast ? s->key_cast[i] : NULL, s->key[i]);
        comma = ", ";
    }
    if (s->window == SQL_WINDOW_RANGE) {
        buf_puts(out, ", ");
        put_cursor(&w);
    }
    put_from(&w);
    put_filters(&w);
    put_window(&w);
    put_resume(&w);
    put_order(&w);
    return w.n;
}

size_t sql_put_scan_count(const struct sql_dialect *d, const struct sql_scan *s, struct buf *out,
                          struct sql_value params[static SQL_SCAN_PARAMS])
{
    struct writer w = {.d = d, .s = s, .out = out, .params = params, .and = " WHERE "};

    buf_puts(out, "SELECT count(*)");
    put_from(&w);
    put_filters(&w);
    put_window(&w);
    put_resume(&w);
    return w.n;
}

size_t sql_put_scan_max(const struct sql_dialect *d, const struct sql_scan *s, struct buf *out,
                        struct sql_value params[static SQL_SCAN_PARAMS])
{
    struct writer w = {.d = d, .s = s, .out = out, .params = params, .and = " WHERE "};

    buf_puts(out, "SELECT max(");
    put_cursor(&w);
    buf_putc(out, ')');
    put_from(&w);
    put_hint(&w);
    if (s->cursor_type == TYPE_INT) { /* leaves out what is no integer, and an index still serves */
        condition(&w);
        put_cursor(&w);
        buf_puts(out, " <= 9223372036854775807");
    }
    return w.n;
}
