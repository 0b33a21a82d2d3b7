#include <stdlib.h>
#include <string.h>

#include "connectors/base/doc.h"
#include "connectors/base/jsonwrite.h"
#include "connectors/base/text.h"
#include "connectors/sql/load.h"

/* Members of the counters document, in the order of struct counts. */
/* clang-format off */
#define COUNTERS(X)                                                                                \
    X(read) X(bytes_read) X(filtered) X(overlap_dropped) X(folded) X(quarantined_rows)             \
    X(quarantined_cells) X(altered_cells) X(inserted) X(updated) X(unchanged) X(deleted)
/* clang-format on */

static const char *counts_text(struct arena *mem, const struct counts *c)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT(4096);
    struct jsonw w = JSONW_INIT(&out);

    jsonw_object(&w);
#define X(name) jsonw_put_int(&w, #name, c->name);
    COUNTERS(X)
#undef X
    jsonw_object_end(&w);
    return arena_strdup(mem, buf_str(&out));
}

static int counts_read(const char *text, struct counts *out, struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *doc = NULL;

    if (doc_parse_trusted(text, strlen(text), &doc, err) < 0)
        return -1;
#define X(name) out->name = doc_int(doc_get(doc, #name), 0);
    COUNTERS(X)
#undef X
    return 0;
}

static void put_names(struct jsonw *w, const char *key, const struct name_list *list)
{
    jsonw_key(w, key);
    jsonw_array(w);
    for (size_t i = 0; i < list->n; i++)
        jsonw_string(w, list->names[i]);
    jsonw_array_end(w);
}

static struct name_list read_names(struct arena *mem, const struct doc *list)
{
    const char **names = arena_array(mem, doc_count(list) + 1, sizeof *names);

    for (size_t i = 0; i < doc_count(list); i++)
        names[i] = arena_strdup(mem, doc_string(doc_at(list, i), ""));
    return (struct name_list){names, doc_count(list)};
}

/* {"adopted":false,"columns":[{"source":"a","name":"a","type":"int","older":"7","was":"A"},
 * ...], "left_out":["b"]} */
static const char *columns_text(struct arena *mem, const struct state_row *row)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT((size_t)64 << 20);
    struct jsonw w = JSONW_INIT(&out);

    jsonw_object(&w);
    jsonw_put_bool(&w, "adopted", row->adopted);
    jsonw_key(&w, "columns");
    jsonw_array(&w);
    for (size_t i = 0; i < row->n_columns; i++) {
        char type[32];

        type_format(row->columns[i].type, type);
        jsonw_object(&w);
        jsonw_put_string(&w, "source", row->columns[i].source);
        jsonw_put_string(&w, "name", row->columns[i].name);
        jsonw_put_string(&w, "type", type);
        if (row->columns[i].older)
            jsonw_put_string(&w, "older", row->columns[i].older);
        if (row->columns[i].was)
            jsonw_put_string(&w, "was", row->columns[i].was);
        jsonw_object_end(&w);
    }
    jsonw_array_end(&w);
    if (row->left_out)
        put_names(&w, "left_out", row->left_out);
    jsonw_object_end(&w);
    return arena_strdup(mem, buf_str(&out));
}

static int columns_read(struct arena *mem, const char *text, struct state_row *out,
                        struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *doc = NULL;
    const struct doc *list, *left_out;
    struct known_column *columns;
    struct name_list *names;

    if (doc_parse_trusted(text, strlen(text), &doc, err) < 0)
        return -1;
    list = doc_get(doc, "columns");
    columns = arena_array(mem, doc_count(list) + 1, sizeof *columns);
    out->adopted = doc_bool(doc_get(doc, "adopted"), false);
    out->n_columns = doc_count(list);
    out->columns = columns;
    left_out = doc_get(doc, "left_out");
    if (left_out) {
        names = arena_alloc(mem, sizeof *names);
        *names = read_names(mem, left_out);
        out->left_out = names;
    }
    for (size_t i = 0; i < out->n_columns; i++) {
        const struct doc *one = doc_at(list, i);
        const char *older = doc_string(doc_get(one, "older"), NULL);
        const char *was = doc_string(doc_get(one, "was"), NULL);

        columns[i].source = arena_strdup(mem, doc_string(doc_get(one, "source"), ""));
        columns[i].name = arena_strdup(mem, doc_string(doc_get(one, "name"), ""));
        columns[i].older = older ? arena_strdup(mem, older) : NULL;
        columns[i].was = was ? arena_strdup(mem, was) : NULL;
        if (!type_parse(doc_string(doc_get(one, "type"), ""), &columns[i].type))
            return error_set(err, ERR_DATA, "\"%s\" is no type",
                             doc_string(doc_get(one, "type"), ""));
    }
    return 0;
}

/* {"swapping":false,"drop":["t__g1"]}; "" when there is nothing of either. */
static const char *garbage_text(struct arena *mem, const struct state_row *row)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT((size_t)1 << 20);
    struct jsonw w = JSONW_INIT(&out);

    if (!row->swapping && row->garbage.n == 0)
        return "";
    jsonw_object(&w);
    jsonw_put_bool(&w, "swapping", row->swapping);
    put_names(&w, "drop", &row->garbage);
    jsonw_object_end(&w);
    return arena_strdup(mem, buf_str(&out));
}

static int garbage_read(struct arena *mem, const char *text, struct state_row *out,
                        struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *doc = NULL;

    if (!*text)
        return 0;
    if (doc_parse_trusted(text, strlen(text), &doc, err) < 0)
        return -1;
    out->swapping = doc_bool(doc_get(doc, "swapping"), false);
    out->garbage = read_names(mem, doc_get(doc, "drop"));
    return 0;
}

void state_discard(struct sql_destination *d, struct state_row *row, const char *table)
{
    const char **names = arena_array(d->mem, row->garbage.n + 1, sizeof *names);

    for (size_t i = 0; i < row->garbage.n; i++)
        names[i] = row->garbage.names[i];
    names[row->garbage.n] = arena_strdup(d->mem, table);
    row->garbage = (struct name_list){names, row->garbage.n + 1};
}

/* Only what is missing: a user who may not create anything can still write. */
static int create_own(struct sql_destination *d, const struct place *place,
                      const struct sql_table *t, enum sql_create how, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    bool is_table;
    int64_t ignored;

    if (reconcile_exists(place, t->name, &is_table))
        return 0;
    sql_put_create(d->dialect, t, how, &sql);
    return load_run(d, &sql, &ignored, err);
}

int state_create_tables(struct sql_destination *d, const struct place *place, struct error *err)
{
    struct sql_table state = sql_state_table(place->schema);
    struct sql_table quarantine = sql_quarantine_table(place->schema);

    if (create_own(d, place, &state, SQL_CREATE_KEYED, err) < 0)
        return -1;
    return create_own(d, place, &quarantine, SQL_CREATE_OURS, err);
}

/* The order of sql_state_table. */
enum state_column {
    STATE_PIPELINE,
    STATE_STREAM,
    STATE_PART,
    STATE_GENERATION,
    STATE_LIVE_GENERATION,
    STATE_FENCE,
    STATE_SEQ,
    STATE_POSITION,
    STATE_COUNTERS,
    STATE_SCHEMA_VERSION,
    STATE_RUN_ID,
    STATE_COMMITTED_AT,
    STATE_WANTED_NAME,
    STATE_TARGET,
    STATE_IDENTITY,
    STATE_SCHEMA_HASH,
    STATE_COLUMNS,
    STATE_GARBAGE,
    STATE_COUNT
};

struct collect {
    struct sql_destination *d;
    struct state_row *rows;
    size_t n, cap;
};

static int take_row(void *arg, const struct sql_value *v, size_t n, struct error *err)
{
    struct collect *c = arg;
    struct arena *mem = c->d->mem;
    struct state_row *row;

    (void)n;
    if (c->n == c->cap) {
        struct state_row *more = arena_array(mem, c->cap ? 2 * c->cap : 16, sizeof *more);

        if (c->n > 0)
            memcpy(more, c->rows, c->n * sizeof *more);
        c->rows = more;
        c->cap = c->cap ? 2 * c->cap : 16;
    }
    row = &c->rows[c->n++];
    row->stream = sql_value_text(mem, &v[STATE_STREAM]);
    row->generation = v[STATE_GENERATION].number;
    row->live_generation = v[STATE_LIVE_GENERATION].number;
    row->fence = v[STATE_FENCE].number;
    row->seq = v[STATE_SEQ].number;
    row->position =
        v[STATE_POSITION].kind == SQL_NULL ? NULL : sql_value_text(mem, &v[STATE_POSITION]);
    row->schema_version = v[STATE_SCHEMA_VERSION].number;
    row->wanted_name = sql_value_text(mem, &v[STATE_WANTED_NAME]);
    row->target = sql_value_text(mem, &v[STATE_TARGET]);
    row->identity = sql_value_text(mem, &v[STATE_IDENTITY]);
    row->schema_hash = sql_value_text(mem, &v[STATE_SCHEMA_HASH]);
    row->run_id = sql_value_text(mem, &v[STATE_RUN_ID]);
    if (counts_read(sql_value_text(c->d->scratch, &v[STATE_COUNTERS]), &row->counts, err) < 0 ||
        garbage_read(mem, sql_value_text(c->d->scratch, &v[STATE_GARBAGE]), row, err) < 0 ||
        columns_read(mem, sql_value_text(c->d->scratch, &v[STATE_COLUMNS]), row, err) < 0)
        return error_wrap(err, "reading the state of stream \"%s\"", row->stream);
    return 0;
}

static int by_stream(const void *a, const void *b)
{
    const struct state_row *x = a, *y = b;

    return strcmp(x->stream, y->stream);
}

const struct state_row *state_find(const struct state_row *rows, size_t n, const char *stream)
{
    const struct state_row wanted = {.stream = stream};

    return n ? bsearch(&wanted, rows, n, sizeof *rows, by_stream) : NULL;
}

int state_load(struct sql_destination *d, const char *schema, struct state_row **out, size_t *out_n,
               struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    struct collect c = {.d = d};
    struct sql_value pipeline = sql_text(d->plan->pipeline);

    sql_put_state_select(d->dialect, schema, &sql);
    if (buf_ok(&sql, "a statement", err) < 0 ||
        d->conn->driver->query(d->conn, buf_str(&sql), &pipeline, 1, take_row, &c, err) < 0)
        return -1;
    if (c.n > 0)
        qsort(c.rows, c.n, sizeof *c.rows, by_stream);
    *out = c.rows;
    *out_n = c.n;
    return 0;
}

static void put_values(struct sql_destination *d, const struct state_row *row,
                       struct sql_value v[static STATE_COUNT])
{
    v[STATE_PIPELINE] = sql_text(d->plan->pipeline);
    v[STATE_STREAM] = sql_text(row->stream);
    v[STATE_PART] = sql_text("");
    v[STATE_GENERATION] = sql_int(row->generation);
    v[STATE_LIVE_GENERATION] = sql_int(row->live_generation);
    v[STATE_FENCE] = sql_int(row->fence);
    v[STATE_SEQ] = sql_int(row->seq);
    v[STATE_POSITION] = sql_text(row->position);
    v[STATE_COUNTERS] = sql_text(counts_text(d->scratch, &row->counts));
    v[STATE_SCHEMA_VERSION] = sql_int(row->schema_version);
    v[STATE_RUN_ID] = sql_text(row->run_id);
    v[STATE_COMMITTED_AT] = sql_text(d->now);
    v[STATE_WANTED_NAME] = sql_text(row->wanted_name);
    v[STATE_TARGET] = sql_text(row->target);
    v[STATE_IDENTITY] = sql_text(row->identity);
    v[STATE_SCHEMA_HASH] = sql_text(row->schema_hash);
    v[STATE_COLUMNS] = sql_text(columns_text(d->scratch, row));
    v[STATE_GARBAGE] = sql_text(garbage_text(d->scratch, row));
}

int state_insert(struct sql_destination *d, const struct load *l, const struct state_row *row,
                 struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    struct sql_table t = sql_state_table(l->schema);
    struct sql_value v[STATE_COUNT];
    int64_t changed;

    put_values(d, row, v);
    sql_put_insert(d->dialect, &t, NULL, 1, &sql);
    return load_run_with(d, &sql, v, STATE_COUNT, &changed, err);
}

int state_update(struct sql_destination *d, const struct load *l, const struct state_row *was,
                 const struct state_row *row, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    struct sql_value v[STATE_COUNT], params[STATE_COUNT + 2];
    size_t n = 0;
    int64_t changed;

    put_values(d, row, v);
    for (size_t i = STATE_GENERATION; i < STATE_COUNT; i++)
        params[n++] = v[i];
    for (size_t i = STATE_PIPELINE; i < STATE_GENERATION; i++)
        params[n++] = v[i];
    params[n++] = sql_int(was->fence);
    params[n++] = sql_int(was->seq);
    sql_put_state_update(d->dialect, l->schema, &sql);
    if (load_run_with(d, &sql, params, n, &changed, err) < 0)
        return -1;
    if (changed != 1)
        return error_set(err, ERR_FENCED,
                         "stream \"%s\": another worker has taken over this destination",
                         row->stream);
    return 0;
}
