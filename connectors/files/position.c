#include "connectors/files/position.h"

#include <stdlib.h>
#include <string.h>

#include "connectors/base/jsonread.h"
#include "connectors/base/jsonwrite.h"
#include "connectors/base/text.h"

static void write_mark(struct jsonw *w, const struct file_mark *m)
{
    jsonw_put_string(w, "name", m->name);
    jsonw_put_int(w, "size", m->size);
    jsonw_put_int(w, "mtime_us", m->mtime_us);
    jsonw_put_int(w, "offset", m->offset);
    jsonw_put_int(w, "line", m->line);
    jsonw_put_int(w, "head_bytes", m->head_bytes);
    jsonw_put_string(w, "head", m->head);
}

static void write_full(struct jsonw *w, const struct file_position *p)
{
    if (!p->n)
        return;
    jsonw_key(w, "resume");
    jsonw_object(w);
    write_mark(w, &p->files[0]);
    jsonw_put_int(w, "before", p->before);
    jsonw_put_string(w, "digest", p->digest);
    jsonw_object_end(w);
}

void file_position_write(const struct file_position *p, struct buf *out)
{
    struct jsonw w = JSONW_INIT(out);

    jsonw_object(&w);
    jsonw_put_string(&w, "kind", "file");
    if (p->full) {
        write_full(&w, p);
        jsonw_object_end(&w);
        return;
    }
    jsonw_key(&w, "files");
    jsonw_array(&w);
    for (size_t i = 0; i < p->n; i++) {
        jsonw_object(&w);
        write_mark(&w, &p->files[i]);
        jsonw_put_bool(&w, "done", p->files[i].done);
        jsonw_put_bool(&w, "open", p->files[i].open);
        jsonw_object_end(&w);
    }
    jsonw_array_end(&w);
    jsonw_object_end(&w);
}

static int by_name(const void *a, const void *b)
{
    const struct file_mark *x = a, *y = b;

    return strcmp(x->name, y->name);
}

static bool is_digest(const char *s)
{
    return strlen(s) == POSITION_HEAD && strspn(s, "0123456789abcdef") == POSITION_HEAD;
}

static bool is_whole(const struct file_mark *m)
{
    return m->name && *m->name && m->size >= 0 && m->offset >= 0 && m->line >= 1 &&
           m->head_bytes >= 0 && is_digest(m->head);
}

/* A tree of a hundred thousand files would cost more memory than all the rest: tokens are read. */
struct parser {
    struct jsonread json;
    struct arena *mem;
    struct file_position *out;
    size_t cap;
    bool is_ours; /* "kind":"file" */
};

static bool is_text(struct slice s, const char *text)
{
    return s.len == strlen(text) && !memcmp(s.ptr, text, s.len);
}

static void keep_digest(struct slice s, char out[static POSITION_HEAD + 1])
{
    if (s.len != POSITION_HEAD)
        return;
    memcpy(out, s.ptr, s.len);
    out[s.len] = '\0';
}

static void take_text(struct parser *p, const char *key, struct file_mark *m)
{
    struct slice s = p->json.text;

    if (!strcmp(key, "name"))
        m->name = arena_memdup(p->mem, s.ptr, s.len);
    else if (!strcmp(key, "head"))
        keep_digest(s, m->head);
    else if (!strcmp(key, "digest"))
        keep_digest(s, p->out->digest);
}

static void take_number(struct parser *p, const char *key, struct file_mark *m)
{
    int64_t v = -1;

    if (!text_to_int64(p->json.text.ptr, p->json.text.len, &v))
        v = -1;
    if (!strcmp(key, "size"))
        m->size = v;
    else if (!strcmp(key, "mtime_us"))
        m->mtime_us = v;
    else if (!strcmp(key, "offset"))
        m->offset = v;
    else if (!strcmp(key, "line"))
        m->line = v;
    else if (!strcmp(key, "head_bytes"))
        m->head_bytes = v;
    else if (!strcmp(key, "before"))
        p->out->before = v;
}

/* A key; one that is too long to be ours becomes empty. */
static void take_key(const struct parser *p, char out[static 16])
{
    struct slice s = p->json.text;

    if (s.len >= 16)
        s.len = 0;
    memcpy(out, s.ptr, s.len);
    out[s.len] = '\0';
}

/* The members of one mark, whose opening brace was read. */
static int read_mark(struct parser *p, struct file_mark *m, struct error *err)
{
    *m = (struct file_mark){.size = -1, .offset = -1, .head_bytes = -1};
    for (;;) {
        enum jsonread_token token;
        struct slice raw;
        char key[16];

        if (jsonread_next(&p->json, &token, err) < 0)
            return -1;
        if (token == JSONREAD_OBJECT_END)
            return 0;
        take_key(p, key);
        if (jsonread_next(&p->json, &token, err) < 0)
            return -1;
        if (token == JSONREAD_STRING)
            take_text(p, key, m);
        else if (token == JSONREAD_NUMBER)
            take_number(p, key, m);
        else if (token == JSONREAD_TRUE && !strcmp(key, "done"))
            m->done = true;
        else if (token == JSONREAD_TRUE && !strcmp(key, "open"))
            m->open = true;
        else if (jsonread_skip(&p->json, token, &raw, err) < 0)
            return -1;
    }
}

static struct file_mark *add_mark(struct parser *p)
{
    struct file_position *out = p->out;
    struct file_mark *grown;

    if (out->n == p->cap) {
        p->cap = p->cap ? 2 * p->cap : 16;
        grown = arena_array(p->mem, p->cap, sizeof *grown);
        if (out->n)
            memcpy(grown, out->files, out->n * sizeof *grown);
        out->files = grown;
    }
    return &out->files[out->n++];
}

static int read_marks(struct parser *p, enum jsonread_token token, struct error *err)
{
    struct slice raw;

    if (token == JSONREAD_OBJECT) {
        p->out->full = true;
        return read_mark(p, add_mark(p), err);
    }
    if (token != JSONREAD_ARRAY)
        return jsonread_skip(&p->json, token, &raw, err);
    for (;;) {
        if (jsonread_next(&p->json, &token, err) < 0)
            return -1;
        if (token == JSONREAD_ARRAY_END)
            return 0;
        if (token != JSONREAD_OBJECT || p->out->n == LIST_MAX_FILES)
            return error_set(err, ERR_DATA, "a file is no object, or there are too many");
        if (read_mark(p, add_mark(p), err) < 0)
            return -1;
    }
}

static int read_position(struct parser *p, struct error *err)
{
    enum jsonread_token token;

    if (jsonread_next(&p->json, &token, err) < 0)
        return -1;
    if (token != JSONREAD_OBJECT)
        return error_set(err, ERR_DATA, "it is no object");
    for (;;) {
        struct slice raw;
        char key[16];
        int rc;

        if (jsonread_next(&p->json, &token, err) < 0)
            return -1;
        if (token == JSONREAD_OBJECT_END)
            return jsonread_next(&p->json, &token, err);
        take_key(p, key);
        if (jsonread_next(&p->json, &token, err) < 0)
            return -1;
        if (!strcmp(key, "kind") && token == JSONREAD_STRING)
            p->is_ours = is_text(p->json.text, "file");
        if (!strcmp(key, "files") || !strcmp(key, "resume"))
            rc = read_marks(p, token, err);
        else
            rc = jsonread_skip(&p->json, token, &raw, err);
        if (rc < 0)
            return -1;
    }
}

static bool is_sound(const struct file_position *p)
{
    for (size_t i = 0; i < p->n; i++) {
        if (!is_whole(&p->files[i]))
            return false;
    }
    return !p->full || (p->n == 1 && p->before >= 0 && is_digest(p->digest));
}

int file_position_parse(const char *json, struct arena *mem, struct file_position *out,
                        struct error *err)
{
    struct file_position result = {0};
    struct parser p = {.mem = mem, .out = &result};
    struct error why = ERROR_INIT;

    jsonread_init(&p.json);
    jsonread_start(&p.json, json, strlen(json));
    if (read_position(&p, &why) == 0 && (!p.is_ours || !is_sound(&result)))
        error_set(&why, ERR_DATA, "it is none of files");
    jsonread_release(&p.json);
    if (why.code != ERR_NONE)
        return error_set_reason(err, ERR_CONFIG, "bad_position", "the position %.80s: %s", json,
                                why.message);
    if (result.n)
        qsort(result.files, result.n, sizeof *result.files, by_name);
    *out = result;
    return 0;
}

struct file_mark *file_position_find(const struct file_position *p, const char *name)
{
    const struct file_mark wanted = {.name = name};

    if (!p->n)
        return NULL;
    return bsearch(&wanted, p->files, p->n, sizeof *p->files, by_name);
}
