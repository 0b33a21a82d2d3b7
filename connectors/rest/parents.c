#include "connectors/rest/parents.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connectors/base/hash.h"
#include "connectors/base/jsonwrite.h"
#include "connectors/base/text.h"

#define IN_MEMORY ((size_t)4 << 20)
#define SEEN_MAX  ((size_t)1 << 20)
#define PIECE     ((size_t)64 << 10)

struct parents {
    const struct rest_for_each *how;
    struct arena *mem; /* of one record */
    struct buf lines;  /* the lines, or those that are not in the file yet */
    int fd;            /* -1 = everything is in memory */
    int64_t n;
    struct hash128 *seen; /* open addressing; zero = empty */
    size_t n_seen, cap;
    struct hash_stream *digest; /* of all lines: the same in every process */
};

struct parents *parents_new(const struct rest_for_each *how)
{
    struct parents *p = xalloc(sizeof *p);

    p->how = how;
    p->mem = arena_new();
    p->lines = BUF_INIT(IN_MEMORY + PAGE_MAX_RECORD);
    p->fd = -1;
    p->digest = hash_new();
    return p;
}

void parents_free(struct parents *p)
{
    if (!p)
        return;
    if (p->fd >= 0)
        close(p->fd);
    buf_release(&p->lines);
    arena_free(p->mem);
    hash_free(p->digest);
    free(p->seen);
    free(p);
}

int64_t parents_count(const struct parents *p)
{
    return p->n;
}

void parents_digest(const struct parents *p, char out[static 33])
{
    char hex[HASH_HEX_BYTES];

    hash_hex(p->digest, hex);
    memcpy(out, hex, 32);
    out[32] = '\0';
}

/* --------------------------------------------------------------------- adding */

static bool is_zero(const struct hash128 *h)
{
    static const struct hash128 zero;

    return memcmp(h, &zero, sizeof zero) == 0;
}

static size_t slot_of(const struct hash128 *seen, size_t cap, const struct hash128 *h)
{
    size_t at;

    memcpy(&at, h, sizeof at);
    for (at &= cap - 1; !is_zero(&seen[at]); at = (at + 1) & (cap - 1)) {
        if (memcmp(&seen[at], h, sizeof *h) == 0)
            break;
    }
    return at;
}

static void grow(struct parents *p)
{
    size_t cap = p->cap ? 2 * p->cap : 1024;
    struct hash128 *seen = xalloc(cap * sizeof *seen);

    for (size_t i = 0; i < p->cap; i++) {
        if (!is_zero(&p->seen[i]))
            seen[slot_of(seen, cap, &p->seen[i])] = p->seen[i];
    }
    free(p->seen);
    p->seen = seen;
    p->cap = cap;
}

static bool was_seen(struct parents *p, const struct hash128 *h)
{
    size_t at;

    if (2 * p->n_seen >= p->cap && p->cap < 2 * SEEN_MAX)
        grow(p);
    at = slot_of(p->seen, p->cap, h);
    if (!is_zero(&p->seen[at]))
        return true;
    if (p->n_seen < SEEN_MAX) {
        p->seen[at] = *h;
        p->n_seen++;
    }
    return false;
}

static int write_out(struct parents *p, struct error *err)
{
    const char *at = buf_str(&p->lines);
    size_t left = p->lines.len;

    if (p->fd < 0)
        p->fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (p->fd < 0)
        return error_set_errno(err, errno, "a file for the parents cannot be made in /tmp");
    while (left > 0) {
        ssize_t n = write(p->fd, at, left);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_errno(err, errno, "writing parents to a file");
        at += n;
        left -= (size_t)n;
    }
    buf_clear(&p->lines);
    return 0;
}

static int field_of(struct parents *p, const struct rest_field *field, const struct scopes *s,
                    struct rest_value *out, struct error *err)
{
    if (field->value)
        return template_render(field->value, s, p->mem, out, err);
    return path_find(&field->path, s->json[SCOPE_record], p->mem, out, err);
}

/* {"id":7,"name":"x"}: JSON has no line break outside of strings, and none in them unescaped. */
static int put_fields(struct parents *p, const struct scopes *s, struct buf *out, struct error *err)
{
    struct jsonw w = JSONW_INIT(out);
    struct rest_value v;

    buf_putc(out, '{');
    for (size_t i = 0; i < p->how->n_fields; i++) {
        if (field_of(p, &p->how->fields[i], s, &v, err) < 0)
            return -1;
        if (v.kind == VALUE_MISSING)
            return error_set_reason(err, ERR_DATA, "parent_field",
                                    "a record of \"%s\" has no \"%s\"", p->how->parent->name,
                                    p->how->fields[i].path.text);
        if (i > 0)
            buf_putc(out, ',');
        w.comma = false;
        jsonw_string(&w, p->how->fields[i].name);
        buf_putc(out, ':');
        if (v.kind == VALUE_OBJECT || v.kind == VALUE_ARRAY) {
            for (size_t j = 0; j < v.text.len; j++)
                buf_putc(out, v.text.ptr[j] == '\n' || v.text.ptr[j] == '\r' ? ' ' : v.text.ptr[j]);
        } else {
            rest_value_put_json(&v, out);
        }
    }
    buf_putc(out, '}');
    return buf_ok(out, "the fields of a parent", err);
}

int parents_add(struct parents *p, struct slice record, const struct scopes *base,
                struct error *err)
{
    CLEANUP(buf_release) struct buf line = BUF_INIT(PAGE_MAX_RECORD);
    struct scopes s = *base;
    struct hash128 h;
    bool wanted = true;

    arena_clear(p->mem);
    s.json[SCOPE_record] = record;
    if (p->how->where && condition_holds(p->how->where, &s, p->mem, &wanted, err) < 0)
        return -1;
    if (!wanted)
        return 0;
    if (put_fields(p, &s, &line, err) < 0)
        return -1;
    h = hash_keyed(buf_str(&line), line.len);
    if (p->how->distinct && was_seen(p, &h))
        return 0;
    p->n++;
    buf_putc(&line, '\n');
    hash_update(p->digest, buf_str(&line), line.len);
    buf_put(&p->lines, buf_str(&line), line.len);
    return p->lines.len > IN_MEMORY ? write_out(p, err) : 0;
}

int parents_seal(struct parents *p, struct error *err)
{
    free(p->seen);
    p->seen = NULL;
    p->cap = p->n_seen = 0;
    p->how = NULL; /* belongs to whoever added them */
    return p->fd >= 0 ? write_out(p, err) : 0;
}

/* -------------------------------------------------------------------- reading */

void parents_read(struct parents_reader *r, const struct parents *p)
{
    *r = (struct parents_reader){.of = p, .ahead = BUF_INIT(2 * PAGE_MAX_RECORD)};
}

void parents_reader_release(struct parents_reader *r)
{
    buf_release(&r->ahead);
}

static int read_more(struct parents_reader *r, struct error *err)
{
    size_t left = r->ahead.len - r->at;
    char *room;
    ssize_t n;

    if (r->at > 0) {
        memmove(r->ahead.data, r->ahead.data + r->at, left);
        r->ahead.len = left;
        r->at = 0;
    }
    room = buf_reserve(&r->ahead, PIECE);
    if (!room)
        return error_set(err, ERR_TOO_LARGE, "a parent is larger than allowed");
    do
        n = pread(r->of->fd, room, PIECE, r->offset);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return error_set_errno(err, errno, "reading parents from a file");
    r->ahead.len += (size_t)n;
    r->offset += n;
    r->ended = n == 0;
    return 0;
}

int parents_next(struct parents_reader *r, struct slice *out, struct error *err)
{
    bool in_file = r->of->fd >= 0;
    const struct buf *from = in_file ? &r->ahead : &r->of->lines;
    const char *end;

    *out = (struct slice){0};
    for (;;) {
        end = from->len > r->at ? memchr(from->data + r->at, '\n', from->len - r->at) : NULL;
        if (end || !in_file || r->ended)
            break;
        if (read_more(r, err) < 0)
            return -1;
    }
    if (!end)
        return 0;
    *out = (struct slice){from->data + r->at, (size_t)(end - from->data) - r->at};
    r->at = (size_t)(end - from->data) + 1;
    return 0;
}
