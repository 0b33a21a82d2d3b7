#include "connectors/files/manifest.h"

#include <stdio.h>
#include <string.h>

#include "connectors/base/clock.h"
#include "connectors/base/hash.h"
#include "connectors/base/jsonread.h"
#include "connectors/base/jsonwrite.h"
#include "connectors/base/text.h"

#define MAX_FOLDER_BYTES 150 /* of 255: quarantine files and temporary names are longer */

/* ---------------------------------------------------------------------- names */

static bool is_plain(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c >= 0x80;
}

const char *manifest_stream_folder(struct arena *mem, const char *namespace, const char *name)
{
    const char *full = *namespace ? arena_printf(mem, "%s.%s", namespace, name) : name;
    char *out = arena_alloc(mem, 3 * strlen(full) + 1), hex[HASH_HEX_BYTES];
    size_t n = 0;

    for (size_t i = 0; full[i]; i++) {
        unsigned char c = (unsigned char)full[i];

        /* A leading dot hides a folder; a leading underscore is kept for ours. */
        if (is_plain(c) && (i || (c != '.' && c != '_')))
            out[n++] = full[i];
        else
            n += (size_t)snprintf(out + n, 4, "%%%02X", c);
    }
    if (!n)
        return "%";
    if (n <= MAX_FOLDER_BYTES)
        return out;
    hash_bytes_hex(full, strlen(full), hex);
    return arena_printf(mem, "%.*s~%.16s", (int)text_utf8_prefix(out, n, MAX_FOLDER_BYTES - 20),
                        out, hex);
}

const char *manifest_data_folder(struct arena *mem, const char *stream, int64_t generation)
{
    return arena_printf(mem, "%s/g%010lld", stream, (long long)generation);
}

const char *manifest_folder(struct arena *mem, const char *stream, int64_t generation)
{
    return arena_printf(mem, MANIFEST_FOLDER "/%s/%010lld", stream, (long long)generation);
}

/* ------------------------------------------------------------------- as text */

/* The counters in the order in which they are written: name and place. */
static const struct {
    const char *name;
    size_t offset;
} counters[] = {
    {"read", offsetof(struct counts, read)},
    {"bytes_read", offsetof(struct counts, bytes_read)},
    {"filtered", offsetof(struct counts, filtered)},
    {"overlap_dropped", offsetof(struct counts, overlap_dropped)},
    {"folded", offsetof(struct counts, folded)},
    {"quarantined_rows", offsetof(struct counts, quarantined_rows)},
    {"quarantined_cells", offsetof(struct counts, quarantined_cells)},
    {"inserted", offsetof(struct counts, inserted)},
    {"updated", offsetof(struct counts, updated)},
    {"unchanged", offsetof(struct counts, unchanged)},
    {"deleted", offsetof(struct counts, deleted)},
};

#define N_COUNTERS (sizeof counters / sizeof *counters)

static int64_t *counter(struct counts *c, size_t i)
{
    return (int64_t *)(void *)((char *)c + counters[i].offset);
}

static void write_files(struct jsonw *w, const struct manifest *m, bool quarantine)
{
    jsonw_key(w, quarantine ? "quarantine" : "files");
    jsonw_array(w);
    for (size_t i = 0; i < m->n_files; i++) {
        const struct manifest_file *f = &m->files[i];

        if (f->quarantine != quarantine)
            continue;
        jsonw_object(w);
        jsonw_put_string(w, "name", f->name);
        jsonw_put_int(w, "size", f->size);
        jsonw_put_int(w, "rows", f->rows);
        jsonw_put_string(w, "sha256", f->sha256);
        jsonw_object_end(w);
    }
    jsonw_array_end(w);
}

static void write_schema(struct jsonw *w, const struct schema *s)
{
    jsonw_key(w, "schema");
    jsonw_array(w);
    for (size_t i = 0; s && i < s->n_columns; i++) {
        char type[32];

        type_format(s->columns[i].type, type);
        jsonw_object(w);
        jsonw_put_string(w, "name", s->columns[i].name);
        jsonw_put_string(w, "type", type);
        jsonw_object_end(w);
    }
    jsonw_array_end(w);
}

void manifest_write(const struct manifest *m, struct buf *out)
{
    struct jsonw w = JSONW_INIT(out);
    struct counts counts = m->counts;

    jsonw_object(&w);
    jsonw_put_int(&w, "version", 1);
    jsonw_put_string(&w, "pipeline", m->pipeline);
    jsonw_put_string(&w, "stream", m->stream);
    jsonw_put_int(&w, "generation", m->generation);
    jsonw_put_int(&w, "number", m->number);
    jsonw_put_int(&w, "seq", m->seq);
    jsonw_put_int(&w, "fence", m->fence);
    jsonw_put_bool(&w, "live", m->live);
    jsonw_put_bool(&w, "abandoned", m->abandoned);
    jsonw_put_bool(&w, "complete", m->complete);
    jsonw_put_string(&w, "run_id", m->run_id);
    jsonw_put_time_ms(&w, "committed_at", clock_unix_us());
    jsonw_put_string(&w, "format", m->format);
    jsonw_put_string(&w, "compression", m->compression);
    write_files(&w, m, false);
    write_files(&w, m, true);
    jsonw_put_raw(&w, "position", m->position);
    jsonw_key(&w, "counters");
    jsonw_object(&w);
    for (size_t i = 0; i < N_COUNTERS; i++)
        jsonw_put_int(&w, counters[i].name, *counter(&counts, i));
    jsonw_object_end(&w);
    write_schema(&w, m->schema);
    jsonw_put_string(&w, "previous", m->previous);
    jsonw_object_end(&w);
    buf_putc(out, '\n');
}

/* ------------------------------------------------------------------- parsing */

static int64_t as_int(const struct slice *raw)
{
    int64_t v;

    return text_to_int64(raw->ptr, raw->len, &v) ? v : -1;
}

/* The members of an object, one call each. */
struct member {
    char key[24]; /* "" for one that is too long to be ours */
    enum jsonread_token token;
    struct slice raw;  /* as written */
    struct slice text; /* of a string, decoded */
};

/* 1 at the end of the object. */
static int next_member(struct jsonread *r, struct member *m, struct error *err)
{
    size_t n;

    if (jsonread_next(r, &m->token, err) < 0)
        return -1;
    if (m->token != JSONREAD_KEY)
        return 1;
    n = r->text.len < sizeof m->key ? r->text.len : 0;
    memcpy(m->key, r->text.ptr, n);
    m->key[n] = '\0';
    if (jsonread_next(r, &m->token, err) < 0)
        return -1;
    m->text = r->text;
    return jsonread_skip(r, m->token, &m->raw, err);
}

static int open_object(struct jsonread *r, struct slice raw, struct error *err)
{
    enum jsonread_token token;

    jsonread_start(r, raw.ptr, raw.len);
    if (jsonread_next(r, &token, err) < 0)
        return -1;
    return token == JSONREAD_OBJECT ? 0 : error_set(err, ERR_DATA, "an object is expected");
}

static void take_digest(struct slice s, char out[static 65])
{
    size_t n = s.len < 65 ? s.len : 0;

    memcpy(out, s.ptr, n);
    out[n] = '\0';
}

static int parse_counts(struct slice raw, struct counts *out, struct error *err)
{
    struct jsonread r;
    struct member m;
    int rc;

    jsonread_init(&r);
    rc = open_object(&r, raw, err);
    while (rc == 0 && (rc = next_member(&r, &m, err)) == 0) {
        for (size_t i = 0; i < N_COUNTERS; i++) {
            if (!strcmp(m.key, counters[i].name))
                *counter(out, i) = as_int(&m.raw);
        }
    }
    jsonread_release(&r);
    return rc < 0 ? -1 : 0;
}

/* Only how many: what the files are called is for readers. */
static int count_files(struct slice raw, size_t *out_n, struct error *err)
{
    enum jsonread_token token;
    struct jsonread r;
    struct slice one;
    int rc;

    jsonread_init(&r);
    jsonread_start(&r, raw.ptr, raw.len);
    rc = jsonread_next(&r, &token, err);
    while (rc == 0 && (rc = jsonread_next(&r, &token, err)) == 0 && token == JSONREAD_OBJECT) {
        rc = jsonread_skip(&r, token, &one, err);
        ++*out_n;
    }
    jsonread_release(&r);
    return rc;
}

static int take_member(const struct member *m, struct arena *mem, struct manifest *out,
                       struct error *err)
{
    if (!strcmp(m->key, "pipeline") && m->token == JSONREAD_STRING)
        out->pipeline = arena_memdup(mem, m->text.ptr, m->text.len);
    else if (!strcmp(m->key, "run_id") && m->token == JSONREAD_STRING)
        out->run_id = arena_memdup(mem, m->text.ptr, m->text.len);
    else if (!strcmp(m->key, "previous") && m->token == JSONREAD_STRING)
        take_digest(m->text, out->previous);
    else if (!strcmp(m->key, "position") && m->token == JSONREAD_OBJECT)
        out->position = arena_memdup(mem, m->raw.ptr, m->raw.len);
    else if (!strcmp(m->key, "generation"))
        out->generation = as_int(&m->raw);
    else if (!strcmp(m->key, "number"))
        out->number = as_int(&m->raw);
    else if (!strcmp(m->key, "seq"))
        out->seq = as_int(&m->raw);
    else if (!strcmp(m->key, "fence"))
        out->fence = as_int(&m->raw);
    else if (!strcmp(m->key, "live"))
        out->live = m->token == JSONREAD_TRUE;
    else if (!strcmp(m->key, "abandoned"))
        out->abandoned = m->token == JSONREAD_TRUE;
    else if (!strcmp(m->key, "complete"))
        out->complete = m->token == JSONREAD_TRUE;
    else if (!strcmp(m->key, "counters"))
        return parse_counts(m->raw, &out->counts, err);
    else if (!strcmp(m->key, "files") || !strcmp(m->key, "quarantine"))
        return count_files(m->raw, &out->n_files, err);
    return 0;
}

int manifest_parse(const char *text, size_t n, struct arena *mem, struct manifest *out,
                   struct error *err)
{
    struct manifest result = {.generation = -1, .number = -1, .seq = -1, .fence = -1};
    struct jsonread r;
    struct member m;
    int rc;

    jsonread_init(&r);
    rc = open_object(&r, (struct slice){text, n}, err);
    while (rc == 0 && (rc = next_member(&r, &m, err)) == 0)
        rc = take_member(&m, mem, &result, err);
    jsonread_release(&r);
    if (rc < 0)
        return -1;
    if (!result.pipeline || result.generation < 1 || result.number < 0 || result.seq < 0 ||
        result.fence < 1)
        return error_set(err, ERR_DATA, "it lacks a pipeline, a generation or a number");
    *out = result;
    return 0;
}
