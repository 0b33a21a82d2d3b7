#include <string.h>
#include <strings.h>

#include "connectors/base/failpoint.h"
#include "connectors/sql/evolve.h"
#include "connectors/sql/load.h"

/* clang-format off */
/* Columns of ours, and the level from which on a row has them. */
static const struct {
    enum metadata_level level;
    struct sql_column column;
    enum sql_fill fill;
} metadata[] = {
    {METADATA_MINIMAL, {.name = "_connectord_synced_at",    .type = {.type = TYPE_TIMESTAMPTZ}, .role = SQL_ROLE_STAMP}, SQL_FILL_TEXT},
    {METADATA_MINIMAL, {.name = "_connectord_meta",         .type = {.type = TYPE_JSON},        .role = SQL_ROLE_DATA},  SQL_FILL_META},
    {METADATA_FULL,    {.name = "_connectord_run_id",       .type = {.type = TYPE_STRING},      .role = SQL_ROLE_STAMP}, SQL_FILL_TEXT},
    {METADATA_FULL,    {.name = "_connectord_extracted_at", .type = {.type = TYPE_TIMESTAMPTZ}, .role = SQL_ROLE_STAMP}, SQL_FILL_TEXT},
    {METADATA_FULL,    {.name = "_connectord_generation",   .type = {.type = TYPE_INT},         .role = SQL_ROLE_STAMP}, SQL_FILL_INT},
};
/* clang-format on */
#define N_METADATA (sizeof metadata / sizeof metadata[0])

struct inspect {
    struct arena *mem;
    struct table_column *columns;
    size_t n, cap;
};

static int take_column(void *arg, const struct sql_value *v, size_t n, struct error *err)
{
    struct inspect *in = arg;

    (void)n;
    (void)err;
    if (in->n == in->cap) {
        struct table_column *more = arena_array(in->mem, in->cap ? 2 * in->cap : 64, sizeof *more);

        if (in->n > 0)
            memcpy(more, in->columns, in->n * sizeof *more);
        in->columns = more;
        in->cap = in->cap ? 2 * in->cap : 64;
    }
    in->columns[in->n].name = sql_value_text(in->mem, &v[0]);
    in->columns[in->n++].declared = sql_value_text(in->mem, &v[1]);
    return 0;
}

int shape_inspect(struct sql_destination *d, const char *schema, const char *table,
                  struct table_column **out, size_t *out_n, struct error *err)
{
    struct inspect in = {.mem = d->scratch};

    if (load_ask(d, d->dialect->columns_query, schema, table, NULL, take_column, &in, err) < 0)
        return -1;
    *out = in.columns;
    *out_n = in.n;
    return 0;
}

const struct table_column *shape_find_actual(const struct shaping *s, const char *name)
{
    for (size_t i = 0; i < s->n_actual; i++) {
        if (strcmp(s->actual[i].name, name) == 0)
            return &s->actual[i];
    }
    return NULL;
}

const struct known_column *shape_find_known(const struct load *l, const char *source)
{
    for (size_t i = 0; i < l->n_columns; i++) {
        if (strcmp(l->columns[i].source, source) == 0)
            return &l->columns[i];
    }
    return NULL;
}

static const struct known_column *find_known_name(const struct load *l, const char *name)
{
    for (size_t i = 0; i < l->n_columns; i++) {
        if (strcmp(l->columns[i].name, name) == 0)
            return &l->columns[i];
    }
    return NULL;
}

/* A column that somebody else made and that a new one of the source means. */
static const char *adopted_name(const struct shaping *s, const char *source)
{
    const char *name = NULL;

    for (size_t i = 0; i < s->n_actual; i++) {
        const char *actual = s->actual[i].name;

        if (names_compare(actual, source) == 0 && !find_known_name(s->l, actual))
            name = actual;
    }
    return name ? arena_strdup(s->l->mem, name) : NULL;
}

/* Names that were given stay; new columns are named beside them. */
static void name_columns(struct shaping *s)
{
    struct load *l = s->l;
    size_t n = l->n_columns, n_columns = s->schema->n_columns;
    struct name_pair *pairs = arena_array(l->mem, n + n_columns + 1, sizeof *pairs);
    size_t *at = arena_array(l->mem, n_columns + 1, sizeof *at);

    for (size_t i = 0; i < n; i++)
        pairs[i] = (struct name_pair){l->columns[i].source, l->columns[i].name, NULL, false};
    for (size_t i = 0; i < n_columns; i++) {
        const char *source = s->schema->columns[i].name;
        const struct known_column *known = shape_find_known(l, source);

        at[i] = known ? (size_t)(known - l->columns) : n;
        if (!known)
            pairs[n++] = (struct name_pair){source, adopted_name(s, source), NULL, l->want->snake};
    }
    names_assign(l->mem, NAMES_COLUMN, &s->d->dialect->names, pairs, n);
    for (size_t i = 0; i < n_columns; i++)
        s->names[i] = pairs[at[i]].name;
}

/* A table to be created needs no regard for what was: nothing is moved into an older one. */
static bool starts_over(const struct shaping *s)
{
    bool moves = s->l->building && s->l->want->write_mode == WRITE_APPEND &&
                 s->l->want->sync_mode == SYNC_FULL_REFRESH;

    return s->l->want->drift == DRIFT_EVOLVE && !(moves && s->l->live_exists);
}

/*
 * The columns that drift is measured against. For a table that is there: those that are ours and
 * still in it, and foreign ones that a column of the source means. For one to be created: nothing,
 * unless the policy forbids changes, which it does against the columns of the last generation.
 */
static size_t columns_to_compare(const struct shaping *s, struct evolve_column *have)
{
    const struct load *l = s->l;
    bool fresh = s->n_actual == 0;
    size_t n = 0;

    if (fresh && starts_over(s))
        return 0;
    for (size_t i = 0; i < l->n_columns; i++) {
        if (fresh || shape_find_actual(s, l->columns[i].name))
            have[n++] = (struct evolve_column){l->columns[i].name, l->columns[i].type};
    }
    for (size_t i = 0; i < s->schema->n_columns && !fresh; i++) {
        const struct table_column *actual = shape_find_actual(s, s->names[i]);

        if (actual && !find_known_name(l, s->names[i]))
            have[n++] = (struct evolve_column){actual->name,
                                               sql_read_type(s->d->dialect, actual->declared)};
    }
    return n;
}

static int decide(struct shaping *s, struct error *err)
{
    struct load *l = s->l;
    size_t n = s->schema->n_columns, n_have;
    struct evolve_column *have = arena_array(l->mem, l->n_columns + n + 1, sizeof *have);
    struct evolve_column *want = arena_array(l->mem, n + 1, sizeof *want);

    for (size_t i = 0; i < n; i++)
        want[i] = (struct evolve_column){s->names[i], s->schema->columns[i].type};
    n_have = columns_to_compare(s, have);
    if (evolve_plan(have, n_have, want, n, l->want->drift, s->steps, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        /* A table that we did not make keeps its types, and with them its constraints. One that
         * differs only in its digits is looked at value by value. */
        if (s->steps[i].action == EVOLVE_WIDEN && l->row.adopted && !l->building) {
            for (size_t j = 0; j < n_have; j++) {
                if (strcmp(have[j].name, want[i].name) != 0)
                    continue;
                s->steps[i].action =
                    have[j].type.type == want[i].type.type ? EVOLVE_KEEP : EVOLVE_CONFLICT;
                s->steps[i].type = have[j].type;
            }
        }
    }
    return 0;
}

static bool is_key(const struct load *l, const char *source)
{
    const struct schema *want = l->want->schema;

    for (size_t i = 0; l->keyed && i < want->n_key; i++) {
        if (strcmp(want->columns[want->key[i]].name, source) == 0)
            return true;
    }
    return false;
}

/* What a column that others made says of itself. Text goes into every type that reads it, but only
 * by a cast; a cast to text of a limited length would cut it. */
static void describe_foreign(const struct shaping *s, struct sql_column *c)
{
    bool direct = !s->l->building;
    struct column_type read;

    for (size_t i = 0; i < s->n_model && !c->declared; i++) {
        if (names_compare(s->model[i].name, c->name) == 0)
            c->declared = arena_strdup(s->l->mem, s->model[i].declared);
    }
    if (c->declared && direct && s->d->dialect->differs == SQL_DIFFERS_DISTINCT)
        c->cast = !s->d->dialect->parse_type(c->declared, &read);
}

/* Only a table that we did not make limits what its columns take. */
static int find_model(struct shaping *s, struct error *err)
{
    const struct load *l = s->l;

    if (!l->row.adopted || !l->live_exists)
        return 0;
    return shape_inspect(s->d, l->schema, l->row.target, &s->model, &s->n_model, err);
}

/* The columns rows are written into, and where their values come from. */
static int fill_table(struct shaping *s, struct error *err)
{
    struct load *l = s->l;
    const struct schema *want = l->want->schema;
    size_t n = 0, max = s->schema->n_columns + N_METADATA + 1;
    struct sql_column *columns = arena_array(l->mem, max, sizeof *columns);
    struct sql_bulk_column *fill = arena_array(l->mem, max, sizeof *fill);

    l->conflict = arena_array(l->mem, max, sizeof *l->conflict);
    l->altered = arena_array(l->mem, max, sizeof *l->altered);
    for (size_t i = 0; i < s->schema->n_columns; i++) {
        const struct column *c = &s->schema->columns[i];
        bool key = is_key(l, c->name);

        if (s->steps[i].action == EVOLVE_LEAVE_OUT)
            continue;
        l->conflict[i] = s->steps[i].action == EVOLVE_CONFLICT;
        columns[n] = (struct sql_column){.name = s->names[i],
                                         .type = s->steps[i].type,
                                         .role = key ? SQL_ROLE_KEY : SQL_ROLE_DATA};
        describe_foreign(s, &columns[n]);
        fill[n++] = (struct sql_bulk_column){
            .fill = l->conflict[i] ? SQL_FILL_NULL : SQL_FILL_COLUMN, .from = i, .type = c->type};
    }
    for (size_t i = 0; i < N_METADATA; i++) {
        if (metadata[i].level > s->d->plan->metadata)
            continue;
        columns[n] = metadata[i].column;
        fill[n] = (struct sql_bulk_column){
            .fill = metadata[i].fill, .number = l->row.generation, .text = s->d->now};
        if (strcmp(columns[n].name, "_connectord_run_id") == 0)
            fill[n].text = s->d->run->id;
        if (strcmp(columns[n].name, "_connectord_extracted_at") == 0) {
            char *text = arena_alloc(l->mem, CLOCK_TEXT_BYTES);

            clock_format_us(s->d->run->started_unix_us, text);
            fill[n].text = text;
        }
        n++;
    }
    l->table = (struct sql_table){l->schema, l->table_name, columns, n};
    l->fill = fill;
    l->key = arena_array(l->mem, want->n_key + 1, sizeof *l->key);
    for (size_t i = 0; l->keyed && i < want->n_key; i++) {
        long at = schema_find(s->schema, want->columns[want->key[i]].name);

        if (at < 0)
            return error_set_reason(err, ERR_SCHEMA, "key_missing", "the key column \"%s\" is gone",
                                    want->columns[want->key[i]].name);
        l->key[i] = (size_t)at;
    }
    return 0;
}

/* Of the source's columns those that rows come without, from now on. */
static void remember_left_out(struct load *l, struct arena *mem)
{
    const struct schema *all = l->want->stream->schema;
    struct name_list *list = arena_alloc(mem, sizeof *list);
    const char **names = arena_array(mem, all->n_columns + 1, sizeof *names);

    for (size_t i = 0; i < all->n_columns; i++) {
        if (!shape_find_known(l, all->columns[i].name))
            names[list->n++] = arena_strdup(mem, all->columns[i].name);
    }
    list->names = names;
    l->left_out = list;
}

/* Rows that are there get what they have in a new column by being merged once more. Only where
 * reading has not begun yet: a column that comes to light later is one of the rows with it. */
static bool backfills(const struct sql_destination *d, const struct load *l)
{
    return d->recovering && l->want->backfill && l->merging &&
           l->want->sync_mode == SYNC_INCREMENTAL && l->row.position;
}

/* The columns the stream has had by now: written with the next commit. */
static void remember_columns(struct shaping *s)
{
    struct load *l = s->l;
    struct arena *mem = s->d->mem;
    bool fresh = s->n_actual == 0 && starts_over(s);
    size_t n = fresh ? 0 : l->n_columns;
    struct known_column *columns = arena_array(mem, n + s->schema->n_columns + 1, sizeof *columns);
    bool changed = fresh && l->n_columns != s->schema->n_columns;

    for (size_t i = 0; i < n; i++) {
        columns[i] = l->columns[i];
        /* A table that is yet to be made has no rows that lack anything. */
        if (s->n_actual == 0 && (columns[i].older || columns[i].was)) {
            columns[i].older = columns[i].was = NULL;
            changed = true;
        }
    }
    for (size_t i = 0; i < s->schema->n_columns; i++) {
        const char *source = s->schema->columns[i].name;
        const struct known_column *was = shape_find_known(l, source);
        struct known_column *c = was && !fresh ? &columns[was - l->columns] : &columns[n];

        if (s->steps[i].action == EVOLVE_LEAVE_OUT)
            continue;
        changed |= !was || !type_equal(was->type, s->steps[i].type);
        if (c == &columns[n])
            *c = (struct known_column){arena_strdup(mem, source), arena_strdup(mem, s->names[i]),
                                       s->steps[i].type, NULL, NULL};
        else
            c->type = s->steps[i].type;
        if (!was && s->n_actual > 0) {
            l->starts_anew |= backfills(s->d, l);
            if (!shape_find_actual(s, s->names[i]))
                c->older = older_constant(s->d, l, c);
        }
        n += c == &columns[n];
    }
    if (changed) {
        l->columns = columns;
        l->n_columns = n;
    }
    remember_left_out(l, mem);
}

/* A table we did not make may lack the unique index that makes merging by key mean something. */
static int check_adopted_key(struct shaping *s, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    struct load *l = s->l;
    int64_t repeated;

    if (!l->merging || !l->row.adopted || l->row.seq > 0 || l->building)
        return 0;
    sql_put_count_repeated(s->d->dialect, &l->table, &sql);
    if (load_count(s->d, &sql, &repeated, err) < 0)
        return -1;
    if (repeated > 0)
        return error_set_reason(err, ERR_CONFLICT, "key_not_unique",
                                "table \"%s\" has %lld keys more than once", l->table_name,
                                (long long)repeated);
    return 0;
}

/* Names and types for rows of `schema` in the table l->table_name, which is made to fit. */
static int fit_table(struct shaping *s, struct error *err)
{
    struct load *l = s->l;

    if (shape_inspect(s->d, l->schema, l->table_name, &s->actual, &s->n_actual, err) < 0)
        return -1;
    name_columns(s);
    if (decide(s, err) < 0 || fill_table(s, err) < 0)
        return -1;
    remember_columns(s);
    return alter_apply(s, err);
}

/* Rows that are moved into the live table at the end find it as wide as they are. */
static int fit_live_table(struct shaping *s, struct error *err)
{
    struct load *l = s->l;
    const char *building = l->table_name;
    int rc;

    l->table_name = l->row.target;
    l->building = false;
    rc = fit_table(s, err);
    l->building = true;
    l->table_name = building;
    return rc;
}

bool shape_is_news(const struct load *l, const struct schema *schema)
{
    for (size_t i = 0; i < schema->n_columns; i++) {
        const struct known_column *known = shape_find_known(l, schema->columns[i].name);
        struct column_type joined;

        if (!known || !type_join(known->type, schema->columns[i].type, &joined) ||
            !type_equal(joined, known->type))
            return true;
    }
    return false;
}

void shape_start_anew(struct sql_destination *d, struct load *l, struct state_row *next)
{
    if (!l->starts_anew)
        return;
    next->position = NULL;
    l->starts_anew = false;
    log_info(d->run->log, .message = "all rows are read again, for what they have in new columns",
             .fields = {log_text("stream", l->id)});
}

int shape_record(struct sql_destination *d, struct load *l, struct error *err)
{
    struct state_row next = l->row;

    if (l->row.columns == l->columns)
        return 0;
    next.columns = l->columns;
    next.n_columns = l->n_columns;
    next.schema_version++;
    shape_start_anew(d, l, &next);
    if (state_update(d, l, &l->row, &next, err) < 0)
        return -1;
    l->row = next;
    return 0;
}

int shape_prepare(struct sql_destination *d, struct load *l, const struct schema *schema,
                  struct error *err)
{
    struct shaping s = {.d = d, .l = l};

    /* What is staged has the old shape; the caller has merged it. */
    l->shape = NULL;
    d->n_stages -= l->stage_exists;
    l->stage_exists = false; /* it is dropped before the next one is made */
    arena_clear(l->mem);
    s.before = l->columns;
    s.n_before = l->n_columns;
    s.schema = schema_copy(l->mem, schema);
    s.names = arena_array(l->mem, schema->n_columns + 1, sizeof *s.names);
    s.steps = arena_array(l->mem, schema->n_columns + 1, sizeof *s.steps);
    if (find_model(&s, err) < 0)
        return -1;
    if (l->building && l->live_exists && l->want->write_mode == WRITE_APPEND &&
        l->want->sync_mode == SYNC_FULL_REFRESH && fit_live_table(&s, err) < 0)
        return error_wrap(err, "stream \"%s\"", l->id);
    if (fit_table(&s, err) < 0 || check_adopted_key(&s, err) < 0)
        return error_wrap(err, "stream \"%s\"", l->id);
    if (failpoint("during_ddl", err) < 0)
        return -1;
    if (s.late)
        return error_set_reason(err, ERR_TRANSIENT, "schema_changed",
                                "stream \"%s\": the table was given another shape, which ends the "
                                "transaction; the rows in it are read again",
                                l->id);
    l->shape = s.schema;
    return 0;
}
