/* The position of a tap's streams: one STATE for all of them. */
#include <string.h>

#include "connectors/base/arena.h"
#include "connectors/base/jsonread.h"
#include "connectors/base/jsonwrite.h"
#include "connectors/base/text.h"
#include "connectors/singer/message.h"
#include "connectors/singer/tap_internal.h"

void tap_state_put(int64_t epoch, const char *version, const char *value, struct buf *out)
{
    struct jsonw w = JSONW_INIT(out);

    buf_clear(out);
    jsonw_object(&w);
    jsonw_put_string(&w, "kind", "singer");
    jsonw_put_int(&w, "epoch", epoch);
    jsonw_put_string(&w, "version", version);
    jsonw_put_raw(&w, "value", value ? value : "null");
    jsonw_object_end(&w);
}

/* One position as it was stored, or as a user gave it: then it may be the value of a STATE alone.
 */
struct position {
    int64_t epoch;
    const char *value, *version;
};

static bool is(struct slice s, const char *word)
{
    return s.len == strlen(word) && !memcmp(s.ptr, word, s.len);
}

static int read_member(struct jsonread *j, struct arena *mem, struct position *out, bool *is_ours,
                       struct error *err)
{
    bool is_kind = is(j->text, "kind"), is_epoch = is(j->text, "epoch");
    bool is_value = is(j->text, "value"), is_version = is(j->text, "version");
    enum jsonread_token token;
    struct slice raw;

    if (jsonread_next(j, &token, err) < 0)
        return -1;
    if (is_kind && token == JSONREAD_STRING && is(j->text, "singer"))
        *is_ours = true;
    if (is_version && token == JSONREAD_STRING)
        out->version = arena_memdup(mem, j->text.ptr, j->text.len);
    if (jsonread_skip(j, token, &raw, err) < 0)
        return -1;
    if (is_epoch)
        (void)text_to_int64(raw.ptr, raw.len, &out->epoch);
    if (is_value && token != JSONREAD_NULL)
        out->value = arena_memdup(mem, raw.ptr, raw.len);
    return 0;
}

static int read_position(struct jsonread *j, const char *text, struct arena *mem,
                         struct position *out, struct error *err)
{
    enum jsonread_token token;
    bool is_ours = false;

    *out = (struct position){.epoch = 0};
    jsonread_start(j, text, strlen(text));
    if (jsonread_next(j, &token, err) < 0)
        return -1;
    if (token != JSONREAD_OBJECT)
        return error_set_reason(err, ERR_CONFIG, "bad_position", "it is no object");
    for (;;) {
        if (jsonread_next(j, &token, err) < 0)
            return -1;
        if (token != JSONREAD_KEY)
            break;
        if (read_member(j, mem, out, &is_ours, err) < 0)
            return -1;
    }
    if (!is_ours)
        return error_set_reason(err, ERR_CONFIG, "bad_position",
                                "it is no position of a Singer tap: {\"kind\":\"singer\",..}");
    return 0;
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
        struct position p;

        if (!goes_on(&req->streams[i]))
            continue;
        status = read_position(&j, req->streams[i].position, mem, &p, err);
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
