#include "connectors/sql/queries.h"

#include <string.h>

static const char *below(struct arena *mem, const char *pointer, const char *token)
{
    CLEANUP(buf_release) struct buf b = BUF_INIT((size_t)1 << 20);

    buf_puts(&b, pointer);
    doc_pointer_put(&b, token);
    return arena_strdup(mem, buf_str(&b));
}

static void check_text(const struct doc *value, const char *at, struct problems *problems)
{
    const char *text = doc_string(value, NULL);

    if (!text)
        problems_add(problems, at, "wrong_type", "expected the text of a SELECT, found %s",
                     doc_kind_name(doc_kind(value)));
    else if (strlen(text) > SQL_QUERY_TEXT_MAX)
        problems_add(problems, at, "too_long", "a query has at most %d bytes", SQL_QUERY_TEXT_MAX);
    else if (text[strspn(text, " \t\r\n;")] == '\0')
        problems_add(problems, at, "too_short", "the text of the query is empty");
}

void sql_queries_check(const struct doc *value, const char *pointer, struct problems *problems)
{
    if (!doc_is(value, DOC_OBJECT)) {
        problems_add(problems, pointer, "wrong_type",
                     "expected an object of stream names and SELECTs, found %s",
                     doc_kind_name(doc_kind(value)));
        return;
    }
    if (doc_count(value) > SQL_QUERIES_MAX)
        problems_add(problems, pointer, "too_many", "at most %d queries are possible",
                     SQL_QUERIES_MAX);
    for (const struct doc_member *it = doc_first(value); it; it = doc_next(value, it)) {
        const char *name = doc_member_key(it);
        const char *at = below(problems->mem, pointer, name);

        if (!*name || strlen(name) > 255)
            problems_add(problems, at, *name ? "too_long" : "too_short",
                         "the name of a query has 1 to 255 bytes");
        check_text(doc_member_value(it), at, problems);
    }
}

static const char *trimmed(struct arena *mem, const char *text)
{
    size_t n = strlen(text);

    while (n > 0 && strchr(" \t\r\n;", text[n - 1]))
        n--;
    return arena_memdup(mem, text, n);
}

const char *sql_queries_find(const struct doc *queries, struct arena *mem,
                             const struct stream *stream)
{
    const char *text = doc_string(doc_get(queries, stream->name), NULL);

    return text && !*stream->namespace ? trimmed(mem, text) : NULL;
}

static int check_columns(const struct column *columns, size_t n, struct error *err)
{
    if (n == 0)
        return error_set_reason(err, ERR_CONFIG, "query_invalid", "it has no columns");
    if (n > SCHEMA_MAX_COLUMNS)
        return error_set_reason(err, ERR_CONFIG, "query_invalid", "it has more than %d columns",
                                SCHEMA_MAX_COLUMNS);
    for (size_t i = 0; i < n; i++) {
        if (!*columns[i].name)
            return error_set_reason(err, ERR_CONFIG, "query_invalid",
                                    "column %zu has no name: give it one with AS", i + 1);
        for (size_t j = 0; j < i; j++) {
            if (strcmp(columns[i].name, columns[j].name) == 0)
                return error_set_reason(err, ERR_CONFIG, "query_invalid",
                                        "two of its columns are called \"%s\"", columns[i].name);
        }
    }
    return 0;
}

static bool is_time(enum type t)
{
    return t == TYPE_TIMESTAMP || t == TYPE_TIMESTAMPTZ;
}

/* What may be a cursor at all makes it incremental; points in time are suggested. */
static void choose_cursors(const struct sql_dialect *d, const struct column *columns, size_t n,
                           struct arena *mem, struct stream *s)
{
    size_t *cursors = arena_array(mem, n, sizeof *cursors);

    for (size_t i = 0; i < n; i++) {
        s->incremental |= d->cursor[columns[i].type.type] != NULL;
        if (is_time(columns[i].type.type))
            cursors[s->n_cursors++] = i;
    }
    s->cursors = cursors;
}

static int discover_one(struct sql_reader *r, const char *name, const char *text,
                        sql_describe_fn *describe, struct catalog *out, struct error *err)
{
    struct schema *schema = arena_alloc(out->mem, sizeof *schema);
    struct column *columns;
    struct stream *s;
    size_t n;

    for (size_t i = 0; i < out->n; i++) {
        if (!*out->streams[i].namespace && strcmp(out->streams[i].name, name) == 0)
            return error_set_reason(err, ERR_CONFIG, "query_invalid",
                                    "there is a table of that name");
    }
    if (describe(r, trimmed(out->mem, text), out->mem, &columns, &n, err) < 0 ||
        check_columns(columns, n, err) < 0)
        return -1;
    *schema = (struct schema){columns, n, NULL, 0};
    s = catalog_add(out);
    s->name = arena_strdup(out->mem, name);
    s->schema = schema;
    choose_cursors(r->dialect, columns, n, out->mem, s);
    return 0;
}

int sql_queries_discover(struct sql_reader *r, const struct doc *queries, sql_describe_fn *describe,
                         struct catalog *out, struct error *err)
{
    for (const struct doc_member *it = doc_first(queries); it; it = doc_next(queries, it)) {
        const char *name = doc_member_key(it);

        if (cancel_check(r->run->cancel, err) < 0)
            return -1;
        if (discover_one(r, name, doc_string(doc_member_value(it), ""), describe, out, err) < 0)
            return error_wrap(err, "query \"%s\"", name);
    }
    return 0;
}
