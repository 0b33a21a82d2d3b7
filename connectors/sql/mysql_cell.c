/*
 * Cells of a batch as MariaDB and MySQL read them: one reader is chosen per column per batch.
 * Text and bytes stay in the batch; what must be written out lies in the caller's scratch, or in
 * the arena where a column has grown beyond the type of the batch.
 */
#include <math.h>
#include <stdlib.h>

#include "connectors/sql/convert.h"
#include "connectors/sql/mysql_cell.h"

static struct sql_value text_of(const char *s, size_t n)
{
    return (struct sql_value){.kind = SQL_TEXT, .bytes = {s, n}};
}

static struct sql_value read_bool(const struct mysql_place *p, size_t row, char *scratch)
{
    (void)scratch;
    return sql_int(p->view.bools[row]);
}

static struct sql_value read_int(const struct mysql_place *p, size_t row, char *scratch)
{
    (void)scratch;
    return sql_int(p->view.ints[row]);
}

/* 32 bits are written as the double they are: parsing a shorter text could round twice. */
static struct sql_value read_double(const struct mysql_place *p, size_t row, char *scratch)
{
    (void)scratch;
    return (struct sql_value){.kind = SQL_REAL, .real = p->view.doubles[row]};
}

static struct sql_value read_text(const struct mysql_place *p, size_t row, char *scratch)
{
    struct slice s = column_text(&p->view, row);

    (void)scratch;
    return text_of(s.ptr, s.len);
}

static struct sql_value read_key_decimal(const struct mysql_place *p, size_t row, char *scratch)
{
    struct slice s = column_text(&p->view, row);

    (void)scratch;
    return text_of(s.ptr, sql_trim_decimal(s.ptr, s.len));
}

static struct sql_value read_bytes(const struct mysql_place *p, size_t row, char *scratch)
{
    (void)scratch;
    return (struct sql_value){.kind = SQL_BLOB, .bytes = column_text(&p->view, row)};
}

static struct sql_value read_date(const struct mysql_place *p, size_t row, char *scratch)
{
    return text_of(scratch, value_format_date(p->view.ints[row], scratch));
}

static struct sql_value read_time(const struct mysql_place *p, size_t row, char *scratch)
{
    return text_of(scratch, value_format_time(p->view.ints[row], scratch));
}

/* The session's zone is UTC, so an instant is written as the time it shows there. */
static size_t format_timestamp(int64_t us, char *out)
{
    size_t n = value_format_timestamp(us, out);
    char *t = memchr(out, 'T', n);

    if (t)
        *t = ' ';
    return n;
}

static struct sql_value read_timestamp(const struct mysql_place *p, size_t row, char *scratch)
{
    return text_of(scratch, format_timestamp(p->view.ints[row], scratch));
}

static struct sql_value read_uuid(const struct mysql_place *p, size_t row, char *scratch)
{
    return text_of(scratch, value_format_uuid(p->view.fixed[row], scratch));
}

static struct sql_value read_interval(const struct mysql_place *p, size_t row, char *scratch)
{
    struct interval span;

    memcpy(&span, p->view.fixed[row], sizeof span);
    return text_of(scratch, value_format_interval(span, scratch));
}

/* The column has grown beyond the type of the batch: rare, so it may cost a copy. */
static struct sql_value read_converted(const struct mysql_place *p, size_t row, char *scratch)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(4 * BATCH_MAX_VALUE);

    (void)scratch;
    sql_convert_cell(p->rows, p->from, row, p->type.type, p->to.type, &text);
    if (p->key && p->to.type == TYPE_DECIMAL)
        text.len = sql_trim_decimal(buf_str(&text), text.len);
    return text_of(arena_memdup(p->mem, buf_str(&text), text.len), text.len);
}

static struct sql_value read_shared(const struct mysql_place *p, size_t row, char *scratch)
{
    (void)row;
    (void)scratch;
    return p->shared;
}

static struct sql_value read_meta(const struct mysql_place *p, size_t row, char *scratch)
{
    (void)scratch;
    return sql_text(p->meta ? p->meta[row] : NULL);
}

static struct sql_value read_order(const struct mysql_place *p, size_t row, char *scratch)
{
    (void)scratch;
    return sql_int(p->shared.number + (int64_t)row);
}

static mysql_read_cell *const readers[TYPE_COUNT] = {
    [TYPE_BOOL] = read_bool,           [TYPE_INT] = read_int,
    [TYPE_DECIMAL] = read_text,        [TYPE_FLOAT] = read_double,
    [TYPE_STRING] = read_text,         [TYPE_BYTES] = read_bytes,
    [TYPE_DATE] = read_date,           [TYPE_TIME] = read_time,
    [TYPE_TIMESTAMP] = read_timestamp, [TYPE_TIMESTAMPTZ] = read_timestamp,
    [TYPE_INTERVAL] = read_interval,   [TYPE_UUID] = read_uuid,
    [TYPE_JSON] = read_text,
};

static const enum sql_kind kinds[TYPE_COUNT] = {
    [TYPE_BOOL] = SQL_INT,         [TYPE_INT] = SQL_INT,       [TYPE_DECIMAL] = SQL_TEXT,
    [TYPE_FLOAT] = SQL_REAL,       [TYPE_STRING] = SQL_TEXT,   [TYPE_BYTES] = SQL_BLOB,
    [TYPE_DATE] = SQL_TEXT,        [TYPE_TIME] = SQL_TEXT,     [TYPE_TIMESTAMP] = SQL_TEXT,
    [TYPE_TIMESTAMPTZ] = SQL_TEXT, [TYPE_INTERVAL] = SQL_TEXT, [TYPE_UUID] = SQL_TEXT,
    [TYPE_JSON] = SQL_TEXT,
};
static const enum mysql_moment moments[TYPE_COUNT] = {
    [TYPE_DATE] = MYSQL_DATE,
    [TYPE_TIMESTAMP] = MYSQL_INSTANT,
    [TYPE_TIMESTAMPTZ] = MYSQL_INSTANT,
};

static void place_column(const struct sql_bulk_column *fill, const struct sql_column *column,
                         struct mysql_place *p)
{
    enum type type = fill->type.type;

    p->view = batch_column(p->rows, fill->from);
    p->has_view = true;
    p->type = fill->type;
    p->to = column->type;
    p->key = column->role == SQL_ROLE_KEY;
    p->read = readers[type];
    p->holds = kinds[type];
    /* A column of others may be text, or drop digits from a number without a word. */
    if (!column->declared)
        p->moment = moments[type];
    if (type != p->to.type) {
        p->read = read_converted;
        p->holds = SQL_TEXT;
        p->moment = MYSQL_NO_MOMENT;
    } else if (p->key && type == TYPE_DECIMAL) {
        p->read = read_key_decimal; /* 1.0 and 1.00 are one key, also where decimals are text */
    }
}

static void share(struct sql_value v, struct mysql_place *p)
{
    p->read = read_shared;
    p->is_shared = true;
    p->shared = v;
    p->holds = v.kind;
}

/* Text of the engine is canonical, with a 'Z' behind an instant that no column here takes. */
static void share_text(const char *text, const struct sql_column *column, struct mysql_place *p)
{
    char out[VALUE_TEXT_BYTES];

    share(sql_text(text), p);
    if (column->type.type == TYPE_TIMESTAMPTZ && text &&
        value_parse_timestamptz(text, strlen(text), &p->shared_moment)) {
        size_t n = format_timestamp(p->shared_moment, out);

        p->shared = text_of(arena_memdup(p->mem, out, n), n);
        p->moment = column->declared ? MYSQL_NO_MOMENT : MYSQL_INSTANT;
    }
}

void mysql_place_cells(const struct sql_bulk *what, const struct batch *rows, struct arena *mem,
                       struct mysql_place *out)
{
    for (size_t i = 0; i < what->into->n_columns; i++) {
        const struct sql_bulk_column *fill = &what->fill[i];
        const struct sql_column *column = &what->into->columns[i];
        struct mysql_place *p = &out[i];

        *p = (struct mysql_place){.mem = mem, .rows = rows, .from = fill->from};
        switch (fill->fill) {
        case SQL_FILL_COLUMN:
            place_column(fill, column, p);
            break;
        case SQL_FILL_NULL:
            share((struct sql_value){.kind = SQL_NULL}, p);
            break;
        case SQL_FILL_TEXT:
            share_text(fill->text, column, p);
            break;
        case SQL_FILL_INT:
            share(sql_int(fill->number), p);
            break;
        case SQL_FILL_META:
            p->read = read_meta;
            p->holds = SQL_TEXT;
            p->meta = what->meta;
            p->is_shared = !what->meta; /* NULL in all of them */
            break;
        case SQL_FILL_ORDER:
            p->read = read_order;
            p->holds = SQL_INT;
            p->shared = sql_int(what->first_order);
            break;
        }
    }
}

/* What a field of LOAD DATA must not hold as it is: the escape, the ends of field and line, NUL. */
static const unsigned char special[256] = {
    ['\\'] = '\\',
    ['\t'] = 't',
    ['\n'] = 'n',
    ['\0'] = '0',
};

static void put_escaped(const char *s, size_t n, struct buf *out)
{
    char *to = buf_reserve(out, 2 * n), *start = to;

    if (!to)
        return;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i], code = special[c];

        if (code)
            *to++ = '\\';
        *to++ = (char)(code ? code : c);
    }
    out->len += (size_t)(to - start);
}

bool mysql_put_field(const struct sql_value *v, struct buf *out)
{
    char *to;

    switch (v->kind) {
    case SQL_NULL:
        buf_put(out, "\\N", 2);
        return true;
    case SQL_INT:
        to = buf_reserve(out, 24);
        if (to)
            out->len += text_from_int64(v->number, to);
        return true;
    case SQL_REAL:
        to = isfinite(v->real) ? buf_reserve(out, 32) : NULL;
        if (to)
            out->len += text_from_double(v->real, to);
        return isfinite(v->real);
    case SQL_TEXT:
    case SQL_BLOB:
        put_escaped(v->bytes.ptr, v->bytes.len, out);
        return true;
    }
    abort();
}
