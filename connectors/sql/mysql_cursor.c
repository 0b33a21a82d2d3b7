/*
 * Rows of a SELECT, one by one as the server sends them. The order and every comparison are the
 * server's, by the collation of the column, so a read goes on exactly behind its key whatever that
 * collation takes for equal.
 */
#include <stdlib.h>
#include <sys/socket.h>

#include "connectors/sql/mysql_source.h"
#include "connectors/sql/position.h"

/* A value above BATCH_MAX_VALUE is cut by the server: it goes to quarantine without us ever holding
 * all of it. In characters, so of text at most four times as many bytes arrive. */
#define CUT "left(%s, 16777217)"
_Static_assert(BATCH_MAX_VALUE == 16777216, "the cut is one above the longest value");

/*
 * Text of most character sets has every character in Unicode. Where that is not so the server
 * would put '?' for what it cannot express. Such a text comes as the bytes that are stored, behind
 * a byte that no UTF-8 has, so that it becomes an odd cell.
 */
#define CHECKED_TEXT                                                              \
    "if(cast(convert(convert({column} USING utf8mb4) USING %s) AS binary) ="      \
    " cast({column} AS binary), cast(convert({column} USING utf8mb4) AS binary)," \
    " concat(0xff, cast({column} AS binary)))"
/* The same for a key, which cannot be bound again then. */
#define CHECKED_KEY                                                          \
    "if(cast(convert(convert({column} USING utf8mb4) USING %s) AS binary) =" \
    " cast({column} AS binary), convert({column} USING utf8mb4), NULL)"
/* Enumerations are sorted by their numbers, and compared so with a number. */
#define NUMBER_KEY "cast({column} AS unsigned)"

/* What the server says of a column now. */
struct facts {
    const char *name, *data_type, *charset;
    struct facts *next;
};

struct mysql_scan_cursor {
    struct sql_cursor base;
    struct mysql_reader *reader;
    struct arena *mem;
    struct sql_scan scan; /* with casts of ours */
    struct facts *facts;
    MYSQL_STMT *stmt;
    struct mysql_rows *rows;
    bool waiting; /* a row was fetched and not taken yet */
    bool failed;
    bool inexact; /* the cursor of the last row is no date */
};

/* ------------------------------------------------------------------------ casts */

static int take_facts(void *arg, const struct sql_value *v, size_t n, struct error *err)
{
    struct mysql_scan_cursor *c = arg;
    struct facts *f = arena_alloc(c->mem, sizeof *f);

    (void)n;
    (void)err;
    *f = (struct facts){sql_value_text(c->mem, &v[0]), sql_value_text(c->mem, &v[1]),
                        sql_value_text(c->mem, &v[2]), c->facts};
    c->facts = f;
    return 0;
}

static int ask_facts(struct mysql_scan_cursor *c, struct error *err)
{
    const char *schema = *c->scan.schema ? c->scan.schema : c->reader->config->database;
    const struct sql_value params[] = {sql_text(schema), sql_text(c->scan.table)};

    if (c->scan.query)
        return 0;
    return mysql_driver.query(&c->reader->conn->base,
                              "SELECT column_name, data_type, character_set_name"
                              " FROM information_schema.columns"
                              " WHERE table_schema = ? AND table_name = ?",
                              params, 2, take_facts, c, err);
}

static const struct facts *find_facts(const struct mysql_scan_cursor *c, const char *name)
{
    static const struct facts none = {.name = "", .data_type = "", .charset = ""};

    for (const struct facts *f = c->facts; f; f = f->next) {
        if (strcmp(f->name, name) == 0)
            return f;
    }
    return &none;
}

static bool is_one_of(const char *word, const char *const *words)
{
    while (*words && strcmp(*words, word) != 0)
        words++;
    return *words != NULL;
}

/* Every character is in Unicode: nothing can get lost on the way to utf8mb4. */
static bool is_unicode(const char *charset)
{
    static const char *const all[] = {"",        "utf8mb4", "utf8mb3", "utf8",   "ucs2",  "utf16",
                                      "utf16le", "utf32",   "latin1",  "binary", "ascii", NULL};

    return is_one_of(charset, all);
}

/* The name of a character set as the server gave it goes into a statement: letters and digits. */
static bool is_plain(const char *charset)
{
    return charset[strspn(charset, "abcdefghijklmnopqrstuvwxyz0123456789")] == '\0';
}

static const char *cast_of(const struct mysql_scan_cursor *c, const struct column *column)
{
    static const char *const unbounded[] = {"longtext", "longblob", "json", NULL};
    const struct facts *f = find_facts(c, column->name);
    const char *data_type = c->scan.query ? column->source_type : f->data_type;
    const char *cast = NULL;

    if (!is_unicode(f->charset) && is_plain(f->charset))
        cast = arena_printf(c->mem, CHECKED_TEXT, f->charset);
    if (is_one_of(data_type, unbounded))
        cast = arena_printf(c->mem, CUT, cast ? cast : "{column}");
    return cast;
}

static const char *key_cast_of(const struct mysql_scan_cursor *c, const char *name)
{
    static const char *const numbered[] = {"enum", "set", NULL};
    const struct facts *f = find_facts(c, name);

    if (is_one_of(f->data_type, numbered))
        return NUMBER_KEY;
    if (!is_unicode(f->charset) && is_plain(f->charset))
        return arena_printf(c->mem, CHECKED_KEY, f->charset);
    return NULL;
}

static void use_casts(struct mysql_scan_cursor *c)
{
    size_t n = c->scan.columns->n_columns;
    const char **cast = arena_array(c->mem, n + 1, sizeof *cast);
    const char **key_cast = arena_array(c->mem, c->scan.n_key + 1, sizeof *key_cast);

    for (size_t i = 0; i < n; i++)
        cast[i] = cast_of(c, &c->scan.columns->columns[i]);
    for (size_t i = 0; i < c->scan.n_key; i++)
        key_cast[i] = key_cast_of(c, c->scan.key[i]);
    c->scan.cast = cast;
    c->scan.key_cast = key_cast;
}

/* ------------------------------------------------------------------------- rows */

static int start(struct mysql_scan_cursor *c, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT((size_t)8 << 20);
    CLEANUP(free_cleanup) struct sql_value *params = xalloc(SQL_SCAN_PARAMS * sizeof *params);
    size_t n;

    if (ask_facts(c, err) < 0)
        return -1;
    use_casts(c);
    n = sql_put_scan(c->reader->base.dialect, &c->scan, &sql, params);
    if (buf_ok(&sql, "a statement", err) < 0 ||
        mysql_start_typed(c->reader->conn, buf_str(&sql), params, n, c->mem, &c->stmt, err) < 0)
        return -1;
    return mysql_rows_open(c->reader->conn, c->stmt, &c->rows, err);
}

int mysql_scan_select(struct sql_reader *base, const struct sql_scan *scan, struct sql_cursor **out,
                      struct error *err)
{
    struct mysql_scan_cursor *c = xalloc(sizeof *c);

    c->base.reader = base;
    c->reader = (struct mysql_reader *)base;
    c->mem = arena_new();
    c->scan = *scan;
    if (start(c, err) < 0) {
        c->failed = true;
        mysql_scan_end(&c->base);
        return -1;
    }
    *out = &c->base;
    return 0;
}

static int next(struct mysql_scan_cursor *c, struct error *err)
{
    int rc = mysql_rows_next(c->rows, err);

    c->failed = rc < 0;
    c->base.done = rc == 0;
    return rc < 0 ? -1 : 0;
}

static int read_cursor(struct mysql_scan_cursor *c, int64_t *out, enum mysql_number *kind,
                       struct error *err)
{
    return mysql_rows_number(c->rows, c->scan.columns->n_columns + c->scan.n_key,
                             c->scan.cursor_type, out, kind, err);
}

/* Tells whether the next row has another cursor than the last one taken. */
static int look_ahead(struct mysql_scan_cursor *c, struct error *err)
{
    enum mysql_number kind;
    int64_t cursor;

    if (next(c, err) < 0)
        return -1;
    c->waiting = !c->base.done;
    if (!c->waiting)
        return 0;
    if (read_cursor(c, &cursor, &kind, err) < 0)
        return -1;
    c->base.at_border =
        c->base.at_border && kind == MYSQL_NUMBER_EXACT && cursor != c->base.last_cursor;
    return 0;
}

int mysql_scan_fetch(struct sql_cursor *base, struct batch *rows, struct error *err)
{
    struct mysql_scan_cursor *c = (struct mysql_scan_cursor *)base;
    bool range = c->scan.window == SQL_WINDOW_RANGE;
    enum mysql_number kind = MYSQL_NUMBER_EXACT;

    while (!batch_is_full(rows)) {
        if (!c->waiting && next(c, err) < 0)
            return -1;
        c->waiting = false;
        if (base->done)
            return 0;
        if (mysql_rows_put(c->rows, rows, err) < 0 ||
            (range && read_cursor(c, &base->last_cursor, &kind, err) < 0))
            return -1;
        c->inexact = kind != MYSQL_NUMBER_EXACT;
    }
    base->at_border = !c->inexact;
    return base->look_ahead ? look_ahead(c, err) : 0;
}

/* The row in memory is the last one taken: with a key there is no look ahead. */
bool mysql_scan_put_key(struct sql_cursor *base, struct arena *mem, struct buf *out)
{
    struct mysql_scan_cursor *c = (struct mysql_scan_cursor *)base;
    struct error ignored = ERROR_INIT;

    for (size_t i = 0; i < c->scan.n_key; i++) {
        struct sql_value v;

        if (mysql_rows_value(c->rows, c->scan.columns->n_columns + i, mem, &v, &ignored) < 0 ||
            v.kind == SQL_NULL)
            return false;
        if (i > 0)
            buf_putc(out, ',');
        position_put_value(&v, c->scan.key_types[i], out);
    }
    return true;
}

/*
 * Rows that are still to come are not waited for: there may be hours of them. Where the statement
 * came to its end the table is let go, so that nobody's ALTER TABLE waits for the other streams.
 */
void mysql_scan_end(struct sql_cursor *base)
{
    struct mysql_scan_cursor *c = (struct mysql_scan_cursor *)base;
    MYSQL *my = c->reader->conn->my;
    static const char release[] = "ROLLBACK TO SAVEPOINT connectord";

    if (!base->done && !c->failed && mysql_get_socket(my) != (my_socket)-1)
        shutdown((int)mysql_get_socket(my), SHUT_RDWR);
    mysql_rows_close(c->rows);
    if (c->stmt)
        mysql_stmt_close(c->stmt);
    /* When this fails, the next statement says why. */
    if (base->done && c->reader->in_snapshot)
        mysql_real_query(my, release, sizeof release - 1);
    arena_free(c->mem);
    free(c);
}
