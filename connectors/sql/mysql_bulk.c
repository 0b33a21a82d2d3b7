/*
 * Rows of a batch by LOAD DATA LOCAL, from memory.
 *
 * A LOAD is one statement with one stream of text, and costs a round trip and a parse: rows of
 * several batches are gathered before one is sent. With LOCAL the server turns errors into warnings
 * and skips or alters rows; so whatever it says beside "all rows", they are taken for refused.
 *
 * What is handed to a server that asks for a file is the text gathered, once per statement of ours,
 * and nothing else: the name it asks for is not even looked at.
 */
#include <errmsg.h>
#include <mysqld_error.h>
#include <stdio.h>
#include <stdlib.h>

#include "connectors/sql/mysql_bulk.h"

/* Measured: between 1 and 16 MiB it hardly matters; this takes little memory. */
#define SEND_AT     ((size_t)4 << 20)
#define KEPT_MEMORY ((size_t)16 << 20)
/* One row may have many cells of BATCH_MAX_VALUE, each byte escaped. */
#define TEXT_MAX ((size_t)1 << 30)

/* ------------------------------------------------------- what the server gets to see */

static int begin_file(void **out, const char *name, void *arg)
{
    struct mysql_conn *c = arg;

    (void)name;
    *out = c;
    if (!c->bulk || !c->bulk->may_send)
        return 1;
    c->bulk->may_send = false;
    c->bulk->sent = 0;
    return 0;
}

static int read_file(void *arg, char *to, unsigned n)
{
    struct mysql_bulk *b = ((struct mysql_conn *)arg)->bulk;
    size_t left = b->text.len - b->sent, take = left < n ? left : n;

    memcpy(to, buf_str(&b->text) + b->sent, take);
    b->sent += take;
    return (int)take;
}

static void end_file(void *arg)
{
    (void)arg;
}

static int file_error(void *arg, char *to, unsigned n)
{
    (void)arg;
    snprintf(to, n, "the server asked for a file, and gets none");
    return CR_UNKNOWN_ERROR;
}

void mysql_bulk_guard(struct mysql_conn *c)
{
    mysql_set_local_infile_handler(c->my, begin_file, read_file, end_file, file_error, c);
}

static void allow_file(struct mysql_conn *c, bool allow)
{
    unsigned on = allow;

    mysql_optionsv(c->my, MYSQL_OPT_LOCAL_INFILE, &on);
    c->bulk->may_send = allow;
}

/* ------------------------------------------------------------------- what it answers */

/* About the statement, not about a value: replication, old words. */
static bool is_harmless(unsigned number)
{
    return number == ER_BINLOG_UNSAFE_STATEMENT || number == ER_WARN_DEPRECATED_SYNTAX ||
           number == ER_WARN_DEPRECATED_SYNTAX_NO_REPLACEMENT;
}

/* What json_valid found, of which the constraint that asked it speaks next. */
static bool is_preface(unsigned number)
{
    return number >= ER_JSON_BAD_CHR && number <= ER_JSON_DEPTH;
}

struct warnings {
    unsigned seen, number; /* number: of the first that is not harmless */
    char text[256];
};

static int list_warnings(struct mysql_conn *c, struct warnings *out, struct error *err)
{
    MYSQL_RES *result;
    MYSQL_ROW row;

    *out = (struct warnings){0};
    if (mysql_real_query(c->my, "SHOW WARNINGS", 13) != 0 || !(result = mysql_store_result(c->my)))
        return mysql_fail(c, NULL, "asking for warnings", err);
    while ((row = mysql_fetch_row(result))) {
        int64_t number = 0;

        out->seen++;
        if (row[1])
            (void)text_to_int64(row[1], strlen(row[1]), &number);
        if ((out->number == 0 || is_preface(out->number)) && !is_harmless((unsigned)number)) {
            out->number = (unsigned)number;
            snprintf(out->text, sizeof out->text, "%s", row[2] ? row[2] : "");
        }
    }
    mysql_free_result(result);
    return 0;
}

int mysql_bulk_verdict(struct mysql_conn *c, unsigned warnings, int64_t sent, int64_t taken,
                       struct error *err)
{
    struct warnings w;
    struct error first = ERROR_INIT;

    if (warnings > 0) {
        if (list_warnings(c, &w, err) < 0)
            return -1;
        if (w.number != 0) {
            mysql_fail_as(c, w.number, w.text, "writing rows", &first);
            return error_set_reason(err, first.code == ERR_CANCELLED ? ERR_CANCELLED : ERR_DATA,
                                    first.code == ERR_DATA && first.reason ? first.reason
                                                                           : "value_rejected",
                                    "%s", first.message);
        }
        if (w.seen < warnings)
            return error_set_reason(err, ERR_DATA, "value_rejected",
                                    "%s: writing rows: the server has %u warnings and tells %u",
                                    c->server_name, warnings, w.seen);
    }
    if (sent != taken)
        return error_set_reason(err, ERR_DATA, "constraint",
                                "%s: writing rows: the server took %lld of %lld", c->server_name,
                                (long long)taken, (long long)sent);
    return 0;
}

/* --------------------------------------------------------------------------- sending */

/* Bytes are not recoded: text is UTF-8 on both sides, and anything else belongs to a binary column.
 * A column that others made may have another character set, and MySQL's JSON takes no bytes. */
static bool is_recoded(const struct mysql_conn *c, const struct sql_column *column)
{
    if (column->declared)
        return column->type.type != TYPE_BYTES;
    return column->type.type == TYPE_JSON && !c->is_mariadb;
}

/* A column that is set once for all rows, not read from the text. */
static bool is_set_once(const struct mysql_bulk *b, size_t i)
{
    return b->places[i].is_shared && b->n_own > 0;
}

static void put_set(struct mysql_conn *c, const struct sql_table *t, struct buf *out)
{
    const char *set = " SET ";

    for (size_t i = 0; i < t->n_columns; i++) {
        bool once = is_set_once(c->bulk, i);

        if (!once && !is_recoded(c, &t->columns[i]))
            continue;
        buf_puts(out, set);
        sql_put_name(c->base.dialect, t->columns[i].name, out);
        if (!once)
            buf_printf(out, " = CONVERT(@v%zu USING utf8mb4)", i);
        else if (c->bulk->places[i].shared.kind == SQL_NULL)
            buf_puts(out, " = NULL");
        else
            buf_printf(out, " = @connectord_%zu", i);
        set = ", ";
    }
}

/* The separators are numbers because the session takes a backslash in a literal for itself. */
static int put_load(struct mysql_conn *c, const struct sql_table *t, struct buf *out,
                    struct error *err)
{
    const char *comma = "";

    buf_puts(out, "LOAD DATA LOCAL INFILE 'connectord' INTO TABLE ");
    sql_put_table(c->base.dialect, t->schema, t->name, out);
    buf_puts(out, " CHARACTER SET binary FIELDS TERMINATED BY X'09' ESCAPED BY X'5C'"
                  " LINES TERMINATED BY X'0A' (");
    for (size_t i = 0; i < t->n_columns; i++) {
        if (is_set_once(c->bulk, i))
            continue;
        buf_puts(out, comma);
        if (is_recoded(c, &t->columns[i]))
            buf_printf(out, "@v%zu", i);
        else
            sql_put_name(c->base.dialect, t->columns[i].name, out);
        comma = ", ";
    }
    buf_putc(out, ')');
    put_set(c, t, out);
    return buf_ok(out, "the LOAD DATA statement", err);
}

static void forget(struct mysql_bulk *b)
{
    b->n_rows = 0;
    /* After a few huge values the memory is given back. */
    if (b->text.cap > KEPT_MEMORY)
        buf_release(&b->text);
    buf_clear(&b->text);
}

static int send(struct mysql_conn *c, struct error *err)
{
    struct mysql_bulk *b = c->bulk;
    int64_t rows = b->n_rows;
    int rc;

    if (cancel_check(c->run->cancel, err) < 0)
        return -1;
    allow_file(c, true);
    rc = mysql_real_query(c->my, buf_str(&b->load), b->load.len);
    allow_file(c, false);
    forget(b);
    if (rc != 0)
        return mysql_fail(c, NULL, "writing rows", err);
    return mysql_bulk_verdict(c, mysql_warning_count(c->my), rows,
                              (int64_t)mysql_affected_rows(c->my), err);
}

int mysql_bulk_end(struct mysql_conn *c, struct error *err)
{
    if (!c->bulk)
        return 0;
    if (mysql_array_end(c, err) < 0)
        return -1;
    if (c->bulk->n_rows == 0)
        return 0;
    if (send(c, err) < 0) {
        forget(c->bulk);
        return -1;
    }
    return 0;
}

void mysql_bulk_drop(struct mysql_conn *c)
{
    if (!c->bulk)
        return;
    mysql_array_drop(c);
    forget(c->bulk);
}

/* What is the same in all rows goes to the server once, into variables of the session: that is a
 * fifth of the time of narrow rows. */
static int send_shared(struct mysql_conn *c, const struct sql_table *t, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    CLEANUP(free_cleanup) struct sql_value *values = xalloc((t->n_columns + 1) * sizeof *values);
    CLEANUP(mysql_stmt_cleanup) MYSQL_STMT *stmt = NULL;
    size_t n = 0;

    for (size_t i = 0; i < t->n_columns; i++) {
        const struct sql_value *v = &c->bulk->places[i].shared;

        if (!is_set_once(c->bulk, i) || v->kind == SQL_NULL)
            continue;
        buf_printf(&sql, "%s@connectord_%zu = ?", n ? ", " : "SET ", i);
        values[n++] = *v;
    }
    return n > 0 ? mysql_start(c, buf_str(&sql), values, n, &stmt, err) : 0;
}

static void put_shared(const struct mysql_bulk *b, const struct sql_table *t, struct buf *out)
{
    for (size_t i = 0; i < t->n_columns; i++) {
        const struct sql_value *v = &b->places[i].shared;

        if (!is_set_once(b, i))
            continue;
        buf_put(out, &v->kind, sizeof v->kind);
        buf_put(out, &v->number, sizeof v->number);
        buf_put(out, &v->bytes.len, sizeof v->bytes.len);
        if (v->bytes.len)
            buf_put(out, v->bytes.ptr, v->bytes.len);
    }
}

static bool same(const struct buf *a, const struct buf *b)
{
    return a->len == b->len && memcmp(buf_str(a), buf_str(b), a->len) == 0;
}

/* The rows of this call go where those gathered go, or those are sent first. */
static int aim(struct mysql_conn *c, const struct sql_table *t, struct error *err)
{
    struct mysql_bulk *b = c->bulk;
    CLEANUP(buf_release) struct buf load = BUF_INIT(SQL_MAX_STATEMENT);
    CLEANUP(buf_release) struct buf shared = BUF_INIT(SQL_MAX_STATEMENT);

    b->n_own = 0;
    for (size_t i = 0; i < t->n_columns; i++)
        b->n_own += !b->places[i].is_shared;
    put_shared(b, t, &shared);
    if (put_load(c, t, &load, err) < 0 || buf_ok(&shared, "what all rows share", err) < 0)
        return -1;
    if (same(&b->load, &load) && same(&b->shared, &shared))
        return 0;
    if (mysql_bulk_end(c, err) < 0)
        return -1;
    buf_clear(&b->load);
    if (send_shared(c, t, err) < 0)
        return -1;
    buf_put(&b->load, buf_str(&load), load.len);
    buf_clear(&b->shared);
    buf_put(&b->shared, buf_str(&shared), shared.len);
    return 0;
}

static int put_row(struct mysql_bulk *b, const struct sql_table *t, size_t row, struct error *err)
{
    char scratch[VALUE_TEXT_BYTES];
    bool first = true;

    for (size_t i = 0; i < t->n_columns; i++) {
        struct sql_value v;

        if (is_set_once(b, i))
            continue;
        v = mysql_cell(&b->places[i], row, scratch);
        if (!first)
            buf_putc(&b->text, '\t');
        first = false;
        if (!mysql_put_field(&v, &b->text))
            return error_set_reason(err, ERR_DATA, "value_rejected",
                                    "column \"%s\" holds no NaN and no infinity",
                                    t->columns[i].name);
    }
    buf_putc(&b->text, '\n');
    b->n_rows++;
    return 0;
}

static int load_rows(struct mysql_conn *c, const struct sql_bulk *what, const struct batch *rows,
                     int64_t *out_inserted, struct error *err)
{
    struct mysql_bulk *b = c->bulk;

    if (aim(c, what->into, err) < 0)
        return -1;
    for (size_t row = 0; row < batch_rows(rows); row++) {
        if (what->skip && what->skip[row])
            continue;
        if (put_row(b, what->into, row, err) < 0 || buf_ok(&b->text, "a row", err) < 0)
            return -1;
        ++*out_inserted;
        if (b->text.len >= SEND_AT && mysql_bulk_end(c, err) < 0)
            return -1;
    }
    return 0;
}

int mysql_bulk_one(struct mysql_conn *c, const struct sql_bulk *what, const struct batch *rows,
                   size_t row, struct error *err)
{
    CLEANUP(free_cleanup) bool *skip = xalloc(batch_rows(rows));
    struct sql_bulk alone = *what;
    int64_t inserted = 0;

    if (!c->bulk->may_load)
        return error_set(err, ERR_TOO_LARGE,
                         "%s: a row is larger than the server takes (max_allowed_packet is %zu)",
                         c->server_name, c->max_packet);
    for (size_t i = 0; i < batch_rows(rows); i++)
        skip[i] = i != row;
    alone.skip = skip;
    return load_rows(c, &alone, rows, &inserted, err) < 0 ? -1 : mysql_bulk_end(c, err);
}

static mysql_bulk_fn *const ways[] = {
    [MYSQL_BY_ARRAY] = mysql_array_rows,
    [MYSQL_BY_LOAD] = load_rows,
    [MYSQL_BY_LISTS] = mysql_insert_rows,
};

int mysql_bulk(struct sql_conn *conn, const struct sql_bulk *what, const struct batch *rows,
               int64_t *out_inserted, struct error *err)
{
    struct mysql_conn *c = (struct mysql_conn *)conn;
    struct mysql_bulk *b = c->bulk;
    int rc;

    *out_inserted = 0;
    if (cancel_check(c->run->cancel, err) < 0)
        return -1;
    free(b->places);
    b->places = xalloc((what->into->n_columns + 1) * sizeof *b->places);
    mysql_place_cells(what, rows, b->mem, b->places);
    rc = ways[b->way](c, what, rows, out_inserted, err);
    arena_clear(b->mem);
    if (rc < 0)
        forget(b);
    return rc;
}

int mysql_bulk_open(struct mysql_conn *c, const char *load, struct error *err)
{
    bool must = strcmp(load, "local_infile") == 0;

    if (must && !c->server_loads)
        return error_set_reason(err, ERR_CONFIG, "local_infile_refused",
                                "%s: the server does not allow LOAD DATA LOCAL (local_infile is "
                                "off); choose another way to load",
                                c->server_name);
    c->bulk = xalloc(sizeof *c->bulk);
    c->bulk->mem = arena_new();
    c->bulk->text = BUF_INIT(TEXT_MAX);
    c->bulk->load = BUF_INIT(SQL_MAX_STATEMENT);
    c->bulk->shared = BUF_INIT(SQL_MAX_STATEMENT);
    c->bulk->may_load = c->server_loads && strcmp(load, "insert") != 0;
    c->bulk->way = !must && c->server_binds ? MYSQL_BY_ARRAY
                   : c->bulk->may_load      ? MYSQL_BY_LOAD
                                            : MYSQL_BY_LISTS;
    allow_file(c, false);
    return 0;
}

void mysql_bulk_free(struct mysql_conn *c)
{
    struct mysql_bulk *b = c->bulk;

    if (!b)
        return;
    mysql_array_drop(c);
    mysql_array_free(b->array);
    mysql_insert_free(b);
    free(b->places);
    buf_release(&b->text);
    buf_release(&b->load);
    buf_release(&b->shared);
    arena_free(b->mem);
    free(b);
    c->bulk = NULL;
}
