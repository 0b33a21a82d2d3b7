/*
 * What is in a database: one statement over the catalog for all tables, views, materialized views,
 * partitioned and foreign tables, and a description of each query of the user.
 */
#include <string.h>
#include <strings.h>

#include "connectors/base/text.h"
#include "connectors/sql/literal.h"
#include "connectors/sql/postgres_source.h"
#include "connectors/sql/queries.h"

/*
 * A row per column, in the order of tables; a table of which nothing may be read has one without a
 * column. Types are those below domains. The key is the primary key alone, else the smallest
 * unique index of all rows over columns that cannot be NULL, compared as the columns are. Rows of
 * an inheriting table appear in its parent, so a parent has no key. The last one is what rows have
 * that are older than the column; of a partitioned table, what those of its partitions have.
 */
static const char catalog_query[] =
    "WITH RECURSIVE domain AS (SELECT oid, typbasetype AS base, typtypmod AS modifier"
    " FROM pg_catalog.pg_type WHERE typtype = 'd' UNION ALL SELECT d.oid, t.typbasetype,"
    " CASE WHEN d.modifier < 0 THEN t.typtypmod ELSE d.modifier END FROM domain AS d"
    " JOIN pg_catalog.pg_type AS t ON t.oid = d.base AND t.typtype = 'd'),"
    " found AS (SELECT c.oid, n.nspname, c.relname, c.relkind,"
    " CASE WHEN c.relkind = 'v' OR c.reltuples < 0 OR (c.reltuples = 0 AND c.relpages = 0)"
    " THEN -1 ELSE c.reltuples::int8 END AS estimate,"
    " pg_catalog.has_schema_privilege(n.oid, 'USAGE')"
    " AND pg_catalog.has_table_privilege(c.oid, 'SELECT') AS readable,"
    " pg_catalog.has_schema_privilege(n.oid, 'USAGE')"
    " AND pg_catalog.has_any_column_privilege(c.oid, 'SELECT') AS some_readable"
    " FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
    " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition"
    " AND c.relpersistence <> 't' AND c.relname !~ '^_connectord_' AND CASE"
    " WHEN $1::text[] IS NULL THEN n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
    " ELSE n.nspname = ANY ($1::text[]) END)"
    " SELECT f.oid, f.nspname, f.relname, f.estimate, f.some_readable, a.attname,"
    " t.oid, CASE WHEN d.oid IS NULL THEN a.atttypmod ELSE d.modifier END,"
    " pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull, e.oid IS NOT NULL,"
    " pg_catalog.array_position(k.key, a.attnum), pg_catalog.cardinality(k.key),"
    " CASE WHEN a.atthasmissing THEN (a.attmissingval::text::text[])[1]"
    " WHEN f.relkind = 'p' THEN (SELECT CASE WHEN min(m.v) = max(m.v)"
    " THEN min(m.v) END FROM (SELECT (b.attmissingval::text::text[])[1] COLLATE \"C\" AS v"
    " FROM pg_catalog.pg_inherits AS p JOIN pg_catalog.pg_attribute AS b ON b.attrelid = p.inhrelid"
    " AND b.attname = a.attname AND b.atthasmissing WHERE p.inhparent = f.oid) AS m) END"
    " FROM found AS f LEFT JOIN LATERAL (SELECT i.key FROM (SELECT x.*,"
    " (x.indkey::int2[])[0 : x.indnkeyatts - 1] AS key FROM pg_catalog.pg_index AS x) AS i"
    " WHERE i.indrelid = f.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL"
    " AND NOT EXISTS (SELECT FROM pg_catalog.unnest(i.key) WITH ORDINALITY AS u(n, place)"
    " LEFT JOIN pg_catalog.pg_attribute AS b ON b.attrelid = f.oid AND b.attnum = u.n"
    " AND b.attnum > 0 WHERE (b.attnotnull AND b.attcollation = i.indcollation[u.place - 1])"
    " IS NOT TRUE) AND (f.relkind = 'p' OR NOT EXISTS (SELECT FROM pg_catalog.pg_inherits"
    " WHERE inhparent = f.oid))"
    " ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid LIMIT 1) AS k ON true"
    " LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = f.oid AND a.attnum > 0"
    " AND NOT a.attisdropped AND f.some_readable AND (f.readable"
    " OR pg_catalog.has_column_privilege(f.oid, a.attnum, 'SELECT'))"
    " LEFT JOIN (SELECT domain.* FROM domain JOIN pg_catalog.pg_type AS t ON t.oid = domain.base"
    " AND t.typtype <> 'd') AS d ON d.oid = a.atttypid"
    " LEFT JOIN pg_catalog.pg_type AS t ON t.oid = coalesce(d.base, a.atttypid)"
    " LEFT JOIN pg_catalog.pg_type AS e ON e.oid = t.typelem AND e.typarray = t.oid"
    " ORDER BY f.nspname, f.relname, f.oid, a.attnum";

enum {
    COL_TABLE_OID,
    COL_SCHEMA,
    COL_TABLE,
    COL_ESTIMATE,
    COL_READABLE,
    COL_NAME,
    COL_TYPE,
    COL_MODIFIER,
    COL_TYPE_TEXT,
    COL_NOT_NULL,
    COL_IS_ARRAY,
    COL_KEY_PLACE,
    COL_KEY_COLUMNS,
    COL_OLDER,
    COL_COUNT
};

/* The table whose columns are coming in. */
struct building {
    struct run *run;
    struct catalog *out;
    struct arena *scratch; /* of the current table */
    const char *oid, *namespace, *name;
    int64_t estimate;
    bool odd; /* cannot be a stream */
    struct column columns[SCHEMA_MAX_COLUMNS];
    size_t n;
    size_t key[SCHEMA_MAX_COLUMNS], n_key, n_key_found;
    int64_t n_unreadable;
    const char *unreadable; /* one of them */
};

static int64_t get_int(const PGresult *row, int column, int64_t otherwise)
{
    int64_t v;

    return !PQgetisnull(row, 0, column) && text_to_int64(PQgetvalue(row, 0, column),
                                                         (size_t)PQgetlength(row, 0, column), &v)
               ? v
               : otherwise;
}

static bool get_bool(const PGresult *row, int column)
{
    return *PQgetvalue(row, 0, column) == 't';
}

static bool contains(const char *name, const char *word)
{
    return strcasestr(name, word) != NULL;
}

/* How good a cursor a column makes; 0 = none, less is better. */
static int rank(const struct schema *schema, size_t i)
{
    const struct column *c = &schema->columns[i];
    bool time = c->type.type == TYPE_TIMESTAMP || c->type.type == TYPE_TIMESTAMPTZ;

    if (time &&
        (contains(c->name, "updat") || contains(c->name, "modif") || contains(c->name, "chang")))
        return 1;
    if (c->type.type == TYPE_INT && schema->n_key == 1 && schema->key[0] == i)
        return 2;
    if (time)
        return 3;
    return c->type.type == TYPE_DATE ? 4 : 0;
}

static void choose_cursors(struct arena *mem, const struct schema *schema, struct stream *out)
{
    size_t *cursors = arena_array(mem, schema->n_columns, sizeof *cursors);

    for (int wanted = 1; wanted <= 4; wanted++) {
        for (size_t i = 0; i < schema->n_columns; i++) {
            if (rank(schema, i) == wanted)
                cursors[out->n_cursors++] = i;
        }
    }
    for (size_t i = 0; i < schema->n_columns; i++)
        out->incremental |= sql_postgres.cursor[schema->columns[i].type.type] != NULL;
    out->cursors = cursors;
}

/* The table is complete. */
static int end_table(struct building *b, struct error *err)
{
    struct arena *mem = b->out->mem;
    struct schema shape = {b->columns, b->n, b->key, b->n_key_found == b->n_key ? b->n_key : 0};
    const struct schema *schema;
    struct stream *s;

    if (b->n == 0 || b->odd)
        return 0;
    if (b->out->n >= CATALOG_MAX_STREAMS)
        return error_set(err, ERR_TOO_LARGE,
                         "the database has more than %d tables: name the schemas to read",
                         CATALOG_MAX_STREAMS);
    schema = schema_copy(mem, &shape);
    s = catalog_add(b->out);
    s->namespace = arena_strdup(mem, b->namespace);
    s->name = arena_strdup(mem, b->name);
    s->schema = schema;
    s->row_estimate = b->estimate;
    s->as_found = true;
    s->resumable = schema->n_key > 0;
    choose_cursors(mem, schema, s);
    return 0;
}

static void begin_table(struct building *b, const PGresult *row)
{
    arena_clear(b->scratch);
    b->oid = arena_strdup(b->scratch, PQgetvalue(row, 0, COL_TABLE_OID));
    b->namespace = arena_strdup(b->scratch, PQgetvalue(row, 0, COL_SCHEMA));
    b->name = arena_strdup(b->scratch, PQgetvalue(row, 0, COL_TABLE));
    b->estimate = get_int(row, COL_ESTIMATE, -1);
    b->n = b->n_key_found = 0;
    b->n_key = (size_t)get_int(row, COL_KEY_COLUMNS, 0);
    b->odd = !text_is_utf8(b->name, strlen(b->name)) ||
             !text_is_utf8(b->namespace, strlen(b->namespace));
    if (b->odd)
        log_warn(b->run->log, .message = "a table whose name is not UTF-8 is left out");
    if (!get_bool(row, COL_READABLE)) {
        b->n_unreadable++;
        if (!b->unreadable)
            b->unreadable = arena_printf(b->run->mem, "%s.%s", b->namespace, b->name);
    }
}

/* The server writes it as text; of arrays only an empty one is sure to be what it looks like. */
static const char *older_text(struct arena *mem, enum postgres_form form, const PGresult *row)
{
    CLEANUP(buf_release) struct buf base64 = BUF_INIT((size_t)2 << 20);
    const char *text = PQgetvalue(row, 0, COL_OLDER);

    if (PQgetisnull(row, 0, COL_OLDER))
        return NULL;
    if (form == POSTGRES_FORM_ARRAY)
        return strcmp(text, "{}") == 0 ? "[]" : NULL;
    if (form != POSTGRES_FORM_BYTES)
        return arena_strdup(mem, text);
    if (!text_starts_with(text, "\\x") ||
        !literal_read_bytes(arena_printf(mem, "x'%s'", text + 2), &base64) || base64.failed)
        return NULL;
    return arena_strdup(mem, buf_str(&base64));
}

static int take_column(struct building *b, const PGresult *row, struct error *err)
{
    const char *name = PQgetvalue(row, 0, COL_NAME);
    int64_t place = get_int(row, COL_KEY_PLACE, 0);
    struct postgres_reading reading =
        postgres_reading_of((uint32_t)get_int(row, COL_TYPE, 0),
                            (int32_t)get_int(row, COL_MODIFIER, -1), get_bool(row, COL_IS_ARRAY));

    if (!text_is_utf8(name, strlen(name))) {
        log_warn(b->run->log, .message = "a column whose name is not UTF-8 is left out",
                 .fields = {log_text("table", b->name)});
        return 0;
    }
    if (b->n >= SCHEMA_MAX_COLUMNS)
        return error_set(err, ERR_TOO_LARGE, "table \"%s\" has more than %d columns", b->name,
                         SCHEMA_MAX_COLUMNS);
    b->columns[b->n] = (struct column){
        .name = arena_strdup(b->scratch, name),
        .type = reading.type,
        .source_type = arena_strdup(b->scratch, PQgetvalue(row, 0, COL_TYPE_TEXT)),
        .nullable = !get_bool(row, COL_NOT_NULL),
        .older = older_text(b->scratch, reading.form, row),
    };
    if (place > 0 && (size_t)place <= b->n_key && b->n_key <= SCHEMA_MAX_COLUMNS) {
        b->key[place - 1] = b->n;
        b->n_key_found++;
    }
    b->n++;
    return 0;
}

static int take_row(struct building *b, const PGresult *row, struct error *err)
{
    if (PQnfields(row) != COL_COUNT)
        return error_set_reason(err, ERR_INTERNAL, "protocol", "a catalog of %d columns",
                                PQnfields(row));
    if (!b->oid || strcmp(b->oid, PQgetvalue(row, 0, COL_TABLE_OID)) != 0) {
        if (b->oid && end_table(b, err) < 0)
            return -1;
        begin_table(b, row);
    }
    return PQgetisnull(row, 0, COL_NAME) ? 0 : take_column(b, row, err);
}

/* One row in memory at a time; all of them are taken from the connection, whatever happens. */
static int take_rows(struct postgres_conn *c, struct building *b, struct error *err)
{
    int rc = 0;

    for (PGresult *row = postgres_next_result(c); row; row = postgres_next_result(c)) {
        ExecStatusType status = PQresultStatus(row);

        if (rc == 0 && status == PGRES_SINGLE_TUPLE)
            rc = take_row(b, row, err);
        else if (rc == 0 && status != PGRES_TUPLES_OK)
            rc = postgres_fail(c, row, "reading the catalog", err);
        PQclear(row);
        if (PQstatus(c->pg) == CONNECTION_BAD)
            break;
    }
    if (rc == 0 && PQstatus(c->pg) == CONNECTION_BAD)
        rc = postgres_fail(c, NULL, "reading the catalog", err);
    return rc == 0 && b->oid ? end_table(b, err) : rc;
}

/* As the text of an array, '{"a","b"}'; NULL when all are wanted. */
static const char *list_schemas(const struct string_list *schemas, struct buf *out)
{
    if (schemas->n == 0)
        return NULL;
    for (size_t i = 0; i < schemas->n; i++) {
        buf_puts(out, i == 0 ? "{\"" : ",\"");
        for (const char *p = schemas->items[i]; *p; p++) {
            if (*p == '"' || *p == '\\')
                buf_putc(out, '\\');
            buf_putc(out, *p);
        }
        buf_putc(out, '"');
    }
    buf_putc(out, '}');
    return buf_str(out);
}

/* A name that is misspelt would give an empty catalog, and the next run would miss its streams. */
static int check_schemas(struct postgres_conn *c, const char *schemas, struct error *err)
{
    const struct sql_value param = sql_text(schemas);
    CLEANUP(postgres_clear) PGresult *missing = NULL;

    if (postgres_query(c,
                       "SELECT s FROM pg_catalog.unnest($1::text[]) AS s WHERE NOT EXISTS"
                       " (SELECT FROM pg_catalog.pg_namespace WHERE nspname = s)",
                       &param, 1, false, &missing, err) < 0)
        return -1;
    if (PQntuples(missing) == 0)
        return 0;
    return error_set_reason(err, ERR_CONFIG, "schema_missing", "%s has no schema \"%s\"",
                            c->server_name, PQgetvalue(missing, 0, 0));
}

static int discover_tables(struct postgres_reader *r, struct catalog *out, struct error *err)
{
    CLEANUP(free_cleanup) struct building *b = xalloc(sizeof *b);
    CLEANUP(arena_free_cleanup) struct arena *scratch = arena_new();
    CLEANUP(buf_release) struct buf list = BUF_INIT((size_t)8 << 20);
    const char *schemas = list_schemas(&r->config->schemas, &list);
    struct postgres_conn *c = r->conn;

    *b = (struct building){.run = r->base.run, .out = out, .scratch = scratch};
    if (buf_ok(&list, "the list of schemas", err) < 0 ||
        (schemas && check_schemas(c, schemas, err) < 0))
        return -1;
    if (!PQsendQueryParams(c->pg, catalog_query, 1, NULL, &schemas, NULL, NULL, 0) ||
        !PQsetSingleRowMode(c->pg))
        return postgres_fail(c, NULL, "reading the catalog", err);
    if (take_rows(c, b, err) < 0)
        return -1;
    if (b->n_unreadable > 0)
        log_warn(b->run->log, .message = "tables that the user may not read are left out",
                 .fields = {log_int("tables", b->n_unreadable), log_text("one", b->unreadable)});
    return 0;
}

/* ----------------------------------------------------------------- queries */

/* What the server says of the text is a matter of the text, unless nobody could have asked. */
static int invalid(struct error *err)
{
    if (err->code == ERR_SCHEMA || err->code == ERR_UNSUPPORTED || err->code == ERR_INTERNAL ||
        err->code == ERR_DATA || err->code == ERR_CONFIG) {
        err->code = ERR_CONFIG;
        err->reason = "query_invalid";
    }
    return -1;
}

/* The types of the columns as the server writes them. */
static int name_types(struct postgres_conn *c, const PGresult *described, struct arena *mem,
                      struct column *columns, struct error *err)
{
    CLEANUP(buf_release) struct buf types = BUF_INIT((size_t)1 << 20);
    CLEANUP(buf_release) struct buf modifiers = BUF_INIT((size_t)1 << 20);
    CLEANUP(postgres_clear) PGresult *names = NULL;
    int n = PQnfields(described);
    struct sql_value params[2];

    for (int i = 0; i < n; i++) {
        buf_printf(&types, "%c%u", i == 0 ? '{' : ',', PQftype(described, i));
        buf_printf(&modifiers, "%c%d", i == 0 ? '{' : ',', PQfmod(described, i));
    }
    buf_putc(&types, '}');
    buf_putc(&modifiers, '}');
    params[0] = sql_text(buf_str(&types));
    params[1] = sql_text(buf_str(&modifiers));
    if (postgres_query(c,
                       "SELECT pg_catalog.format_type(t, m) FROM"
                       " ROWS FROM (pg_catalog.unnest($1::oid[]), pg_catalog.unnest($2::int4[]))"
                       " WITH ORDINALITY AS u(t, m, place) ORDER BY place",
                       params, 2, false, &names, err) < 0)
        return -1;
    for (int i = 0; i < n && i < PQntuples(names); i++)
        columns[i].source_type = arena_strdup(mem, PQgetvalue(names, i, 0));
    return 0;
}

/* Alone, and then as part of another statement, where only a SELECT can stand. */
static int describe_query(struct sql_reader *base, const char *text, struct arena *mem,
                          struct column **out, size_t *out_n, struct error *err)
{
    CLEANUP(buf_release) struct buf within = BUF_INIT((size_t)1 << 20);
    CLEANUP(postgres_clear) PGresult *alone = NULL, *described = NULL;
    struct postgres_conn *c = ((struct postgres_reader *)base)->conn;
    struct postgres_reading *readings;
    int n;

    buf_puts(&within, "SELECT * FROM (");
    buf_puts(&within, text);
    buf_puts(&within, "\n) AS q");
    if (buf_ok(&within, "a query", err) < 0)
        return -1;
    if (postgres_describe(c, text, &alone, err) < 0 ||
        postgres_describe(c, buf_str(&within), &described, err) < 0)
        return invalid(err);
    if (PQnparams(described) > 0)
        return error_set_reason(err, ERR_CONFIG, "query_invalid", "it has placeholders");
    if (postgres_readings(c, described, mem, &readings, err) < 0)
        return -1;
    n = PQnfields(described);
    *out = arena_array(mem, (size_t)n + 1, sizeof **out);
    *out_n = (size_t)n;
    for (int i = 0; i < n; i++)
        (*out)[i] = (struct column){.name = arena_strdup(mem, PQfname(described, i)),
                                    .type = readings[i].type,
                                    .source_type = "",
                                    .nullable = true};
    return n > 0 ? name_types(c, described, mem, *out, err) : 0;
}

int postgres_discover(struct sql_reader *base, struct catalog *out, struct error *err)
{
    struct postgres_reader *r = (struct postgres_reader *)base;

    if (discover_tables(r, out, err) < 0)
        return -1;
    return sql_queries_discover(base, r->config->queries, describe_query, out, err);
}
