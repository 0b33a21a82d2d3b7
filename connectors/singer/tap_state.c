/* The position of a tap's streams: one STATE for all of them. */
#include <string.h>

#include "connectors/base/arena.h"
#include "connectors/base/jsonread.h"
#include "connectors/singer/message.h"
#include "connectors/singer/tap_internal.h"

static bool is(struct slice s, const char *word)
{
    return s.len == strlen(word) && !memcmp(s.ptr, word, s.len);
}

/* The name under which most taps keep the bookmark of a stream. */
static bool is_bookmark_of(struct slice name, const struct stream *s)
{
    size_t n = strlen(s->name), k = strlen(s->namespace);

    if (is(name, s->name))
        return true;
    return k > 0 && name.len == k + 1 + n && !memcmp(name.ptr, s->namespace, k) &&
           !memcmp(name.ptr + k + 1, s->name, n);
}

/* One that is read anew has no use for what was kept of it. */
static bool goes_on(const struct stream_request *s)
{
    return s->position && s->want->sync_mode == SYNC_INCREMENTAL;
}

/* Whether a bookmark of the state is of a stream that begins anew. */
static bool is_forgotten(struct slice name, const struct read_request *req)
{
    for (size_t i = 0; i < req->n; i++) {
        if (!goes_on(&req->streams[i]) && is_bookmark_of(name, req->streams[i].want->stream))
            return true;
    }
    return false;
}

/* Copies the members of an object that begins at the scanner's next key; those of "bookmarks" that
 * are forgotten are left out. */
static int copy_members(struct jsonread *j, const struct read_request *req, bool in_bookmarks,
                        struct buf *out, struct error *err)
{
    bool first = true;

    buf_putc(out, '{');
    for (;;) {
        const char *key;
        enum jsonread_token token;
        bool enter, drop;
        struct slice raw;

        if (jsonread_next(j, &token, err) < 0)
            return -1;
        if (token != JSONREAD_KEY)
            break;
        key = j->token;
        enter = !in_bookmarks && is(j->text, "bookmarks");
        drop = in_bookmarks && is_forgotten(j->text, req);
        if (jsonread_next(j, &token, err) < 0)
            return -1;
        if (enter && token == JSONREAD_OBJECT) {
            buf_puts(out, first ? "\"bookmarks\":" : ",\"bookmarks\":");
            if (copy_members(j, req, true, out, err) < 0)
                return -1;
        } else {
            if (jsonread_skip(j, token, &raw, err) < 0)
                return -1;
            if (drop)
                continue;
            if (!first)
                buf_putc(out, ',');
            buf_put(out, key, (size_t)(raw.ptr + raw.len - key));
        }
        first = false;
    }
    buf_putc(out, '}');
    return 0;
}

static int forget_bookmarks(struct jsonread *j, const struct read_request *req, struct arena *mem,
                            struct tap_state *out, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(2 * SINGER_MAX_LINE);
    enum jsonread_token token;
    bool any = false;

    for (size_t i = 0; i < req->n; i++)
        any |= !goes_on(&req->streams[i]);
    if (!out->value || !any)
        return 0;
    jsonread_start(j, out->value, strlen(out->value));
    if (jsonread_next(j, &token, err) < 0)
        return -1;
    if (token != JSONREAD_OBJECT)
        return 0;
    if (copy_members(j, req, false, &text, err) < 0 || buf_ok(&text, "the state", err) < 0)
        return -1;
    out->value = arena_memdup(mem, text.data, text.len);
    return 0;
}

int tap_state_read(const struct read_request *req, struct arena *mem, struct tap_state *out,
                   struct error *err)
{
    struct jsonread j;
    int status = 0;

    *out = (struct tap_state){.versions = arena_array(mem, req->n + 1, sizeof *out->versions)};
    jsonread_init(&j);
    for (size_t i = 0; i < req->n && status == 0; i++) {
        struct singer_position p;

        if (!goes_on(&req->streams[i]))
            continue;
        status = singer_position_read(req->streams[i].position, mem, &p, err);
        if (status < 0) {
            error_wrap(err, "the position of stream \"%s\"", req->streams[i].want->stream->name);
            break;
        }
        out->versions[i] = p.version;
        if (p.value && (!out->value || p.epoch > out->epoch)) {
            out->epoch = p.epoch;
            out->value = p.value;
        }
    }
    if (status == 0)
        status = forget_bookmarks(&j, req, mem, out, err);
    jsonread_release(&j);
    return status;
}
