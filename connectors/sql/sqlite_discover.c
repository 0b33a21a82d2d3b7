/*
 * What is in a SQLite file: tables and views that are not SQLite's and not our own, their columns,
 * keys and possible cursors.
 */
#include <ctype.h>
#include <sqlite3.h>
#include <string.h>
#include <strings.h>

#include "connectors/sql/literal.h"
#include "connectors/sql/queries.h"
#include "connectors/sql/sqlite_source.h"

/* Views one by one, since one that is broken must not hide the others. */
static const char list_query[] =
    "SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main'"
    " AND type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    " AND name NOT LIKE '\\_connectord\\_%' ESCAPE '\\' ORDER BY name";
static const char columns_query[] = "SELECT name, type, \"notnull\", pk, dflt_value FROM "
                                    "pragma_table_xinfo(?1, 'main') WHERE hidden <> 1"
                                    " ORDER BY cid";
static const char unique_query[] =
    "SELECT i.name, x.name FROM pragma_index_list(?1, 'main') AS i,"
    " pragma_index_xinfo(i.name, 'main') AS x WHERE i.\"unique\" AND NOT i.partial AND x.key"
    " ORDER BY i.name, x.seqno";
static const char estimate_query[] =
    "SELECT stat FROM sqlite_stat1 WHERE tbl = ?1 AND stat IS NOT NULL LIMIT 1";

struct table {
    const char *name;
    bool is_view, without_rowid;
};

struct tables {
    struct arena *mem;
    struct table *items;
    size_t n, cap;
};

static int take_table(void *arg, const struct sql_value *v, size_t n, struct error *err)
{
    struct tables *t = arg;

    (void)n;
    if (t->n >= CATALOG_MAX_STREAMS)
        return error_set(err, ERR_TOO_LARGE, "the database has more than %d tables",
                         CATALOG_MAX_STREAMS);
    if (t->n == t->cap) {
        struct table *more = arena_array(t->mem, t->cap ? 2 * t->cap : 64, sizeof *more);

        if (t->n > 0)
            memcpy(more, t->items, t->n * sizeof *more);
        t->items = more;
        t->cap = t->cap ? 2 * t->cap : 64;
    }
    t->items[t->n++] = (struct table){
        .name = sql_value_text(t->mem, &v[0]),
        .is_view = v[1].bytes.len == 4,
        .without_rowid = v[2].number != 0,
    };
    return 0;
}

/* A stream while its columns come in. */
struct building {
    struct arena *mem;
    struct column *columns;
    int64_t *pk; /* place in the primary key, 0 = none */
    size_t n, cap;
    size_t best[SCHEMA_MAX_COLUMNS], n_best; /* the smallest unique set of NOT NULL columns */
    size_t set[SCHEMA_MAX_COLUMNS], n_set;
    bool set_fits;
    const char *index;
};

/* Digits in quotes stay what they are in a column of text, and become a number in others. */
static bool is_kept_as_text(const struct column *c)
{
    return c->type.type == TYPE_STRING &&
           (strcasestr(c->source_type, "char") || strcasestr(c->source_type, "text") ||
            strcasestr(c->source_type, "clob"));
}

/* A number with a point is kept in binary, which 15 digits survive, but not zeros at their end. */
static const char *fraction(struct arena *mem, const char *number)
{
    char *text = arena_strdup(mem, number);
    size_t n = strlen(text);

    if (strpbrk(text, "eE") || n > 15)
        return NULL;
    while (text[n - 1] == '0')
        text[--n] = '\0';
    if (text[n - 1] == '.')
        text[n - 1] = '\0';
    return text;
}

/* What rows have that are older than the column: its default, as the column keeps it. A column that
 * is added has none but a constant. */
static const char *older_text(struct arena *mem, const struct column *c, const char *sql)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT((size_t)1 << 20);
    enum type type = c->type.type;
    bool quoted = literal_read_text(sql, '\'', LITERAL_DOUBLED, &text);

    if (quoted &&
        (type == TYPE_BYTES || text.failed ||
         (type == TYPE_STRING && literal_is_number(buf_str(&text)) && !is_kept_as_text(c))))
        return NULL;
    if (quoted)
        return arena_strdup(mem, buf_str(&text));
    buf_clear(&text);
    if (type == TYPE_BYTES)
        return literal_read_bytes(sql, &text) && !text.failed ? arena_strdup(mem, buf_str(&text))
                                                              : NULL;
    if (type == TYPE_BOOL || type == TYPE_INT) {
        if (strcasecmp(sql, "true") == 0)
            return "1";
        if (strcasecmp(sql, "false") == 0)
            return "0";
    }
    if (type == TYPE_DECIMAL && literal_is_number(sql) && !literal_is_plain_integer(sql))
        return strchr(sql, '.') ? fraction(mem, sql) : NULL;
    if (type == TYPE_STRING ? literal_is_plain_integer(sql) : literal_is_number(sql))
        return arena_strdup(mem, sql);
    return NULL;
}

static int take_column(void *arg, const struct sql_value *v, size_t n, struct error *err)
{
    struct building *b = arg;
    struct column *c;

    (void)n;
    if (b->n >= SCHEMA_MAX_COLUMNS)
        return error_set(err, ERR_TOO_LARGE, "more than %d columns", SCHEMA_MAX_COLUMNS);
    if (b->n == b->cap) {
        size_t cap = b->cap ? 2 * b->cap : 32;
        struct column *more = arena_array(b->mem, cap, sizeof *more);
        int64_t *pk = arena_array(b->mem, cap, sizeof *pk);

        if (b->n > 0) {
            memcpy(more, b->columns, b->n * sizeof *more);
            memcpy(pk, b->pk, b->n * sizeof *pk);
        }
        b->columns = more;
        b->pk = pk;
        b->cap = cap;
    }
    c = &b->columns[b->n];
    c->name = sql_value_text(b->mem, &v[0]);
    c->source_type = sql_value_text(b->mem, &v[1]);
    c->nullable = v[2].number == 0;
    if (!sqlite_parse_type(c->source_type, &c->type))
        c->type = type_plain(TYPE_STRING);
    c->older = older_text(b->mem, c, sql_value_text(b->mem, &v[4]));
    b->pk[b->n++] = v[3].number;
    return 0;
}

static void end_unique(struct building *b)
{
    if (b->index && b->set_fits && b->n_set > 0 && (b->n_best == 0 || b->n_set < b->n_best)) {
        memcpy(b->best, b->set, b->n_set * sizeof b->set[0]);
        b->n_best = b->n_set;
    }
}

static int take_unique(void *arg, const struct sql_value *v, size_t n, struct error *err)
{
    struct building *b = arg;
    const char *index = sql_value_text(b->mem, &v[0]);
    const char *column = sql_value_text(b->mem, &v[1]);
    bool found = false;

    (void)n;
    (void)err;
    if (!b->index || strcmp(b->index, index) != 0) {
        end_unique(b);
        b->index = index;
        b->n_set = 0;
        b->set_fits = true;
    }
    for (size_t i = 0; i < b->n && v[1].kind != SQL_NULL; i++) {
        if (strcmp(b->columns[i].name, column) == 0 && !b->columns[i].nullable) {
            b->set[b->n_set++] = i;
            found = true;
        }
    }
    b->set_fits &= found;
    return 0;
}

/* The primary key alone; only where there is none, a unique set that cannot be NULL. */
static size_t choose_key(struct building *b, const struct table *t, size_t *out)
{
    size_t n = 0;

    for (size_t place = 1; place <= b->n; place++) {
        for (size_t i = 0; i < b->n; i++) {
            if (b->pk[i] == (int64_t)place)
                out[n++] = i;
        }
    }
    for (size_t i = 0; i < n; i++) {
        bool rowid = n == 1 && strcasecmp(b->columns[out[i]].source_type, "INTEGER") == 0;

        if (t->without_rowid || rowid)
            b->columns[out[i]].nullable = false;
    }
    if (n > 0)
        return n;
    memcpy(out, b->best, b->n_best * sizeof *out);
    return b->n_best;
}

static bool contains(const char *name, const char *word)
{
    return strcasestr(name, word) != NULL;
}

/* How good a cursor a column makes; 0 = none, less is better. */
static int rank(const struct building *b, const size_t *key, size_t n_key, size_t i)
{
    const struct column *c = &b->columns[i];
    bool time = c->type.type == TYPE_TIMESTAMP || c->type.type == TYPE_TIMESTAMPTZ;
    bool changes =
        contains(c->name, "updat") || contains(c->name, "modif") || contains(c->name, "chang");

    if ((time || c->type.type == TYPE_STRING) && changes)
        return 1;
    if (c->type.type == TYPE_INT && n_key == 1 && key[0] == i)
        return 2;
    if (time)
        return 3;
    return c->type.type == TYPE_DATE ? 4 : 0;
}

static void choose_cursors(struct building *b, const struct schema *schema, struct stream *out)
{
    size_t *cursors = arena_array(b->mem, b->n + 1, sizeof *cursors);

    for (int wanted = 1; wanted <= 4; wanted++) {
        for (size_t i = 0; i < b->n; i++) {
            if (rank(b, schema->key, schema->n_key, i) == wanted)
                cursors[out->n_cursors++] = i;
        }
    }
    out->cursors = cursors;
}

/* A user may know more than the names of columns say. */
static bool can_be_incremental(const struct building *b)
{
    for (size_t i = 0; i < b->n; i++) {
        if (sql_sqlite.cursor[b->columns[i].type.type])
            return true;
    }
    return false;
}

static int64_t leading_number(const char *s)
{
    int64_t v = 0;

    for (; isdigit((unsigned char)*s) && v < INT64_MAX / 10 - 10; s++)
        v = v * 10 + (*s - '0');
    return v;
}

static int take_estimate(void *arg, const struct sql_value *v, size_t n, struct error *err)
{
    int64_t *out = arg;
    char digits[32] = "";
    size_t len = v[0].bytes.len < sizeof digits - 1 ? v[0].bytes.len : sizeof digits - 1;

    (void)n;
    (void)err;
    if (v[0].kind == SQL_TEXT) {
        memcpy(digits, v[0].bytes.ptr, len);
        *out = leading_number(digits);
    }
    return 0;
}

/* What ANALYZE has left, or the greatest row number: both cost nothing. */
static int estimate(struct sqlite_conn *c, const struct table *t, int64_t *out, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT((size_t)1 << 20);
    struct sql_value name = sql_text(t->name);
    struct error ignored = ERROR_INIT;
    bool is_null;

    *out = -1;
    if (t->is_view)
        return 0;
    /* The table of statistics is there only after ANALYZE. */
    if (sqlite_driver.query(&c->base, estimate_query, &name, 1, take_estimate, out, &ignored) ==
            0 &&
        *out >= 0)
        return 0;
    if (t->without_rowid)
        return 0;
    buf_puts(&sql, "SELECT max(rowid) FROM ");
    sql_put_name(&sql_sqlite, t->name, &sql);
    ignored = ERROR_INIT;
    if (sqlite_number(c, buf_str(&sql), NULL, 0, out, &is_null, &ignored) < 0)
        *out = -1; /* a column of that name that is none */
    return cancel_check(c->run->cancel, err);
}

static int discover_table(struct sqlite_conn *c, const struct table *t, struct building *b,
                          struct catalog *out, struct error *err)
{
    struct sql_value name = sql_text(t->name);
    struct schema *schema = arena_alloc(out->mem, sizeof *schema);
    struct stream *s;
    size_t *key;

    *b = (struct building){.mem = out->mem};
    if (sqlite_driver.query(&c->base, columns_query, &name, 1, take_column, b, err) < 0 ||
        sqlite_driver.query(&c->base, unique_query, &name, 1, take_unique, b, err) < 0)
        return -1;
    end_unique(b);
    key = arena_array(out->mem, b->n + 1, sizeof *key);
    *schema = (struct schema){b->columns, b->n, key, choose_key(b, t, key)};
    s = catalog_add(out);
    s->namespace = "";
    s->name = t->name;
    s->schema = schema;
    choose_cursors(b, schema, s);
    s->as_found = true;
    s->incremental = can_be_incremental(b);
    s->resumable = schema->n_key > 0;
    return estimate(c, t, &s->row_estimate, err);
}

static int invalid(const char *why, struct error *err)
{
    return error_set_reason(err, ERR_CONFIG, "query_invalid", "%s", why);
}

static int prepare_query(struct sqlite_conn *c, const char *text, struct sqlite3_stmt **out,
                         struct error *err)
{
    const char *tail;
    int rc = sqlite3_prepare_v3(c->db, text, -1, 0, out, &tail);

    if (rc == SQLITE_AUTH)
        return invalid("it does not only read", err);
    if (rc != SQLITE_OK)
        return invalid(sqlite3_errmsg(c->db), err);
    if (!*out || tail[strspn(tail, " \t\r\n")] != '\0')
        return invalid("it is not exactly one statement", err);
    if (!sqlite3_stmt_readonly(*out))
        return invalid("it does not only read", err);
    if (sqlite3_bind_parameter_count(*out) > 0)
        return invalid("it has parameters, and nobody gives them values", err);
    return 0;
}

/* A column that comes straight from a table has its type, one that is computed holds text. Some
 * statements have rows and are no SELECT: those cannot stand where a table stands. */
static int describe(struct sql_reader *base, const char *text, struct arena *mem,
                    struct column **out, size_t *out_n, struct error *err)
{
    CLEANUP(sqlite_finalize_cleanup) struct sqlite3_stmt *alone = NULL;
    CLEANUP(sqlite_finalize_cleanup) struct sqlite3_stmt *within = NULL;
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_QUERY_TEXT_MAX + 100);
    struct sqlite_conn *c = ((struct sqlite_reader *)base)->conn;
    struct column *columns;
    size_t n;

    buf_printf(&sql, "SELECT * FROM (%s\n) AS q", text);
    if (prepare_query(c, text, &alone, err) < 0 ||
        prepare_query(c, buf_str(&sql), &within, err) < 0)
        return -1;
    n = (size_t)sqlite3_column_count(alone);
    columns = arena_array(mem, n, sizeof *columns);
    for (size_t i = 0; i < n; i++) {
        const char *type = sqlite3_column_decltype(alone, (int)i);
        const char *name = sqlite3_column_name(alone, (int)i);

        columns[i] = (struct column){.name = arena_strdup(mem, name ? name : ""),
                                     .source_type = arena_strdup(mem, type ? type : ""),
                                     .nullable = true};
        if (!sqlite_parse_type(columns[i].source_type, &columns[i].type))
            columns[i].type = type_plain(TYPE_STRING);
    }
    *out = columns;
    *out_n = n;
    return 0;
}

int sqlite_discover(struct sql_reader *base, struct catalog *out, struct error *err)
{
    struct sqlite_conn *c = ((struct sqlite_reader *)base)->conn;
    struct tables tables = {.mem = out->mem};
    CLEANUP(free_cleanup) struct building *b = xalloc(sizeof *b);

    if (sqlite_driver.query(&c->base, list_query, NULL, 0, take_table, &tables, err) < 0)
        return -1;
    for (size_t i = 0; i < tables.n; i++) {
        struct error why = ERROR_INIT;

        if (discover_table(c, &tables.items[i], b, out, &why) == 0)
            continue;
        if (!tables.items[i].is_view || why.code == ERR_CANCELLED) {
            *err = why;
            return error_wrap(err, "table \"%s\"", tables.items[i].name);
        }
        log_warn(base->run->log, .message = "a view cannot be read and is left out",
                 .fields = {log_text("view", tables.items[i].name), log_text("why", why.message)});
    }
    return sql_queries_discover(base, ((struct sqlite_reader *)base)->config->queries, describe,
                                out, err);
}
