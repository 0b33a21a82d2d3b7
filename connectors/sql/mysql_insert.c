/*
 * Rows by prepared INSERTs of many rows per VALUES, for servers that refuse LOAD DATA LOCAL. Values
 * are bound straight from the batch where they lie there as the server takes them.
 */
#include <math.h>
#include <stdlib.h>

#include "connectors/sql/mysql_bulk.h"

/* Rows per VALUES, largest first. Measured: more than some hundred gain nothing. */
static const size_t steps[] = {512, 64, 8, 1};
#define N_STEPS (sizeof steps / sizeof *steps)
_Static_assert(N_STEPS <= MYSQL_INSERTS, "the statements of a table are kept");
/* Of a packet, for what stands before and between the values. */
#define PACKET_SLACK ((size_t)16 << 10)

/* The parameters of one statement. */
struct binds {
    MYSQL_BIND *bind;
    struct sql_value *value;
    char (*scratch)[VALUE_TEXT_BYTES];
};

static void binds_release(struct binds *b)
{
    free(b->bind);
    free(b->value);
    free(b->scratch);
}

static void close_insert(struct mysql_bulk *b, size_t i)
{
    if (b->inserts[i].stmt)
        mysql_stmt_close(b->inserts[i].stmt);
    free(b->inserts[i].sql);
    b->inserts[i].stmt = NULL;
    b->inserts[i].sql = NULL;
}

void mysql_insert_free(struct mysql_bulk *b)
{
    for (size_t i = 0; i < MYSQL_INSERTS; i++)
        close_insert(b, i);
}

static MYSQL_STMT *find_insert(const struct mysql_bulk *b, const char *sql)
{
    for (size_t i = 0; i < MYSQL_INSERTS; i++) {
        if (b->inserts[i].sql && strcmp(b->inserts[i].sql, sql) == 0)
            return b->inserts[i].stmt;
    }
    return NULL;
}

int mysql_insert_prepare(struct mysql_conn *c, const struct sql_bulk *what, size_t n_rows,
                         MYSQL_STMT **out, struct error *err)
{
    struct mysql_bulk *b = c->bulk;
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    size_t i = b->next_insert;

    sql_put_insert(c->base.dialect, what->into, what->fill, n_rows, &sql);
    if (buf_ok(&sql, "the INSERT statement", err) < 0)
        return -1;
    *out = find_insert(b, buf_str(&sql));
    if (*out)
        return 0;
    close_insert(b, i);
    b->inserts[i].stmt = mysql_stmt_init(c->my);
    if (!b->inserts[i].stmt)
        return mysql_fail(c, NULL, "preparing an INSERT", err);
    if (mysql_stmt_prepare(b->inserts[i].stmt, buf_str(&sql), sql.len) != 0) {
        mysql_fail(c, b->inserts[i].stmt, "preparing an INSERT", err);
        close_insert(b, i);
        return -1;
    }
    b->inserts[i].sql = xstrdup(buf_str(&sql));
    b->next_insert = (i + 1) % MYSQL_INSERTS;
    *out = b->inserts[i].stmt;
    return 0;
}

/* The values of `n` rows; *out_bytes is about what they take in a packet. */
static int bind_rows(struct mysql_conn *c, const struct sql_bulk *what, const uint32_t *pick,
                     size_t n, struct binds *to, size_t *out_bytes, struct error *err)
{
    size_t width = what->into->n_columns, at = 0, bytes = 0;

    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < width; k++, at++) {
            struct sql_value *v = &to->value[at];

            *v = mysql_cell(&c->bulk->places[k], pick[i], to->scratch[at]);
            if (v->kind == SQL_REAL && !isfinite(v->real))
                return error_set_reason(err, ERR_DATA, "value_rejected",
                                        "column \"%s\" holds no NaN and no infinity",
                                        what->into->columns[k].name);
            mysql_bind(v, &to->bind[at]);
            bytes += 12 + v->bytes.len;
        }
    }
    *out_bytes = bytes;
    return 0;
}

static int run_insert(struct mysql_conn *c, MYSQL_STMT *stmt, struct binds *b, size_t n,
                      int64_t *out_inserted, struct error *err)
{
    int64_t taken;

    if (mysql_stmt_bind_param(stmt, b->bind) != 0 || mysql_stmt_execute(stmt) != 0)
        return mysql_fail(c, stmt, "writing rows", err);
    taken = (int64_t)mysql_stmt_affected_rows(stmt);
    *out_inserted += taken;
    return mysql_bulk_verdict(c, mysql_warning_count(c->my), (int64_t)n, taken, err);
}

/* Inserts as many of the `n` rows as one statement takes; *out_n is their number. */
static int insert_some(struct mysql_conn *c, const struct sql_bulk *what, const uint32_t *pick,
                       size_t n, struct binds *b, size_t *out_n, int64_t *out_inserted,
                       struct error *err)
{
    size_t width = what->into->n_columns;
    MYSQL_STMT *stmt = NULL;

    for (size_t i = 0; i < N_STEPS; i++) {
        size_t bytes;

        if (steps[i] > n || steps[i] * width > c->base.dialect->max_params)
            continue;
        if (bind_rows(c, what, pick, steps[i], b, &bytes, err) < 0)
            return -1;
        if (bytes + PACKET_SLACK > c->max_packet) {
            if (steps[i] > 1)
                continue;
            return error_set(err, ERR_TOO_LARGE,
                             "%s: a row of %zu bytes is larger than the server takes "
                             "(max_allowed_packet is %zu)",
                             c->server_name, bytes, c->max_packet);
        }
        *out_n = steps[i];
        return mysql_insert_prepare(c, what, steps[i], &stmt, err) < 0
                   ? -1
                   : run_insert(c, stmt, b, steps[i], out_inserted, err);
    }
    return error_set(err, ERR_TOO_LARGE, "a table of %zu columns is wider than a statement takes",
                     width);
}

int mysql_insert_rows(struct mysql_conn *c, const struct sql_bulk *what, const struct batch *rows,
                      int64_t *out_inserted, struct error *err)
{
    size_t n = 0, at = 0, done, room;
    CLEANUP(binds_release) struct binds b = {0};
    CLEANUP(free_cleanup) uint32_t *pick = xalloc((batch_rows(rows) + 1) * sizeof *pick);

    for (size_t row = 0; row < batch_rows(rows); row++) {
        if (!what->skip || !what->skip[row])
            pick[n++] = (uint32_t)row;
    }
    room = what->into->n_columns * (n < steps[0] ? n : steps[0]) + 1;
    if (room > c->base.dialect->max_params + 1)
        room = c->base.dialect->max_params + 1;
    b.bind = xalloc(room * sizeof *b.bind);
    b.value = xalloc(room * sizeof *b.value);
    b.scratch = xalloc(room * sizeof *b.scratch);
    for (; at < n; at += done) {
        if (cancel_check(c->run->cancel, err) < 0 ||
            insert_some(c, what, pick + at, n - at, &b, &done, out_inserted, err) < 0)
            return -1;
    }
    return 0;
}
