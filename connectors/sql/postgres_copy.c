/*
 * Rows of batches as one COPY, kept open while they go into the same columns of the same table.
 *
 *   none --- bulk: describe the columns, begin ---> open --- bulk, same statement ---> open
 *     ^                                              |
 *     +---- every other call: end, count the rows ---+---- a value is refused: give up
 *
 * What the server has to say of a row comes at the end, with the number of its line.
 */
#include <poll.h>
#include <stdlib.h>

#include "connectors/base/text.h"
#include "connectors/sql/postgres_encode.h"
#include "connectors/sql/postgres_internal.h"
#include "connectors/sql/statement.h"

struct postgres_copy {
    char *sql;   /* which COPY this is */
    char *table; /* for messages */
    bool binary;
    struct postgres_field *fields;
    size_t n;
    struct postgres_out out;
    int64_t rows; /* sent since it began */
};

static void copy_free(struct postgres_conn *c)
{
    struct postgres_copy *copy = TAKE(c->copy);

    for (size_t i = 0; i < copy->n; i++)
        postgres_field_release(&copy->fields[i]);
    free(copy->out.start);
    free(copy->fields);
    free(copy->sql);
    free(copy->table);
    free(copy);
}

static int send_bytes(void *arg, const char *bytes, size_t n)
{
    struct postgres_conn *c = arg;

    return postgres_put(c, bytes, n) ? 0 : -1;
}

/* ------------------------------------------------------------- beginning */

/* clang-format off */
static const struct {
    uint32_t oid;
    const char *name;
} type_names[] = {
    {POSTGRES_BOOL, "boolean"},     {POSTGRES_BYTEA, "bytea"},
    {POSTGRES_INT2, "smallint"},    {POSTGRES_INT4, "integer"},
    {POSTGRES_INT8, "bigint"},      {POSTGRES_FLOAT4, "real"},
    {POSTGRES_FLOAT8, "double precision"},
    {POSTGRES_NUMERIC, "numeric"},  {POSTGRES_TEXT, "text"},
    {POSTGRES_VARCHAR, "varchar"},  {POSTGRES_BPCHAR, "char"},
    {POSTGRES_JSON, "json"},        {POSTGRES_JSONB, "jsonb"},
    {POSTGRES_DATE, "date"},        {POSTGRES_TIME, "time"},
    {POSTGRES_TIMESTAMP, "timestamp"}, {POSTGRES_TIMESTAMPTZ, "timestamptz"},
    {POSTGRES_INTERVAL, "interval"}, {POSTGRES_UUID, "uuid"},
};
/* clang-format on */

static const char *describe_type(struct postgres_target t, struct arena *mem)
{
    const char *name = "of its type";

    for (size_t i = 0; i < sizeof type_names / sizeof type_names[0]; i++) {
        if (type_names[i].oid == t.oid)
            name = type_names[i].name;
    }
    if (t.typmod < 0)
        return name;
    if (t.oid == POSTGRES_NUMERIC)
        return arena_printf(mem, "numeric(%d,%d)", (t.typmod - 4) >> 16 & 0xffff,
                            (((t.typmod - 4) & 0x7ff) ^ 1024) - 1024);
    if (t.oid == POSTGRES_VARCHAR || t.oid == POSTGRES_BPCHAR)
        return arena_printf(mem, "%s(%d)", name, t.typmod - 4);
    return arena_printf(mem, "%s(%d)", name, t.typmod & 0xffff);
}

/*
 * Types whose input cuts or rounds in ways that are not known here: money, name, "char", an
 * interval of some fields only, and precisions of types that are not our own. (The lengths of bit
 * strings are checked by the server.)
 */
static bool alters_in_silence(struct postgres_target t)
{
    enum { MONEY = 790, CHAR = 18, BIT = 1560, VARBIT = 1562, ALL_FIELDS = 0x7fff };

    if (t.oid == MONEY || t.oid == CHAR || t.oid == POSTGRES_NAME)
        return true;
    if (t.oid == POSTGRES_INTERVAL)
        return t.typmod >= 0 && (t.typmod >> 16 & ALL_FIELDS) != ALL_FIELDS;
    return t.typmod >= 0 && !postgres_knows_binary(t.oid) && t.oid != BIT && t.oid != VARBIT;
}

/* What the columns are by now: the table may be another's, and its types not ours. */
static int describe(struct postgres_conn *c, struct postgres_copy *copy,
                    const struct sql_table *into, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    CLEANUP(postgres_clear) PGresult *result = NULL;

    buf_puts(&sql, "SELECT ");
    for (size_t i = 0; i < into->n_columns; i++) {
        buf_puts(&sql, i > 0 ? ", " : "");
        sql_put_name(c->base.dialect, into->columns[i].name, &sql);
    }
    buf_puts(&sql, " FROM ");
    sql_put_table(c->base.dialect, into->schema, into->name, &sql);
    buf_puts(&sql, " LIMIT 0");
    if (buf_ok(&sql, "a statement", err) < 0 ||
        postgres_query(c, buf_str(&sql), NULL, 0, false, &result, err) < 0)
        return -1;
    copy->binary = true;
    for (size_t i = 0; i < into->n_columns; i++)
        copy->binary &= postgres_knows_binary(PQftype(result, (int)i));
    copy->fields = xalloc((into->n_columns + 1) * sizeof *copy->fields);
    copy->n = into->n_columns;
    for (size_t i = 0; i < copy->n; i++) {
        struct postgres_target t = {PQftype(result, (int)i), PQfmod(result, (int)i)};

        postgres_field_init(&copy->fields[i], t, into->columns[i].type.type, copy->binary);
        if (alters_in_silence(t))
            return error_set_reason(err, ERR_SCHEMA, "column_type",
                                    "column \"%s\" of table \"%s\" has a type that may alter "
                                    "values without saying so",
                                    into->columns[i].name, into->name);
    }
    return 0;
}

/*
 * Whether rows may be loaded frozen, which the server allows into a table that was emptied in the
 * same transaction. They need no second visit then: not by the first reader, which marks rows as
 * committed, nor by a vacuum of the whole table, which others would have to wait for. Readers whose
 * snapshot is older than the load see them as well, instead of a table without rows.
 *
 * Somebody who holds the table, an old worker perhaps, is not waited for.
 */
static int may_freeze(struct postgres_conn *c, const struct sql_table *into, bool *out,
                      struct error *err)
{
    static const char *const steps[] = {"LOCK TABLE ", " IN ACCESS EXCLUSIVE MODE NOWAIT",
                                        "TRUNCATE ", ""};
    struct error why = ERROR_INIT;
    int rc = sql_exec(&c->base, "SAVEPOINT connectord_freeze", err);

    if (rc < 0)
        return -1;
    for (size_t i = 0; i < 4 && rc == 0; i += 2) {
        CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);

        buf_puts(&sql, steps[i]);
        sql_put_table(c->base.dialect, into->schema, into->name, &sql);
        buf_puts(&sql, steps[i + 1]);
        if (buf_ok(&sql, "a statement", err) < 0)
            return -1;
        rc = sql_exec(&c->base, buf_str(&sql), &why);
    }
    *out = rc == 0;
    if (rc < 0 && sql_exec(&c->base, "ROLLBACK TO SAVEPOINT connectord_freeze", err) < 0)
        return -1;
    return sql_exec(&c->base, "RELEASE SAVEPOINT connectord_freeze", err);
}

static int begin(struct postgres_conn *c, const struct sql_bulk *what, const char *sql,
                 struct error *err)
{
    static const char signature[19] = "PGCOPY\n\377\r\n"; /* and no flags, no extension */
    CLEANUP(buf_release) struct buf full = BUF_INIT(SQL_MAX_STATEMENT);
    CLEANUP(postgres_clear) PGresult *result = NULL;
    const struct sql_table *into = what->into;
    struct postgres_copy *copy;
    bool frozen = false;

    if (what->unseen && may_freeze(c, into, &frozen, err) < 0)
        return -1;
    c->copy = copy = xalloc(sizeof *copy);
    copy->sql = xstrdup(sql);
    copy->table = xstrdup(into->name);
    copy->out.start = copy->out.at = xalloc(POSTGRES_OUT_BYTES);
    copy->out.end = copy->out.start + POSTGRES_OUT_BYTES;
    copy->out.flush = send_bytes;
    copy->out.arg = c;
    if (describe(c, copy, into, err) < 0) {
        copy_free(c);
        return -1;
    }
    buf_printf(&full, "%s (FORMAT %s%s)", sql, copy->binary ? "binary" : "text",
               frozen ? ", FREEZE" : "");
    if (PQsendQueryParams(c->pg, buf_str(&full), 0, NULL, NULL, NULL, NULL, 0))
        result = postgres_last_result(c);
    c->spoke = false;
    if (PQresultStatus(result) != PGRES_COPY_IN) {
        postgres_fail(c, result, "beginning a COPY", err);
        copy_free(c);
        return -1;
    }
    if (copy->binary)
        postgres_out_put(&copy->out, signature, sizeof signature);
    return 0;
}

/* ------------------------------------------------------------- ending */

/* Reads what the COPY came to. */
static int take_result(struct postgres_conn *c, struct error *err)
{
    struct postgres_copy *copy = c->copy;
    int rc = 0;

    for (;;) {
        CLEANUP(postgres_clear) PGresult *r = postgres_next_result(c);
        int64_t arrived = -1;

        if (!r)
            return rc;
        if (rc < 0)
            continue;
        if (PQresultStatus(r) != PGRES_COMMAND_OK) {
            rc = postgres_fail(c, r, "writing rows", err);
            if (PQstatus(c->pg) == CONNECTION_BAD)
                return rc;
            continue;
        }
        if (!text_to_int64(PQcmdTuples(r), strlen(PQcmdTuples(r)), &arrived) ||
            arrived != copy->rows)
            rc = error_set_reason(
                err, ERR_DATA, "constraint",
                "%s: %lld rows were sent into table \"%s\" and %lld arrived: a trigger keeps "
                "the others away",
                c->server_name, (long long)copy->rows, copy->table, (long long)arrived);
    }
}

int postgres_copy_end(struct postgres_conn *c, struct error *err)
{
    struct postgres_copy *copy = c->copy;
    int rc;

    if (!copy)
        return 0;
    if (copy->binary)
        postgres_out_put(&copy->out, "\377\377", 2);
    postgres_out_flush(&copy->out);
    /* A failure to send is told by the result as well, and better. */
    if (!postgres_put_end(c, NULL) && PQstatus(c->pg) == CONNECTION_OK)
        rc = postgres_fail(c, NULL, "writing rows", err);
    else
        rc = take_result(c, err);
    if (rc == 0 && copy->out.failed)
        rc = error_set(err, ERR_INTERNAL, "%s: rows were lost on their way", c->server_name);
    copy_free(c);
    return rc;
}

void postgres_copy_abandon(struct postgres_conn *c)
{
    struct error ignored = ERROR_INIT;

    if (!c->copy)
        return;
    postgres_put_end(c, "given up");
    (void)!take_result(c, &ignored); /* it says what we said */
    copy_free(c);
}

/* ------------------------------------------------------------- rows */

/* The server speaks during a COPY only when something is wrong with it. */
static bool server_spoke(const struct postgres_conn *c)
{
    struct pollfd p = {.fd = PQsocket(c->pg), .events = POLLIN};

    return c->spoke || poll(&p, 1, 0) > 0;
}

static int refuse(struct postgres_conn *c, const struct sql_table *into, size_t column,
                  struct error *err)
{
    const char *name = into->columns[column].name;
    const char *type = describe_type(c->copy->fields[column].target, c->run->mem);

    error_set_at(err, ERR_DATA, "value_rejected", __FILE__, __LINE__,
                 "%s: a value for column \"%s\" of table \"%s\" cannot be stored as %s unaltered "
                 "(row %lld of those sent together)",
                 c->server_name, name, into->name, type, (long long)c->copy->rows + 1);
    postgres_copy_abandon(c);
    return -1;
}

/* From where each column has its values. */
static int plan(struct postgres_conn *c, const struct sql_bulk *what, const struct batch *rows,
                struct error *err)
{
    for (size_t i = 0; i < c->copy->n; i++) {
        struct postgres_field *f = &c->copy->fields[i];
        const struct sql_bulk_column *fill = &what->fill[i];
        char digits[24];
        bool fits = true;

        f->to_type = what->into->columns[i].type.type;
        f->view = (struct column_view){0};
        switch (fill->fill) {
        case SQL_FILL_COLUMN:
            postgres_field_column(f, rows, fill->from, fill->type.type);
            break;
        case SQL_FILL_NULL:
            fits = postgres_field_constant(f, NULL);
            break;
        case SQL_FILL_TEXT:
            fits = postgres_field_constant(f, fill->text);
            break;
        case SQL_FILL_INT:
            digits[text_from_int64(fill->number, digits)] = '\0';
            fits = postgres_field_constant(f, digits);
            break;
        case SQL_FILL_META:
            postgres_field_meta(f, what->meta);
            break;
        case SQL_FILL_ORDER:
            postgres_field_order(f, what->first_order);
            break;
        }
        if (!fits)
            return refuse(c, what->into, i, err);
    }
    return 0;
}

/* False at the column whose value is refused. */
static bool put_row_binary(struct postgres_copy *copy, size_t row, size_t *out_column)
{
    struct postgres_out *o = &copy->out;

    store16(postgres_out_room(o, 2), (uint16_t)copy->n);
    o->at += 2;
    for (size_t i = 0; i < copy->n; i++) {
        if (!postgres_field_put(o, &copy->fields[i], row)) {
            *out_column = i;
            return false;
        }
    }
    return true;
}

static bool put_row_text(struct postgres_copy *copy, size_t row, size_t *out_column)
{
    for (size_t i = 0; i < copy->n; i++) {
        if (i > 0)
            postgres_out_put(&copy->out, "\t", 1);
        if (!postgres_field_put(&copy->out, &copy->fields[i], row)) {
            *out_column = i;
            return false;
        }
    }
    postgres_out_put(&copy->out, "\n", 1);
    return true;
}

static int put_rows(struct postgres_conn *c, const struct sql_bulk *what, const struct batch *rows,
                    int64_t *out_inserted, struct error *err)
{
    struct postgres_copy *copy = c->copy;
    size_t column = 0, n = batch_rows(rows);

    for (size_t row = 0; row < n; row++) {
        if (what->skip && what->skip[row])
            continue;
        if (!(copy->binary ? put_row_binary(copy, row, &column) : put_row_text(copy, row, &column)))
            return refuse(c, what->into, column, err);
        copy->rows++;
        ++*out_inserted;
        if (copy->out.failed)
            return postgres_copy_end(c, err); /* says why */
    }
    return 0;
}

static void put_statement(const struct postgres_conn *c, const struct sql_table *into,
                          struct buf *out)
{
    buf_puts(out, "COPY ");
    sql_put_table(c->base.dialect, into->schema, into->name, out);
    for (size_t i = 0; i < into->n_columns; i++) {
        buf_puts(out, i > 0 ? ", " : " (");
        sql_put_name(c->base.dialect, into->columns[i].name, out);
    }
    buf_puts(out, ") FROM STDIN");
}

int postgres_bulk(struct sql_conn *conn, const struct sql_bulk *what, const struct batch *rows,
                  int64_t *out_inserted, struct error *err)
{
    struct postgres_conn *c = (struct postgres_conn *)conn;
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);

    *out_inserted = 0;
    if (cancel_check(c->run->cancel, err) < 0)
        return -1;
    put_statement(c, what->into, &sql);
    if (buf_ok(&sql, "a statement", err) < 0)
        return -1;
    if (c->copy && (strcmp(c->copy->sql, buf_str(&sql)) != 0 || server_spoke(c)) &&
        postgres_copy_end(c, err) < 0)
        return -1;
    if (!c->copy && begin(c, what, buf_str(&sql), err) < 0)
        return -1;
    if (plan(c, what, rows, err) < 0 || put_rows(c, what, rows, out_inserted, err) < 0)
        return -1;
    return c->short_copies ? postgres_copy_end(c, err) : 0;
}
