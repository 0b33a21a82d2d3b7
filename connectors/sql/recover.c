/*
 * Where a run goes on. One transaction reads the state rows of the pipeline, which waits for a
 * worker that is just committing, decides per stream whether the last generation is continued or a
 * new one begun (reconcile.c), and raises the fence: from its commit on, every older worker fails.
 */
#include <stdlib.h>
#include <string.h>

#include "connectors/base/failpoint.h"
#include "connectors/base/hash.h"
#include "connectors/base/jsonwrite.h"
#include "connectors/sql/load.h"

/* Modes, cursor and key: another one of them means other rows or other identities of rows. */
static const char *identity_text(struct arena *mem, const struct selected_stream *s)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT((size_t)16 << 20);
    struct jsonw w = JSONW_INIT(&out);
    const struct schema *schema = s->schema;

    jsonw_object(&w);
    jsonw_put_string(&w, "sync_mode", sync_mode_name(s->sync_mode));
    jsonw_put_string(&w, "write_mode", write_mode_name(s->write_mode));
    jsonw_put_string(&w, "cursor", s->cursor >= 0 ? schema->columns[s->cursor].name : NULL);
    jsonw_key(&w, "key");
    jsonw_array(&w);
    for (size_t i = 0; i < schema->n_key; i++)
        jsonw_string(&w, schema->columns[schema->key[i]].name);
    jsonw_array_end(&w);
    jsonw_object_end(&w);
    return arena_strdup(mem, buf_str(&out));
}

static const char *schema_hash(struct arena *mem, const struct schema *schema)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT((size_t)64 << 20);
    struct jsonw w = JSONW_INIT(&out);
    char hex[HASH_HEX_BYTES];

    jsonw_array(&w);
    for (size_t i = 0; i < schema->n_columns; i++) {
        char type[32];

        type_format(schema->columns[i].type, type);
        jsonw_string(&w, schema->columns[i].name);
        jsonw_string(&w, type);
    }
    jsonw_array_end(&w);
    hash_bytes_hex(buf_str(&out), out.len, hex);
    return arena_strdup(mem, hex);
}

void recover_describe(struct sql_destination *d)
{
    for (size_t i = 0; i < d->plan->n; i++) {
        struct load *l = &d->streams[i];
        const struct selected_stream *s = l->want;
        const char *alias = s->alias ? s->alias : s->stream->name;
        const char *space = s->destination_namespace ? s->destination_namespace : "";

        l->id = stream_full_name(d->mem, s->stream);
        l->schema = d->dialect->has_schemas ? space : "";
        l->wanted_name = !d->dialect->has_schemas && *space
                             ? arena_printf(d->mem, "%s__%s", space, alias)
                             : alias;
        l->identity = identity_text(d->mem, s);
        l->schema_hash = schema_hash(d->mem, s->schema);
        l->keyed = s->schema->n_key > 0 && s->write_mode != WRITE_APPEND;
        l->merging = s->write_mode == WRITE_APPEND_DEDUP || s->write_mode == WRITE_INSERT_ONLY;
    }
}

const char *recover_generation(struct sql_destination *d, const char *target, int64_t generation)
{
    return names_generation(d->mem, target, (long long)generation, &d->dialect->names);
}

/* ------------------------------------------------------------- what is there */

struct table_list {
    struct arena *mem;
    struct place *place;
    size_t cap;
};

static int take_table(void *arg, const struct sql_value *v, size_t n, struct error *err)
{
    struct table_list *list = arg;

    (void)n;
    (void)err;
    if (list->place->n_tables == list->cap) {
        size_t cap = list->cap ? 2 * list->cap : 64;
        struct table_name *more = arena_array(list->mem, cap, sizeof *more);

        if (list->place->n_tables > 0)
            memcpy(more, list->place->tables, list->place->n_tables * sizeof *more);
        list->place->tables = more;
        list->cap = cap;
    }
    list->place->tables[list->place->n_tables++] =
        (struct table_name){sql_value_text(list->mem, &v[0]), v[1].number != 0};
    list->place->any_case = v[2].number != 0;
    return 0;
}

static int list_tables(struct sql_destination *d, struct place *p, struct error *err)
{
    struct table_list list = {.mem = d->mem, .place = p};
    struct sql_value schema = sql_text(p->schema);

    p->tables = NULL;
    p->n_tables = 0;
    if (cancel_check(d->run->cancel, err) < 0 ||
        d->conn->driver->query(d->conn, d->dialect->tables_query, &schema, 1, take_table, &list,
                               err) < 0)
        return -1;
    reconcile_sort(p);
    return 0;
}

static int note_row(void *arg, const struct sql_value *v, size_t n, struct error *err)
{
    (void)v;
    (void)n;
    (void)err;
    *(bool *)arg = true;
    return 0;
}

/* Schemas of ours are made; one that is there is not asked for, which would need a right. */
static int create_schema(struct sql_destination *d, const char *schema, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    struct sql_value name = sql_text(schema);
    bool exists = false;
    int64_t ignored;

    if (!*schema || !d->dialect->has_schemas)
        return 0;
    if (d->conn->driver->query(d->conn, d->dialect->schema_query, &name, 1, note_row, &exists,
                               err) < 0)
        return -1;
    if (exists)
        return 0;
    buf_puts(&sql, "CREATE SCHEMA IF NOT EXISTS ");
    sql_put_name(d->dialect, schema, &sql);
    if (load_run(d, &sql, &ignored, err) < 0)
        return error_wrap(err, "creating schema \"%s\"", schema);
    return 0;
}

static struct place *place_of(struct sql_destination *d, const char *schema)
{
    for (size_t i = 0; i < d->n_places; i++) {
        if (strcmp(d->places[i].schema, schema) == 0)
            return &d->places[i];
    }
    d->places[d->n_places].schema = schema;
    return &d->places[d->n_places++];
}

static void find_places(struct sql_destination *d)
{
    d->places = arena_array(d->mem, d->plan->n + 1, sizeof *d->places);
    d->n_places = 0;
    for (size_t i = 0; i < d->plan->n; i++)
        d->streams[i].place = place_of(d, d->streams[i].schema);
}

int recover_places(struct sql_destination *d, struct error *err)
{
    find_places(d);
    for (size_t i = 0; i < d->n_places; i++) {
        if (list_tables(d, &d->places[i], err) < 0)
            return -1;
    }
    return 0;
}

/* State tables live in the schema of the data, so each schema has its own. */
static int create_places(struct sql_destination *d, struct error *err)
{
    find_places(d);
    for (size_t i = 0; i < d->n_places; i++) {
        struct place *p = &d->places[i];

        if (create_schema(d, p->schema, err) < 0 || list_tables(d, p, err) < 0 ||
            state_create_tables(d, p, err) < 0)
            return -1;
    }
    return 0;
}

/* ------------------------------------------------------------------- names */

/* The live tables of all streams of one schema: as they are called already, or named now. */
static void name_tables(struct sql_destination *d, const struct place *p)
{
    struct name_pair *pairs = arena_array(d->mem, d->plan->n + 1, sizeof *pairs);
    size_t n = 0;

    for (size_t i = 0; i < d->plan->n; i++) {
        struct load *l = &d->streams[i];
        const struct state_row *found;

        if (l->place != p)
            continue;
        found = state_find(p->rows, p->n_rows, l->id);
        pairs[n++] = (struct name_pair){
            l->wanted_name,
            found && strcmp(found->wanted_name, l->wanted_name) == 0 ? found->target : NULL, l->id,
            l->want->snake_table};
    }
    names_assign(d->mem, NAMES_TABLE, &d->dialect->names, pairs, n);
    n = 0;
    for (size_t i = 0; i < d->plan->n; i++) {
        if (d->streams[i].place == p)
            d->streams[i].row = (struct state_row){.target = pairs[n++].name};
    }
}

struct owners {
    struct sql_destination *d;
    struct load **loads; /* of one schema, by target */
    size_t n;
};

static int by_target(const void *a, const void *b)
{
    const struct load *const *x = a, *const *y = b;

    return names_compare((*x)->row.target, (*y)->row.target);
}

static int check_owner(void *arg, const struct sql_value *v, size_t n, struct error *err)
{
    const struct owners *o = arg;
    struct sql_destination *d = o->d;
    const char *pipeline = sql_value_text(d->scratch, &v[0]);
    const char *stream = sql_value_text(d->scratch, &v[1]);
    struct load key = {.row = {.target = sql_value_text(d->scratch, &v[2])}};
    const struct load *wanted = &key, *const *found = NULL;

    (void)n;
    if (o->n > 0)
        found = bsearch(&wanted, o->loads, o->n, sizeof(struct load *), by_target);
    if (found && (strcmp(pipeline, d->plan->pipeline) != 0 || strcmp(stream, (*found)->id) != 0))
        return error_set_reason(
            err, ERR_CONFLICT, "table_owned",
            "table \"%s\" belongs to stream \"%s\" of pipeline \"%s\"; give stream \"%s\" "
            "another name",
            key.row.target, stream, pipeline, (*found)->id);
    return 0;
}

static int check_owners(struct sql_destination *d, const struct place *p, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    struct owners o = {.d = d, .loads = arena_array(d->scratch, d->plan->n + 1, sizeof *o.loads)};

    for (size_t i = 0; i < d->plan->n; i++) {
        if (d->streams[i].place == p)
            o.loads[o.n++] = &d->streams[i];
    }
    qsort(o.loads, o.n, sizeof(struct load *), by_target);
    sql_put_owners_select(d->dialect, p->schema, &sql);
    if (buf_ok(&sql, "a statement", err) < 0)
        return -1;
    return d->conn->driver->query(d->conn, buf_str(&sql), NULL, 0, check_owner, &o, err);
}

/* ------------------------------------------------------------------ streams */

static int store(struct sql_destination *d, struct load *l, const struct state_row *was,
                 struct error *err)
{
    l->row.fence++;
    l->row.stream = l->id;
    l->row.wanted_name = l->wanted_name;
    l->row.identity = l->identity;
    l->row.schema_hash = l->schema_hash;
    l->row.run_id = d->run->id;
    return was ? state_update(d, l, was, &l->row, err) : state_insert(d, l, &l->row, err);
}

static int recover_stream(struct sql_destination *d, struct load *l, struct error *err)
{
    const struct state_row *was = state_find(l->place->rows, l->place->n_rows, l->id);
    bool is_table;

    if (reconcile_stream(d, l, was, err) < 0)
        return error_wrap(err, "stream \"%s\"", l->id);
    if (store(d, l, was, err) < 0)
        return -1;
    l->columns = l->row.columns;
    l->n_columns = l->row.n_columns;
    l->left_out = l->row.left_out;
    l->building = l->row.live_generation != l->row.generation;
    l->staging = l->merging || (l->row.adopted && !l->building);
    l->table_name =
        l->building ? recover_generation(d, l->row.target, l->row.generation) : l->row.target;
    l->table_exists = reconcile_exists(l->place, l->table_name, &is_table) && is_table;
    return 0;
}

static int recover_place(struct sql_destination *d, struct place *p, struct error *err)
{
    /* The tables are looked at behind the lock of the rows: a worker that was just committing may
     * have made some that were not there before. */
    if (state_load(d, p->schema, &p->rows, &p->n_rows, err) < 0 || list_tables(d, p, err) < 0)
        return -1;
    name_tables(d, p);
    if (check_owners(d, p, err) < 0)
        return -1;
    for (size_t i = 0; i < d->plan->n; i++) {
        if (d->streams[i].place != p)
            continue;
        arena_clear(d->scratch);
        if (recover_stream(d, &d->streams[i], err) < 0)
            return -1;
    }
    return 0;
}

/* Exchanges that were announced and not known to have ended. The fence is raised before: whoever
 * announced one may still be about to carry it out, and finds no table then. */
static int complete_swaps(struct sql_destination *d, struct place *p, struct error *err)
{
    if (state_load(d, p->schema, &p->rows, &p->n_rows, err) < 0)
        return -1;
    for (size_t i = 0; i < d->plan->n; i++) {
        struct load *l = &d->streams[i];
        const struct state_row *was = l->place == p ? state_find(p->rows, p->n_rows, l->id) : NULL;
        bool generation_exists, is_table;

        if (!was || !was->swapping)
            continue;
        l->row = *was;
        l->row.fence++;
        l->live_exists = reconcile_exists(p, was->target, &is_table) && is_table;
        generation_exists =
            reconcile_exists(p, recover_generation(d, was->target, was->generation), &is_table);
        if (load_begin(d, err) < 0 || state_update(d, l, was, &l->row, err) < 0 ||
            load_commit(d, err) < 0 || swap_complete(d, l, generation_exists, err) < 0)
            return -1;
    }
    return 0;
}

/* Whether there is anything to complete: only where a swap is no transaction. */
static int look_for_swaps(struct sql_destination *d, struct error *err)
{
    if (d->dialect->swap != SQL_SWAP_EXCHANGE)
        return 0;
    for (size_t i = 0; i < d->n_places; i++) {
        if (load_begin(d, err) < 0 || complete_swaps(d, &d->places[i], err) < 0)
            return -1;
    }
    load_rollback(d);
    return recover_places(d, err);
}

static int raise_fences(struct sql_destination *d, struct error *err)
{
    if (d->dialect->ddl_in_transaction && load_begin(d, err) < 0)
        return -1;
    if (create_places(d, err) < 0 || look_for_swaps(d, err) < 0 || load_begin(d, err) < 0)
        return -1;
    for (size_t i = 0; i < d->n_places; i++) {
        if (recover_place(d, &d->places[i], err) < 0)
            return -1;
    }
    return load_commit(d, err);
}

/* Another worker that starts at the same moment creates the same tables and rows. Whoever comes
 * second finds them the next time; more than that is a failure of its own. */
#define RACES 3

static int recover_all(struct sql_destination *d, struct error *err)
{
    for (int race = 1;; race++) {
        struct error why = ERROR_INIT;

        arena_clear(d->scratch);
        recover_describe(d);
        if (raise_fences(d, &why) == 0)
            break;
        load_rollback(d);
        if (why.code != ERR_DATA || race == RACES) {
            *err = why;
            return -1;
        }
    }
    if (failpoint("after_fence", err) < 0)
        return -1;
    for (size_t i = 0; i < d->plan->n; i++) {
        if (d->streams[i].row.garbage.n > 0 && swap_drop_garbage(d, &d->streams[i], err) < 0)
            return -1;
    }
    return 0;
}

/*
 * Tables are made to fit before there is a row that DDL could stand in the way of: where DDL ends
 * transactions, for every stream; elsewhere for live tables, whose readers would wait for a column
 * until the first batch is committed.
 */
static int prepare_tables(struct sql_destination *d, struct error *err)
{
    for (size_t i = 0; i < d->plan->n; i++) {
        struct load *l = &d->streams[i];
        bool differs = true;

        arena_clear(d->scratch);
        if (rename_columns(d, l, err) < 0)
            return error_wrap(err, "stream \"%s\"", l->id);
        if (d->dialect->ddl_in_transaction)
            differs = l->table_exists && !l->building && shape_is_news(l, l->want->schema);
        if (!differs)
            continue;
        /* What is done to the table and what is known of it become true together. */
        if ((d->dialect->ddl_in_transaction && load_begin(d, err) < 0) ||
            shape_prepare(d, l, l->want->schema, err) < 0)
            return -1;
        if (d->in_transaction && (shape_record(d, l, err) < 0 || load_commit(d, err) < 0))
            return -1;
    }
    return 0;
}

int recover(struct destination *base, struct stream_position *out, struct error *err)
{
    struct sql_destination *d = (struct sql_destination *)base;

    d->recovering = true;
    if (recover_all(d, err) < 0 || prepare_tables(d, err) < 0) {
        load_rollback(d);
        d->failed = true;
        return -1;
    }
    d->recovering = false;
    for (size_t i = 0; i < d->plan->n; i++) {
        const struct state_row *row = &d->streams[i].row;

        out[i] = (struct stream_position){
            .position = row->position ? arena_strdup(d->run->mem, row->position) : NULL,
            .generation = row->generation,
            .seq = row->seq,
            .counts = row->counts,
        };
    }
    return 0;
}
