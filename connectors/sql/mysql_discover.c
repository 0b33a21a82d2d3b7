/*
 * The catalog of a MariaDB or MySQL server: a few statements per database, whatever the number of
 * tables. Left out are our own tables, sequences, and what cannot be read: broken views, and tables
 * of which no column may be selected.
 */
#include <stdlib.h>

#include "connectors/sql/candidates.h"
#include "connectors/sql/literal.h"
#include "connectors/sql/mysql_source.h"
#include "connectors/sql/queries.h"

/* A condition on table_schema alone is what lets the server look at one database only. */
static const char tables_query[] =
    "SELECT table_name, table_type = 'VIEW' FROM information_schema.tables"
    " WHERE table_schema = ? AND table_type IN ('BASE TABLE', 'VIEW', 'SYSTEM VERSIONED')"
    " AND table_name NOT LIKE '!_connectord!_%' ESCAPE '!'";
/* MariaDB opens every table for these numbers: 2.5 s for 10,000 tables. Those it keeps itself lag
 * behind a little, are there for InnoDB alone, and only some users may read them. */
static const char rows_query[] =
    "SELECT table_name, table_rows FROM information_schema.tables"
    " WHERE table_schema = ? AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')";
static const char kept_rows_query[] =
    "SELECT substring_index(table_name, '#P#', 1), cast(sum(n_rows) AS signed)"
    " FROM mysql.innodb_table_stats WHERE database_name = ? GROUP BY 1";
static const char columns_query[] =
    "SELECT table_name, column_name, data_type, column_type, is_nullable = 'YES', collation_name,"
    " column_default, extra"
    " FROM information_schema.columns WHERE table_schema = ?"
    " AND find_in_set('select', privileges) > 0 ORDER BY table_name, ordinal_position";
static const char keys_query[] =
    "SELECT table_name, index_name, column_name FROM information_schema.statistics"
    " WHERE table_schema = ? AND non_unique = 0"
    " ORDER BY table_name, index_name <> 'PRIMARY', index_name, seq_in_index"; /* PRIMARY first */
/* MariaDB's json is a longtext with a check. */
static const char checks_query[] =
    "SELECT table_name, check_clause FROM information_schema.check_constraints"
    " WHERE constraint_schema = ? AND check_clause LIKE 'json!_valid(%' ESCAPE '!'";

struct table {
    const char *name;
    bool is_view;
    int64_t rows; /* estimated, -1 = unknown */
    struct column *columns;
    size_t n_columns;
    size_t *key;
    size_t n_key;
    bool primary; /* that is the primary key */
};

/* From here on the numbers that the server keeps are good enough. */
#define MANY_TABLES 500

/* One database while its catalog comes in. */
struct building {
    struct mysql_reader *r;
    struct arena *mem;
    struct table *tables; /* sorted by name from the second query on */
    size_t n, cap;
    struct column *columns; /* of the table that comes in */
    size_t n_columns;
    struct table *current;
    const char *index; /* that comes in; its columns */
    size_t set[SCHEMA_MAX_COLUMNS], n_set;
    bool set_fits;
    bool may_have_json;
};

/* ----------------------------------------------------------------------- tables */

static int take_table(void *arg, const struct sql_value *v, size_t n, struct error *err)
{
    struct building *b = arg;

    (void)n;
    if (b->n >= CATALOG_MAX_STREAMS)
        return error_set(err, ERR_TOO_LARGE, "the database has more than %d tables",
                         CATALOG_MAX_STREAMS);
    if (b->n == b->cap) {
        b->cap = b->cap ? 2 * b->cap : 64;
        b->tables = xrealloc(b->tables, b->cap * sizeof *b->tables);
    }
    b->tables[b->n++] = (struct table){
        .name = sql_value_text(b->mem, &v[0]),
        .is_view = v[1].number != 0,
        .rows = -1,
    };
    return 0;
}

static int compare_tables(const void *a, const void *b)
{
    return strcmp(((const struct table *)a)->name, ((const struct table *)b)->name);
}

static bool is_called(const struct sql_value *v, const char *name)
{
    return v->bytes.len == strlen(name) && memcmp(v->bytes.ptr, name, v->bytes.len) == 0;
}

/* The table of a row; NULL for one that is left out. Rows of a table come together. */
static struct table *table_of(struct building *b, const struct sql_value *name)
{
    struct table wanted = {0};

    if (b->current && is_called(name, b->current->name))
        return b->current;
    wanted.name = sql_value_text(b->mem, name);
    return b->n > 0 ? bsearch(&wanted, b->tables, b->n, sizeof wanted, compare_tables) : NULL;
}

static int take_rows(void *arg, const struct sql_value *v, size_t n, struct error *err)
{
    struct table *t = table_of(arg, &v[0]);

    (void)n;
    (void)err;
    if (t && !t->is_view && v[1].kind == SQL_INT)
        t->rows = v[1].number;
    return 0;
}

/* ---------------------------------------------------------------------- columns */

static void end_columns(struct building *b)
{
    if (b->current && b->n_columns > 0) {
        b->current->columns = arena_array(b->mem, b->n_columns, sizeof *b->columns);
        memcpy(b->current->columns, b->columns, b->n_columns * sizeof *b->columns);
        b->current->n_columns = b->n_columns;
    }
    b->n_columns = 0;
}

/* What a column that must have a value has where nobody gave it one: the rows that were there when
 * it was added have that. An enum has its first word, which is not looked for. */
static const char *implicit(const char *word, const struct column *c)
{
    static const char *const texts[] = {"char",       "varchar",  "tinytext", "text",
                                        "mediumtext", "longtext", "set"};

    if (c->type.type == TYPE_INT || c->type.type == TYPE_DECIMAL || c->type.type == TYPE_FLOAT ||
        c->type.type == TYPE_BOOL)
        return "0";
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (strcmp(word, texts[i]) == 0)
            return "";
    }
    return NULL;
}

/* MariaDB writes an expression, MySQL the bare text and beside it whether that is an expression. */
static bool read_default(const struct building *b, const char *text, struct buf *out)
{
    bool bare = !b->r->conn->is_mariadb || literal_is_number(text);

    if (bare && strncasecmp(text, "b'", 2) != 0)
        buf_puts(out, text);
    else if (!literal_read_bits(text, out) &&
             !literal_read_text(text, '\'', LITERAL_BACKSLASH, out))
        return false;
    return !out->failed;
}

/*
 * What rows have that are older than the column: its default, if that is a constant. The server
 * does not say whether the default was another one when the column was added. Bytes are not told:
 * the catalog is text.
 */
static const char *older_text(const struct building *b, const char *word, const struct column *c,
                              const struct sql_value *otherwise, const char *extra)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT((size_t)1 << 20);

    if (c->type.type == TYPE_BYTES || strcasestr(extra, "generated") ||
        strcasestr(extra, "auto_increment"))
        return NULL;
    if (otherwise->kind == SQL_NULL)
        return c->nullable ? NULL : implicit(word, c);
    if (!read_default(b, sql_value_text(b->mem, otherwise), &out))
        return NULL;
    if (c->type.type == TYPE_TIMESTAMPTZ)
        buf_putc(&out, 'Z'); /* of the session, whose zone is that */
    return arena_strdup(b->mem, buf_str(&out));
}

/* table, name, type as a word, type as text, nullable, collation, default, what else there is */
static int take_column(void *arg, const struct sql_value *v, size_t n, struct error *err)
{
    struct building *b = arg;
    struct table *t = table_of(b, &v[0]);
    const char *word = sql_value_text(b->mem, &v[2]);
    struct column *c;

    (void)n;
    if (t != b->current)
        end_columns(b);
    b->current = t;
    if (!t)
        return 0;
    if (b->n_columns >= SCHEMA_MAX_COLUMNS)
        return error_set(err, ERR_TOO_LARGE, "table \"%s\" has more than %d columns", t->name,
                         SCHEMA_MAX_COLUMNS);
    c = &b->columns[b->n_columns++];
    c->name = sql_value_text(b->mem, &v[1]);
    c->source_type = sql_value_text(b->mem, &v[3]);
    c->nullable = v[4].number != 0;
    c->type = mysql_type_of_column(word, c->source_type, b->r->config->tinyint1_is_bool);
    c->older = older_text(b, word, c, &v[6], sql_value_text(b->mem, &v[7]));
    b->may_have_json |= strcmp(word, "longtext") == 0 && is_called(&v[5], "utf8mb4_bin");
    return 0;
}

static long find_column(const struct table *t, const char *name)
{
    for (size_t i = 0; i < t->n_columns; i++) {
        if (strcmp(t->columns[i].name, name) == 0)
            return (long)i;
    }
    return -1;
}

/* json_valid(`name`), a backtick within the name doubled: the name, or "". */
static const char *name_in_check(struct arena *mem, const struct sql_value *v)
{
    static const char begin[] = "json_valid(`", end[] = "`)";
    const char *text = sql_value_text(mem, v);
    size_t n = strlen(text), from = sizeof begin - 1, last = sizeof end - 1;
    char *name = arena_alloc(mem, n + 1);
    size_t len = 0;

    if (n < from + last || !text_starts_with(text, begin) || strcmp(text + n - last, end) != 0)
        return "";
    for (size_t i = from; i < n - last; i++) {
        if (text[i] == '`' && text[++i] != '`')
            return ""; /* the name ended: there is more to this check */
        name[len++] = text[i];
    }
    name[len] = '\0';
    return name;
}

static int take_check(void *arg, const struct sql_value *v, size_t n, struct error *err)
{
    struct building *b = arg;
    struct table *t = table_of(b, &v[0]);
    long i = t ? find_column(t, name_in_check(b->mem, &v[1])) : -1;

    (void)n;
    (void)err;
    if (i >= 0 && t->columns[i].type.type == TYPE_STRING)
        t->columns[i].type = type_plain(TYPE_JSON);
    return 0;
}

/* ------------------------------------------------------------------------- keys */

/* The primary key alone; only where there is none, the smallest unique set without NULL. */
static void end_index(struct building *b)
{
    struct table *t = b->current;

    if (!t || !b->index || !b->set_fits || b->n_set == 0 || t->primary ||
        (t->n_key > 0 && t->n_key <= b->n_set))
        return;
    t->key = arena_array(b->mem, b->n_set, sizeof *t->key);
    memcpy(t->key, b->set, b->n_set * sizeof *t->key);
    t->n_key = b->n_set;
    t->primary = strcmp(b->index, "PRIMARY") == 0;
}

/* A text of any length is unique by a hash in MariaDB: it has no order that an index serves. */
static bool is_long(const struct column *c)
{
    static const char *const types[] = {"tinytext", "text", "mediumtext", "longtext",
                                        "tinyblob", "blob", "mediumblob", "longblob"};

    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(c->source_type, types[i]) == 0)
            return true;
    }
    return false;
}

/* table, index, column; a column that is NULL is an expression */
static int take_key(void *arg, const struct sql_value *v, size_t n, struct error *err)
{
    struct building *b = arg;
    struct table *t = table_of(b, &v[0]);
    long i = t && v[2].kind != SQL_NULL ? find_column(t, sql_value_text(b->mem, &v[2])) : -1;

    (void)n;
    (void)err;
    if (t != b->current || !b->index || !is_called(&v[1], b->index)) {
        end_index(b);
        b->current = t;
        b->index = sql_value_text(b->mem, &v[1]);
        b->n_set = 0;
        b->set_fits = true;
    }
    if (i < 0 || t->columns[i].nullable ||
        (is_long(&t->columns[i]) && strcmp(b->index, "PRIMARY") != 0))
        b->set_fits = false;
    else
        b->set[b->n_set++] = (size_t)i;
    return 0;
}

/* ---------------------------------------------------------------------- catalog */

static int ask(struct building *b, const char *sql, const char *database, sql_row_fn *each,
               struct error *err)
{
    const struct sql_value name = sql_text(database);

    b->current = NULL;
    b->index = NULL;
    return mysql_driver.query(&b->r->conn->base, sql, &name, 1, each, b, err);
}

/* A database that is not there looks like one without tables. */
static int check_database(struct building *b, const char *database, struct error *err)
{
    const struct sql_value name = sql_text(database);
    bool is_null;
    int64_t n;

    if (mysql_source_driver.number(&b->r->base,
                                   "SELECT count(*) FROM information_schema.schemata"
                                   " WHERE schema_name = ?",
                                   &name, 1, &n, &is_null, err) < 0)
        return -1;
    if (n == 0)
        return error_set_reason(err, ERR_NOT_FOUND, "database_missing",
                                "it is not there, or the user may not see it");
    return 0;
}

static int ask_rows(struct building *b, const char *database, struct error *err)
{
    struct error why = ERROR_INIT;

    if (b->n >= MANY_TABLES && b->r->conn->is_mariadb) {
        if (ask(b, kept_rows_query, database, take_rows, &why) == 0)
            return 0;
        if (why.code != ERR_PERMISSION) {
            *err = why;
            return -1;
        }
    }
    return ask(b, rows_query, database, take_rows, err);
}

static int ask_all(struct building *b, const char *database, struct error *err)
{
    if (ask(b, tables_query, database, take_table, err) < 0)
        return -1;
    if (b->n == 0)
        return check_database(b, database, err);
    qsort(b->tables, b->n, sizeof *b->tables, compare_tables);
    if (ask_rows(b, database, err) < 0 || ask(b, columns_query, database, take_column, err) < 0)
        return -1;
    end_columns(b);
    if (ask(b, keys_query, database, take_key, err) < 0)
        return -1;
    end_index(b);
    return b->may_have_json && b->r->conn->is_mariadb
               ? ask(b, checks_query, database, take_check, err)
               : 0;
}

static void add_stream(const struct building *b, const struct table *t, const char *namespace,
                       struct catalog *out)
{
    struct schema *schema;
    struct stream *s;

    if (t->n_columns == 0) {
        log_warn(b->r->base.run->log, .message = "a table cannot be read and is left out",
                 .fields = {log_text("table", t->name),
                            log_text("kind", t->is_view ? "view" : "table")});
        return;
    }
    schema = arena_alloc(out->mem, sizeof *schema);
    *schema = (struct schema){t->columns, t->n_columns, t->key, t->n_key};
    s = catalog_add(out);
    s->namespace = namespace;
    s->name = t->name;
    s->schema = schema;
    s->resumable = t->n_key > 0;
    s->row_estimate = t->rows;
    s->as_found = true;
    candidates_choose(b->r->base.dialect, out->mem, s);
}

static int discover_database(struct mysql_reader *r, const char *database, const char *namespace,
                             struct catalog *out, struct error *err)
{
    CLEANUP(free_cleanup) struct building *b = xalloc(sizeof *b);
    CLEANUP(free_cleanup) struct column *columns = xalloc(SCHEMA_MAX_COLUMNS * sizeof *columns);
    int rc;

    b->r = r;
    b->mem = out->mem;
    b->columns = columns;
    rc = ask_all(b, database, err);
    for (size_t i = 0; rc == 0 && i < b->n; i++)
        add_stream(b, &b->tables[i], namespace, out);
    free(b->tables);
    return rc < 0 ? error_wrap(err, "database \"%s\"", database) : 0;
}

/* ---------------------------------------------------------------------- queries */

static void result_cleanup(MYSQL_RES **result)
{
    if (*result)
        mysql_free_result(*result);
}

/* What the server says against a text is about the text; a lost connection is not. */
static int refuse(struct mysql_conn *c, MYSQL_STMT *stmt, struct error *err)
{
    struct error why = ERROR_INIT;

    mysql_fail(c, stmt, "preparing it", &why);
    if (error_is_retryable(&why) || why.code == ERR_CANCELLED ||
        strcmp(error_reason(&why), "permission_denied") == 0) {
        *err = why;
        return -1;
    }
    return error_set_reason(err, ERR_CONFIG, "query_invalid", "%s", why.message);
}

static int prepare(struct mysql_conn *c, const char *sql, MYSQL_STMT **out, struct error *err)
{
    CLEANUP(mysql_stmt_cleanup) MYSQL_STMT *stmt = mysql_stmt_init(c->my);

    if (!stmt)
        return mysql_fail(c, NULL, "preparing a query", err);
    if (mysql_stmt_prepare(stmt, sql, strlen(sql)) != 0)
        return refuse(c, stmt, err);
    if (mysql_stmt_param_count(stmt) > 0)
        return error_set_reason(err, ERR_CONFIG, "query_invalid",
                                "it has parameters, and there are no values for them");
    *out = TAKE(stmt);
    return 0;
}

/* Alone it is one statement with a result; only a SELECT can stand in another one. */
static int describe(struct sql_reader *base, const char *text, struct arena *mem,
                    struct column **out, size_t *out_n, struct error *err)
{
    const struct mysql_reader *r = (const struct mysql_reader *)base;
    CLEANUP(mysql_stmt_cleanup) MYSQL_STMT *alone = NULL;
    CLEANUP(mysql_stmt_cleanup) MYSQL_STMT *within = NULL;
    CLEANUP(result_cleanup) MYSQL_RES *about = NULL;
    const MYSQL_FIELD *fields;
    size_t n;

    if (prepare(r->conn, text, &alone, err) < 0)
        return -1;
    about = mysql_stmt_result_metadata(alone);
    if (!about)
        return error_set_reason(err, ERR_CONFIG, "query_invalid", "it gives no rows");
    if (prepare(r->conn, arena_printf(mem, "SELECT * FROM (%s\n) AS q", text), &within, err) < 0)
        return -1;
    n = mysql_num_fields(about);
    fields = mysql_fetch_fields(about);
    *out = arena_array(mem, n, sizeof **out);
    for (size_t i = 0; i < n; i++) {
        struct column *c = &(*out)[i];

        c->name = arena_memdup(mem, fields[i].name, fields[i].name_length);
        c->nullable = !(fields[i].flags & NOT_NULL_FLAG);
        c->type =
            mysql_type_of_field(&fields[i], r->config->tinyint1_is_bool, mem, &c->source_type);
    }
    *out_n = n;
    return 0;
}

/* Streams have a namespace where the configured database alone would not say which table it is. */
int mysql_discover(struct sql_reader *base, struct catalog *out, struct error *err)
{
    struct mysql_reader *r = (struct mysql_reader *)base;
    const struct string_list *schemas = &r->config->schemas;
    const char *own = r->config->database;
    bool alone = schemas->n == 0 || (schemas->n == 1 && strcmp(schemas->items[0], own) == 0);

    if (alone && discover_database(r, own, "", out, err) < 0)
        return -1;
    for (size_t i = 0; !alone && i < schemas->n; i++) {
        const char *name = arena_strdup(out->mem, schemas->items[i]);

        if (discover_database(r, name, name, out, err) < 0)
            return -1;
    }
    return sql_queries_discover(base, r->config->queries, describe, out, err);
}
