/*
 * Where a run goes on. One transaction reads the state rows of the pipeline, decides per stream
 * whether the last generation is continued or a new one begun, and raises the fence: from its
 * commit on, every older worker fails.
 *
 *   state    table      what happens
 *   ----------------------------------------------------------------------------------------
 *   none     none       generation 1
 *   none     exists     CONFLICT table_exists, unless tables are adopted
 *   another's           CONFLICT table_owned
 *   present  missing    the data is gone: a new generation from zero
 *   present  exists     continued, unless it is complete (full refresh, by another run), was asked
 *                       to start over, or key, cursor, modes or (while it is being built) schema
 *                       are others
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

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

static const struct state_row *find_row(const struct state_row *rows, size_t n, const char *stream)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(rows[i].stream, stream) == 0)
            return &rows[i];
    }
    return NULL;
}

/* The live tables of all streams of one schema: as they are called already, or named now. */
static void name_tables(struct sql_destination *d, size_t first, const struct state_row **found,
                        const char **targets)
{
    struct name_pair *pairs = arena_array(d->mem, d->plan->n + 1, sizeof *pairs);
    size_t n = 0;

    for (size_t i = first; i < d->plan->n; i++) {
        const struct load *l = &d->streams[i];
        bool known = found[i] && strcmp(found[i]->wanted_name, l->wanted_name) == 0;

        if (strcmp(l->schema, d->streams[first].schema) == 0)
            pairs[n++] = (struct name_pair){l->wanted_name, known ? found[i]->target : NULL, l->id};
    }
    names_assign(d->mem, NAMES_TABLE, &d->dialect->names, pairs, n);
    n = 0;
    for (size_t i = first; i < d->plan->n; i++) {
        if (strcmp(d->streams[i].schema, d->streams[first].schema) == 0)
            targets[i] = pairs[n++].name;
    }
}

struct owners {
    struct sql_destination *d;
    const char *schema;
    const char **targets;
};

static int check_owner(void *arg, const struct sql_value *v, size_t n, struct error *err)
{
    const struct owners *o = arg;
    struct sql_destination *d = o->d;
    const char *pipeline = sql_value_text(d->scratch, &v[0]);
    const char *stream = sql_value_text(d->scratch, &v[1]);
    const char *target = sql_value_text(d->scratch, &v[2]);

    (void)n;
    for (size_t i = 0; i < d->plan->n; i++) {
        const struct load *l = &d->streams[i];

        if (strcmp(l->schema, o->schema) == 0 && strcasecmp(target, o->targets[i]) == 0 &&
            (strcmp(pipeline, d->plan->pipeline) != 0 || strcmp(stream, l->id) != 0))
            return error_set_reason(
                err, ERR_CONFLICT, "table_owned",
                "table \"%s\" belongs to stream \"%s\" of pipeline \"%s\"; give stream \"%s\" "
                "another name",
                target, stream, pipeline, l->id);
    }
    return 0;
}

static int check_owners(struct sql_destination *d, const char *schema, const char **targets,
                        struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    struct owners o = {d, schema, targets};

    sql_put_owners_select(d->dialect, schema, &sql);
    if (buf_ok(&sql, "a statement", err) < 0)
        return -1;
    return d->conn->driver->query(d->conn, buf_str(&sql), NULL, 0, check_owner, &o, err);
}

static int drop(struct sql_destination *d, const struct load *l, const char *table,
                struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    int64_t ignored;

    sql_put_drop(d->dialect, l->schema, table, &sql);
    return load_run(d, &sql, &ignored, err);
}

static int table_exists(struct sql_destination *d, const struct load *l, const char *table,
                        bool *out, struct error *err)
{
    struct table_column *columns;
    size_t n;

    if (shape_inspect(d, l->schema, table, &columns, &n, err) < 0)
        return -1;
    *out = n > 0;
    return 0;
}

static const char *generation_table(struct sql_destination *d, const struct state_row *row)
{
    return names_generation(d->mem, row->target, (long long)row->generation,
                            &d->dialect->names);
}

/*
 * Whether rows go to the live table from the first. Incremental runs add to it; a full refresh that
 * merges by key changes the rows that are there, and may be repeated as often as it is cut short.
 */
static bool writes_live(const struct load *l)
{
    return l->want->sync_mode == SYNC_INCREMENTAL || l->merging;
}

/* The answer to the last commit was lost, and the run is tried again: an append would come twice.
 */
static bool completed_by_this_run(const struct sql_destination *d, const struct state_row *row)
{
    return *d->run->id && row->position && strcmp(row->run_id, d->run->id) == 0;
}

/* Whether what was begun can be gone on with. */
static bool continues(const struct sql_destination *d, const struct load *l,
                      const struct state_row *row, bool generation_exists)
{
    bool complete = row->live_generation == row->generation;

    if (d->plan->restart || strcmp(row->identity, l->identity) != 0 ||
        strcmp(row->target, l->row.target) != 0)
        return false;
    if (complete)
        return l->live_exists && (writes_live(l) || completed_by_this_run(d, row));
    if (row->live_generation > 0 && !l->live_exists)
        return false;
    if (strcmp(row->schema_hash, l->schema_hash) != 0)
        return false;
    /* Rows without a position, or a position without rows, are of no use. */
    return row->seq == 0 || (row->position && generation_exists);
}

/* Decides on the generation; l->row becomes what is to be stored, fence and position aside. */
static int decide(struct sql_destination *d, struct load *l, const struct state_row *was,
                  struct error *err)
{
    struct state_row *row = &l->row;
    const char *target = row->target;
    bool generation_exists = false;

    if (table_exists(d, l, target, &l->live_exists, err) < 0)
        return -1;
    if (!was) {
        if (l->live_exists && !d->adopt)
            return error_set_reason(err, ERR_CONFLICT, "table_exists",
                                    "table \"%s\" is there already and not ours", target);
        row->generation = 1;
        row->adopted = l->live_exists;
        row->live_generation = writes_live(l) ? 1 : 0;
        return 0;
    }
    if (table_exists(d, l, generation_table(d, was), &generation_exists, err) < 0)
        return -1;
    if (continues(d, l, was, generation_exists)) {
        *row = *was;
        return 0;
    }
    if (*was->garbage && drop(d, l, was->garbage, err) < 0)
        return -1;
    if (was->live_generation != was->generation && drop(d, l, generation_table(d, was), err) < 0)
        return -1;
    row->generation = was->generation + 1;
    row->schema_version = was->schema_version;
    row->fence = was->fence;
    row->seq = 0;
    if (strcmp(was->target, target) == 0 && l->live_exists) {
        row->adopted = was->adopted;
        row->live_generation = was->live_generation;
        row->columns = was->columns;
        row->n_columns = was->n_columns;
        return 0;
    }
    if (strcmp(was->target, target) != 0 && l->live_exists && !d->adopt)
        return error_set_reason(err, ERR_CONFLICT, "table_exists",
                                "table \"%s\" is there already and not ours", target);
    row->adopted = l->live_exists;
    row->live_generation = writes_live(l) ? row->generation : 0;
    return 0;
}

static void override_position(struct sql_destination *d, struct load *l, size_t stream)
{
    const char *edit = d->plan->override_positions ? d->plan->override_positions[stream] : NULL;

    if (edit)
        l->row.position = *edit ? edit : NULL;
}

static int store(struct sql_destination *d, struct load *l, const struct state_row *was,
                 struct error *err)
{
    l->row.fence++;
    l->row.stream = l->id;
    l->row.wanted_name = l->wanted_name;
    l->row.identity = l->identity;
    l->row.schema_hash = l->schema_hash;
    if (!l->row.garbage)
        l->row.garbage = "";
    return was ? state_update(d, l, was, &l->row, err) : state_insert(d, l, &l->row, err);
}

static int recover_stream(struct sql_destination *d, size_t i, const struct state_row *was,
                          const char *target, struct error *err)
{
    struct load *l = &d->streams[i];

    arena_clear(d->scratch);
    l->row = (struct state_row){.target = target, .garbage = ""};
    if (decide(d, l, was, err) < 0)
        return error_wrap(err, "stream \"%s\"", l->id);
    override_position(d, l, i);
    if (store(d, l, was, err) < 0)
        return -1;
    l->columns = l->row.columns;
    l->n_columns = l->row.n_columns;
    l->building = l->row.live_generation != l->row.generation;
    l->table_name = l->building ? generation_table(d, &l->row) : target;
    return table_exists(d, l, l->table_name, &l->table_exists, err);
}

/* State tables live in the schema of the data, so each schema has its own. */
static int recover_schema(struct sql_destination *d, size_t first, struct error *err)
{
    const char *schema = d->streams[first].schema;
    const struct state_row **found = arena_array(d->mem, d->plan->n + 1, sizeof *found);
    const char **targets = arena_array(d->mem, d->plan->n + 1, sizeof *targets);
    struct state_row *rows;
    size_t n;

    if (state_create_tables(d, schema, err) < 0 || state_load(d, schema, &rows, &n, err) < 0)
        return -1;
    for (size_t i = first; i < d->plan->n; i++)
        found[i] = find_row(rows, n, d->streams[i].id);
    name_tables(d, first, found, targets);
    for (size_t i = 0; i < d->plan->n; i++)
        targets[i] = targets[i] ? targets[i] : "";
    if (check_owners(d, schema, targets, err) < 0)
        return -1;
    for (size_t i = first; i < d->plan->n; i++) {
        if (strcmp(d->streams[i].schema, schema) == 0 &&
            recover_stream(d, i, found[i], targets[i], err) < 0)
            return -1;
    }
    return 0;
}

static bool schema_is_done(const struct sql_destination *d, size_t stream)
{
    for (size_t i = 0; i < stream; i++) {
        if (strcmp(d->streams[i].schema, d->streams[stream].schema) == 0)
            return true;
    }
    return false;
}

static int recover_all(struct sql_destination *d, struct error *err)
{
    arena_clear(d->scratch);
    recover_describe(d);
    if (load_begin(d, err) < 0)
        return -1;
    for (size_t i = 0; i < d->plan->n; i++) {
        if (!schema_is_done(d, i) && recover_schema(d, i, err) < 0)
            return -1;
    }
    if (load_commit(d, err) < 0 || failpoint("after_fence", err) < 0)
        return -1;
    for (size_t i = 0; i < d->plan->n; i++) {
        if (*d->streams[i].row.garbage && swap_drop_garbage(d, &d->streams[i], err) < 0)
            return -1;
    }
    return 0;
}

int recover(struct destination *base, struct stream_position *out, struct error *err)
{
    struct sql_destination *d = (struct sql_destination *)base;

    if (recover_all(d, err) < 0) {
        load_rollback(d);
        d->failed = true;
        return -1;
    }
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
