#include "connectors/bind.h"

#include <string.h>

/* Numbers in the index from here on are names that are left out. */
#define FIRST_OUT ((uint32_t)SCHEMA_MAX_COLUMNS * 2)

static uint64_t hash_name(const char *s, size_t n)
{
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a: names are short, and their number is bounded */

    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)s[i]) * 0x100000001b3u;
    return h ^ h >> 32;
}

static const char *indexed_name(const struct bind *b, uint32_t entry)
{
    return entry > FIRST_OUT ? b->out_names[entry - FIRST_OUT - 1] : b->columns[entry - 1].name;
}

static uint32_t *find_slot(const struct bind *b, const char *name, size_t n)
{
    size_t i = hash_name(name, n) & (b->n_index - 1);

    for (; b->index[i]; i = (i + 1) & (b->n_index - 1)) {
        const char *have = indexed_name(b, b->index[i]);

        if (strlen(have) == n && !memcmp(have, name, n))
            break;
    }
    return &b->index[i];
}

static void put_in_index(struct bind *b, const char *name, uint32_t entry)
{
    *find_slot(b, name, strlen(name)) = entry;
}

/* The index is never more than half full. */
static void build_index(struct bind *b, size_t n_columns)
{
    for (b->n_index = 64; b->n_index < 2 * (b->cap + b->n_out); b->n_index *= 2)
        ;
    b->index = arena_array(b->mem, b->n_index, sizeof *b->index);
    for (size_t i = 0; i < n_columns; i++)
        put_in_index(b, b->columns[i].name, (uint32_t)i + 1);
    for (size_t i = 0; i < b->n_out; i++)
        put_in_index(b, b->out_names[i], FIRST_OUT + (uint32_t)i + 1);
}

/* The columns of all schemas of this stream lie in one array: a later schema sees more of it. */
static void make_room(struct bind *b, size_t n_columns)
{
    struct column *columns;
    bool *declared;

    b->cap = b->cap ? 2 * b->cap : n_columns + 16;
    columns = arena_array(b->mem, b->cap, sizeof *columns);
    declared = arena_array(b->mem, b->cap, sizeof *declared);
    for (size_t i = 0; i < n_columns; i++) {
        columns[i] = b->schema->columns[i];
        declared[i] = b->declared && b->declared[i];
    }
    b->columns = columns;
    b->declared = declared;
    build_index(b, n_columns);
}

static void set_schema(struct bind *b, size_t n_columns)
{
    struct schema *s = arena_alloc(b->mem, sizeof *s);

    *s = *b->schema;
    s->columns = b->columns;
    s->n_columns = n_columns;
    b->schema = s;
}

void bind_init(struct bind *b, const struct selected_stream *want, bind_type_fn *declared_type,
               const void *arg, struct arena *mem, struct log *log)
{
    const struct schema *all = want->stream->schema;
    struct column_type ignored;

    *b = (struct bind){.want = want,
                       .declared_type = declared_type,
                       .arg = arg,
                       .mem = mem,
                       .log = log,
                       .schema = want->schema};
    b->out_names = arena_array(mem, all->n_columns ? all->n_columns : 1, sizeof *b->out_names);
    for (size_t i = 0; i < all->n_columns; i++) {
        if (schema_find(want->schema, all->columns[i].name) < 0)
            b->out_names[b->n_out++] = all->columns[i].name;
    }
    make_room(b, want->schema->n_columns);
    set_schema(b, want->schema->n_columns);
    for (size_t i = 0; i < b->schema->n_columns; i++)
        b->declared[i] = declared_type(arg, b->columns[i].name, &ignored);
}

long bind_find(const struct bind *b, const char *name, size_t n)
{
    uint32_t entry = *find_slot(b, name, n);

    if (!entry)
        return BIND_UNKNOWN;
    return entry > FIRST_OUT ? BIND_LEFT_OUT : (long)entry - 1;
}

/* Said once, for whoever invents names without end. */
static int leave_out(struct bind *b, const char *name)
{
    log_warn(b->log, .message = "new fields are left out, as the stream asks",
             .fields = {log_text("stream", b->want->stream->name), log_text("field", name)});
    b->told = true;
    return 0;
}

bool bind_ignores(const struct bind *b)
{
    return b->told;
}

int bind_add(struct bind *b, const char *name, size_t n, struct column_type type, long *out,
             struct error *err)
{
    size_t column = b->schema->n_columns;
    const char *own;
    char shown[32];

    *out = BIND_LEFT_OUT;
    if (b->told)
        return 0;
    own = arena_memdup(b->mem, name, n);
    if (b->want->drift == DRIFT_IGNORE)
        return leave_out(b, own);
    if (b->want->drift == DRIFT_FREEZE)
        return error_set_reason(err, ERR_SCHEMA, "schema_frozen",
                                "the field \"%s\" is new, and the schema of \"%s\" is frozen", own,
                                b->want->stream->name);
    if (strlen(own) != n)
        return error_set(err, ERR_DATA, "a field of \"%s\" has a name with a NUL character",
                         b->want->stream->name);
    if (column == SCHEMA_MAX_COLUMNS)
        return error_set(err, ERR_SCHEMA, "\"%s\" has more than %d columns", b->want->stream->name,
                         SCHEMA_MAX_COLUMNS);
    if (column == b->cap)
        make_room(b, column);
    b->declared[column] = b->declared_type(b->arg, own, &type);
    b->columns[column] =
        (struct column){.name = own, .type = type, .source_type = "", .nullable = true};
    put_in_index(b, own, (uint32_t)column + 1);
    set_schema(b, column + 1);
    type_format(type, shown);
    log_info(b->log, .message = "a new field becomes a column",
             .fields = {log_text("stream", b->want->stream->name), log_text("field", own),
                        log_text("type", shown)});
    *out = (long)column;
    return 0;
}
