/*
 * Followers: each has an offset into the file and nothing else that grows.
 *
 * A read produces whole lines as long as they fit; a line that alone is larger than the room is
 * given in parts, `skip` bytes of it having been given already. Lines that stand still (the first
 * one, heartbeats, the goodbye) come from the same place, so they are cut the same way.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connectors/base/arena.h"
#include "connectors/base/clock.h"
#include "connectors/base/jsonwrite.h"
#include "server/sync/event.h"
#include "server/sync/logstream_internal.h"
#include "server/sync/logtext.h"

/* Bytes of the file looked at in one call; on the stack, so that a follower holds no buffer. */
#define CHUNK (2 * LOGSTREAM_MAX_LINE)

struct log_follower {
    struct logstreams *all;
    struct log_entry *entry;
    struct log_query q; /* its strings are the next ones */
    char *stream, *origin, *type;
    bool is_filtered;
    _Atomic int64_t offset;
    int64_t seq;   /* of the last line passed */
    int64_t lines; /* given */
    size_t skip;
    char *first;           /* not yet given; NULL = none */
    int64_t last_given_us; /* for heartbeats */
    int64_t beat_us;       /* the time a heartbeat being given says; 0 = none */
    bool bye, done;
};

/* What is given next: up to three pieces, and what it means to have given it. */
enum what { GIVE_NOTHING, GIVE_FIRST, GIVE_LINE, GIVE_BEAT, GIVE_BYE };
struct piece {
    enum what what;
    char prefix[48];
    struct slice body;
    const char *suffix;
    int64_t bytes, seq; /* of a line in the file */
};

/* -------------------------------------------------------------------- beginning */

static char *copy(const char *s)
{
    return s ? xstrdup(s) : NULL;
}

static bool has_filter(const struct log_query *q)
{
    return q->level != LOG_DEBUG || q->stream || q->origin || q->type || q->since_us != 0 ||
           q->until_us != 0;
}

/* How many of the lines in text[0..n) pass, each ending with a newline. */
static bool line_passes(const struct log_query *q, const char *line, size_t n)
{
    CLEANUP(doc_free_cleanup) struct doc *d = NULL;
    struct error err = ERROR_INIT;

    return doc_parse_trusted(line, n, &d, &err) == 0 && logtext_passes(q, d);
}

/* The offset of the n-th last line that passes, going back window by window. */
static int64_t offset_of_tail(const struct log_follower *f, int64_t size, int64_t n)
{
    char window[CHUNK];
    int64_t end = size;

    while (n > 0 && end > 0) {
        size_t want = end < (int64_t)CHUNK ? (size_t)end : CHUNK, at = want;

        if (pread(f->entry->fd, window, want, end - (int64_t)want) != (ssize_t)want)
            return size;
        while (n > 0 && at > 0) {
            const char *before = at > 1 ? memrchr(window, '\n', at - 1) : NULL;
            size_t start = before ? (size_t)(before - window) + 1 : 0;

            if (start == 0 && end > (int64_t)want)
                break; /* the line begins before this window */
            if (!f->is_filtered || line_passes(&f->q, window + start, at - start - 1))
                n--;
            at = start;
        }
        if (at == want)
            return end; /* a line longer than any of ours: not a log */
        end -= (int64_t)(want - at);
    }
    return end;
}

static void find_start(struct log_follower *f)
{
    int64_t size = f->entry->size, tail;

    if (f->q.after > 0 && f->entry->fd >= 0)
        f->offset = log_file_after(f->entry->fd, size, f->q.after);
    f->seq = f->q.after;
    if (f->q.tail >= 0 && f->entry->fd >= 0) {
        tail = offset_of_tail(f, size, f->q.tail);
        if (tail > f->offset)
            f->offset = tail;
    }
}

int log_follow(struct logstreams *all, int64_t run, const struct log_query *q,
               struct log_follower **out, struct error *err)
{
    struct log_follower *f;
    struct log_entry *entry;

    if (all->n_followers >= LOGSTREAMS_MAX_FOLLOWERS)
        return error_set_reason(err, ERR_RATE_LIMITED, "too_many_followers",
                                "there are %d followers of logs already", LOGSTREAMS_MAX_FOLLOWERS);
    if (log_entry_open(all, run, &entry, err) < 0)
        return -1;
    all->n_followers++;
    f = xalloc(sizeof *f);
    f->all = all;
    f->entry = entry;
    f->q = *q;
    f->q.stream = f->stream = copy(q->stream);
    f->q.origin = f->origin = copy(q->origin);
    f->q.type = f->type = copy(q->type);
    f->q.first = NULL;
    f->first = copy(q->first);
    f->is_filtered = has_filter(q);
    f->last_given_us = clock_monotonic_us();
    find_start(f);
    *out = f;
    return 0;
}

void log_follower_free(void *follower)
{
    struct log_follower *f = follower;

    if (!f)
        return;
    f->all->n_followers--;
    log_entry_release(f->all, f->entry);
    free(f->stream);
    free(f->origin);
    free(f->type);
    free(f->first);
    free(f);
}

bool log_follower_ready(void *follower)
{
    struct log_follower *f = follower;

    return f->entry->over || f->all->draining || f->entry->size > f->offset;
}

/* --------------------------------------------------------------------- one line */

/* Dresses a JSON line for the format of the follower; text goes through `text`. */
static void dress(const struct log_follower *f, struct slice json, int64_t seq, struct buf *text,
                  struct piece *out)
{
    CLEANUP(doc_free_cleanup) struct doc *d = NULL;
    struct error err = ERROR_INIT;

    out->body = json;
    out->suffix = "\n";
    out->prefix[0] = '\0';
    switch (f->q.format) {
    case LOG_FORMAT_NDJSON:
        return;
    case LOG_FORMAT_SSE:
        if (seq > 0)
            snprintf(out->prefix, sizeof out->prefix, "id: %lld\ndata: ", (long long)seq);
        else
            snprintf(out->prefix, sizeof out->prefix, "data: ");
        out->suffix = "\n\n";
        return;
    case LOG_FORMAT_TEXT:
        buf_clear(text);
        if (doc_parse_trusted(json.ptr, json.len, &d, &err) == 0)
            logtext_put(text, d, f->q.timestamps);
        out->body = (struct slice){buf_str(text), text->len};
        return;
    }
    abort();
}

/* A line that is not in the file: heartbeat or goodbye, into `own`. */
static void dress_own(const struct log_follower *f, const char *type, struct buf *own,
                      struct buf *text, struct piece *out)
{
    struct jsonw w = JSONW_INIT(own);

    buf_clear(own);
    jsonw_object(&w);
    if (out->what == GIVE_BEAT) {
        jsonw_put_time_ms(&w, "ts", f->beat_us);
        jsonw_put_string(&w, "type", type);
        jsonw_put_string(&w, "status", f->entry->fd < 0 ? "queued" : "running");
        jsonw_put_int(&w, "last_seq", f->seq);
    } else {
        jsonw_put_string(&w, "type", type);
        jsonw_put_string(&w, "reason", "draining");
        jsonw_put_int(&w, "after", f->seq);
    }
    jsonw_object_end(&w);
    dress(f, (struct slice){buf_str(own), own->len}, 0, text, out);
    if (out->what == GIVE_BEAT && f->q.format == LOG_FORMAT_SSE) {
        out->prefix[0] = '\0';
        out->body = (struct slice){": hb", 4};
    }
}

/* The next line of the chunk that passes; lines that do not are passed over. */
static bool next_line(struct log_follower *f, const char *chunk, size_t n, size_t *at,
                      struct buf *text, struct piece *out)
{
    while (*at < n) {
        const char *line = chunk + *at;
        const char *newline = memchr(line, '\n', n - *at);
        size_t len;

        if (!newline)
            return false;
        len = (size_t)(newline - line);
        out->seq = event_seq(line, len);
        out->bytes = (int64_t)len + 1;
        if (out->seq > f->q.after && (!f->is_filtered || line_passes(&f->q, line, len))) {
            out->what = GIVE_LINE;
            dress(f, (struct slice){line, len}, out->seq, text, out);
            return true;
        }
        *at += len + 1;
        f->offset += out->bytes;
        f->seq = out->seq > f->seq ? out->seq : f->seq;
    }
    return false;
}

/* --------------------------------------------------------------------- giving */

struct room {
    char *out;
    size_t max, used;
};

static void put_part(struct room *r, const char *p, size_t n, size_t *skip)
{
    size_t left = r->max - r->used, from = *skip < n ? *skip : n, k = n - from;

    *skip -= from;
    k = k < left ? k : left;
    memcpy(r->out + r->used, p + from, k);
    r->used += k;
}

/* True when all of the piece has been given. A line is begun in a room that has some left only
 * when it fits or when the room is empty. */
static bool give(struct log_follower *f, struct room *r, const struct piece *p)
{
    size_t total = strlen(p->prefix) + p->body.len + strlen(p->suffix);
    size_t before = r->used, skip = f->skip;

    if (r->used > 0 && total - f->skip > r->max - r->used)
        return false;
    put_part(r, p->prefix, strlen(p->prefix), &skip);
    put_part(r, p->body.ptr, p->body.len, &skip);
    put_part(r, p->suffix, strlen(p->suffix), &skip);
    f->skip += r->used - before;
    f->last_given_us = clock_monotonic_us();
    if (f->skip < total)
        return false;
    f->skip = 0;
    return true;
}

/* Lines of the file; true when the room is full or nothing more may be given. */
static bool give_lines(struct log_follower *f, struct room *r, struct buf *text)
{
    char chunk[CHUNK];
    int64_t size = f->entry->size;
    size_t want, at = 0;
    struct piece p;
    ssize_t n;

    while (f->offset < size) {
        want = r->max - r->used + LOGSTREAM_MAX_LINE; /* no more than can be given */
        want = want < CHUNK ? want : CHUNK;
        want = size - f->offset < (int64_t)want ? (size_t)(size - f->offset) : want;
        n = pread(f->entry->fd, chunk, want, f->offset);
        if (n <= 0 || !memchr(chunk, '\n', (size_t)n)) {
            f->done = true; /* the file is not what it was */
            return true;
        }
        for (at = 0; next_line(f, chunk, (size_t)n, &at, text, &p);) {
            if (!give(f, r, &p))
                return true;
            at += (size_t)p.bytes;
            f->offset += p.bytes;
            f->seq = p.seq;
            if (f->q.limit > 0 && ++f->lines >= f->q.limit) {
                f->done = true;
                return true;
            }
        }
    }
    return false;
}

static bool give_first(struct log_follower *f, struct room *r, struct buf *text)
{
    struct piece p = {.what = GIVE_FIRST};

    dress(f, (struct slice){f->first, strlen(f->first)}, 0, text, &p);
    if (!give(f, r, &p))
        return false;
    free(f->first);
    f->first = NULL;
    return true;
}

/* Text is for people: half as often. */
static int64_t beat_due_us(const struct log_follower *f)
{
    return f->last_given_us + f->q.heartbeat_us * (f->q.format == LOG_FORMAT_TEXT ? 2 : 1);
}

static void give_own(struct log_follower *f, struct room *r, struct buf *text)
{
    CLEANUP(buf_release) struct buf own = BUF_INIT(1024);
    struct piece p = {.what = f->bye ? GIVE_BYE : GIVE_BEAT};

    dress_own(f, f->bye ? "bye" : "heartbeat", &own, text, &p);
    if (!give(f, r, &p))
        return;
    f->done |= f->bye;
    f->beat_us = 0;
}

/* What is said when the file has nothing new. */
static void give_silence(struct log_follower *f, struct room *r, bool over, struct buf *text)
{
    if (over || !f->q.follow) {
        f->done = true;
        return;
    }
    if (f->beat_us == 0 && f->q.heartbeat_us > 0 && r->used == 0 &&
        clock_monotonic_us() >= beat_due_us(f))
        f->beat_us = clock_unix_us();
    if (f->beat_us != 0)
        give_own(f, r, text);
}

int64_t log_follower_read(void *follower, char *out, size_t max, int64_t *wake_us)
{
    struct log_follower *f = follower;
    CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);
    struct room r = {.out = out, .max = max};
    /* Before the size: a log that was over then has no line behind the size seen now. */
    bool over = f->entry->over, is_between_lines = f->skip == 0 || f->bye;

    if (!f->done && is_between_lines && f->q.follow && !over && f->all->draining && !f->first)
        f->bye = true;
    if (!f->done && (f->bye || f->beat_us != 0))
        give_own(f, &r, &text);
    else if (!f->done && (!f->first || give_first(f, &r, &text)) && !give_lines(f, &r, &text))
        give_silence(f, &r, over, &text);
    if (r.used > 0)
        return (int64_t)r.used;
    if (f->done)
        return -1;
    if (f->q.heartbeat_us > 0)
        *wake_us = beat_due_us(f);
    return 0;
}
