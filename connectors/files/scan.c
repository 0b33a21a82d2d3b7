#include "connectors/files/scan.h"

#include <stdlib.h>
#include <string.h>

static void list_cleanup(struct files_list *l)
{
    files_list_close(l);
}

struct files_group files_group_find(const struct files_list *l, const struct files_config *c,
                                    const char *stream, struct arena *mem)
{
    struct files_group g = {0};

    /* Counted first: with a stream per file, all groups together are as long as the list. */
    for (size_t i = 0; i < l->n; i++)
        g.n += !strcmp(files_list_stream(l, c, i), stream);
    g.files = arena_array(mem, g.n ? g.n : 1, sizeof(void *));
    g.n = 0;
    for (size_t i = 0; i < l->n; i++) {
        if (!strcmp(files_list_stream(l, c, i), stream))
            g.files[g.n++] = &l->entries[i];
    }
    return g;
}

static int sample_file(const struct files_config *c, struct run *run, const struct files_list *l,
                       const char *name, size_t max, struct infer *infer, struct error *err)
{
    struct files_dialect dialect;
    struct reader r;
    int rc;

    if (files_dialect_for(c, name, &dialect, err) < 0)
        return -1;
    rc = reader_open(&r, l->dir, name, &dialect, run, (struct reader_start){0}, err);
    if (rc == 0)
        rc = infer_sample(infer, &r, max, err);
    reader_close(&r);
    return rc;
}

/* How many files are looked at, and which: the i-th of them. */
static size_t n_sampled(size_t n)
{
    return n < INFER_FILES ? n : INFER_FILES;
}

static size_t sampled(size_t n, size_t i)
{
    return n_sampled(n) < 2 ? 0 : i * (n - 1) / (n_sampled(n) - 1);
}

int files_group_sample(const struct files_config *c, struct run *run, const struct files_list *l,
                       const struct files_group *g, struct infer *infer, struct error *err)
{
    size_t max = g->n ? INFER_RECORDS / n_sampled(g->n) : 0;

    if (max < INFER_MIN)
        max = INFER_MIN;
    for (size_t i = 0; i < n_sampled(g->n); i++) {
        if (sample_file(c, run, l, g->files[sampled(g->n, i)]->name, max, infer, err) < 0)
            return -1;
    }
    return 0;
}

int files_check(const void *config, struct run *run, struct error *err)
{
    CLEANUP(list_cleanup) struct files_list l = {.dir = -1};
    CLEANUP(infer_free_cleanup) struct infer *infer = infer_new(config);

    if (files_list_open(config, run, &l, err) < 0)
        return -1;
    return sample_file(config, run, &l, l.entries[0].name, INFER_MIN, infer, err);
}

/* ----------------------------------------------------------------- discovery */

struct named {
    const char *stream;
    const struct files_entry *file;
};

static int by_stream(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    int rc = strcmp(x->stream, y->stream);

    return rc ? rc : strcmp(x->file->name, y->file->name);
}

static void add_stream(struct catalog *out, const char *name, const struct schema *schema)
{
    struct stream *s = catalog_add(out);

    s->namespace = "";
    s->name = arena_strdup(out->mem, name);
    s->schema = schema;
    s->source_defined_cursor = true;
    s->incremental = true;
    s->resumable = true;
    s->row_estimate = -1;
}

static int discover_group(const struct files_config *c, struct run *run, const struct files_list *l,
                          const struct files_group *g, const char *name, struct catalog *out,
                          struct error *err)
{
    CLEANUP(infer_free_cleanup) struct infer *infer = infer_new(c);
    const struct schema *schema;

    if (files_group_sample(c, run, l, g, infer, err) < 0 ||
        infer_schema(infer, out->mem, &schema, err) < 0)
        return error_wrap(err, "stream \"%s\"", name);
    if (!schema->n_columns) {
        log_warn(run->log, .message = "a stream without a single record is passed over",
                 .fields = {log_text("stream", name)});
        return 0;
    }
    add_stream(out, name, schema);
    return 0;
}

int files_discover(const void *config, struct run *run, struct catalog *out, struct error *err)
{
    const struct files_config *c = config;
    CLEANUP(list_cleanup) struct files_list l = {.dir = -1};
    const struct files_entry **files;
    struct named *all;

    if (files_list_open(c, run, &l, err) < 0)
        return -1;
    all = arena_array(run->mem, l.n, sizeof *all);
    files = arena_array(run->mem, l.n, sizeof(void *));
    for (size_t i = 0; i < l.n; i++)
        all[i] = (struct named){files_list_stream(&l, c, i), &l.entries[i]};
    qsort(all, l.n, sizeof *all, by_stream);
    for (size_t i = 0; i < l.n; i++)
        files[i] = all[i].file;
    for (size_t i = 0, next; i < l.n; i = next) {
        struct files_group g = {&files[i], 0};

        for (next = i; next < l.n && !strcmp(all[next].stream, all[i].stream); next++)
            g.n++;
        if (out->n == CATALOG_MAX_STREAMS)
            return error_set(err, ERR_TOO_LARGE, "\"%s\" has more than %d streams", c->path,
                             CATALOG_MAX_STREAMS);
        if (discover_group(c, run, &l, &g, all[i].stream, out, err) < 0)
            return -1;
    }
    if (!out->n)
        return error_set_reason(err, ERR_NOT_FOUND, "no_records",
                                "\"%s\" holds no record to learn columns from", c->path);
    return 0;
}

/* ------------------------------------------------------------------ counting */

static int count_file(const struct files_config *c, struct run *run, const struct files_list *l,
                      const char *name, int64_t max, int64_t *out_n, int64_t *out_bytes,
                      struct error *err)
{
    struct files_dialect dialect;
    struct reader r;
    int rc;

    if (files_dialect_for(c, name, &dialect, err) < 0)
        return -1;
    rc = reader_open(&r, l->dir, name, &dialect, run, (struct reader_start){0}, err);
    if (rc == 0)
        rc = reader_count(&r, max, out_n, err);
    if (rc == 0)
        *out_bytes = input_consumed(reader_input(&r));
    reader_close(&r);
    return rc;
}

int files_count(const void *config, struct run *run, const struct stream *stream,
                int64_t *out_count, bool *out_exact, struct error *err)
{
    const struct files_config *c = config;
    CLEANUP(list_cleanup) struct files_list l = {.dir = -1};
    int64_t total = 0, records = 0, bytes = 0;
    struct files_group g;
    size_t looked_at;
    bool exact;

    if (files_list_open(c, run, &l, err) < 0)
        return -1;
    g = files_group_find(&l, c, stream->name, run->mem);
    for (size_t i = 0; i < g.n; i++)
        total += g.files[i]->size;
    exact = total <= FILES_COUNT_EXACT;
    looked_at = exact ? g.n : n_sampled(g.n);
    for (size_t i = 0; i < looked_at; i++) {
        const char *name = g.files[exact ? i : sampled(g.n, i)]->name;
        int64_t n = 0, read = 0;

        if (count_file(c, run, &l, name, exact ? INT64_MAX : FILES_COUNT_SAMPLE, &n, &read, err) <
            0)
            return -1;
        records += n;
        bytes += read;
    }
    if (!exact && bytes > 0)
        records = (int64_t)((double)records / (double)bytes * (double)total);
    *out_count = records;
    *out_exact = exact;
    return 0;
}
