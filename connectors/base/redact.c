#include "connectors/base/redact.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/base/arena.h"
#include "connectors/base/log.h"
#include "connectors/base/metric.h"
#include "connectors/base/redact_forms.h"

#define MASK     "***"
#define ROOT     0
#define NO_NODE  UINT32_MAX
#define MAX_TEXT ((size_t)64 << 20)

/*
 * A trie of all patterns. A node has few children, nearly always one, so they are a list; only the
 * root, where every byte that begins nothing is looked up, has a table.
 */
struct node {
    uint32_t child, sibling; /* NO_NODE = none */
    uint32_t fail;           /* the longest proper suffix of this node that is a node */
    uint32_t depth;
    uint32_t match; /* length of the longest pattern that ends here; 0 = none does */
    unsigned char byte;
};

/* Const once built, and counted: a search goes on with the one that it began with. */
struct automaton {
    _Atomic int refs;
    struct node *nodes;
    uint32_t n, cap, deepest;
    uint32_t first[256];
};

struct redactor {
    pthread_mutex_t mutex; /* of what follows; never held during a search */
    struct automaton *automaton;
    struct redactor *next_live;
};

/* ------------------------------------------------------------------ the automaton */

static uint32_t node_new(struct automaton *a, unsigned char byte, uint32_t depth)
{
    if (a->n == a->cap) {
        a->cap = a->cap ? 2 * a->cap : 256;
        a->nodes = xrealloc(a->nodes, a->cap * sizeof *a->nodes);
    }
    a->nodes[a->n] = (struct node){
        .child = NO_NODE, .sibling = NO_NODE, .fail = ROOT, .depth = depth, .byte = byte};
    if (depth > a->deepest)
        a->deepest = depth;
    return a->n++;
}

static struct automaton *automaton_new(void)
{
    struct automaton *a = xalloc(sizeof *a);

    atomic_store(&a->refs, 1);
    memset(a->first, 0xff, sizeof a->first);
    node_new(a, 0, 0);
    return a;
}

static void automaton_release(struct automaton *a)
{
    if (atomic_fetch_sub(&a->refs, 1) > 1)
        return;
    free(a->nodes);
    free(a);
}

static uint32_t step_down(const struct automaton *a, uint32_t from, unsigned char byte)
{
    uint32_t at;

    if (from == ROOT)
        return a->first[byte];
    for (at = a->nodes[from].child; at != NO_NODE && a->nodes[at].byte != byte;)
        at = a->nodes[at].sibling;
    return at;
}

static void insert(void *automaton, const char *pattern, size_t n)
{
    struct automaton *a = automaton;
    uint32_t at = ROOT;

    if (n < REDACT_MIN)
        return;
    for (size_t i = 0; i < n; i++) {
        unsigned char byte = (unsigned char)pattern[i];
        uint32_t next = step_down(a, at, byte);

        if (next == NO_NODE) {
            next = node_new(a, byte, a->nodes[at].depth + 1);
            if (at == ROOT) {
                a->first[byte] = next;
            }
            a->nodes[next].sibling = a->nodes[at].child;
            a->nodes[at].child = next;
        }
        at = next;
    }
    a->nodes[at].match = (uint32_t)n;
}

static uint32_t follow(const struct automaton *a, uint32_t at, unsigned char byte)
{
    for (;;) {
        uint32_t next = step_down(a, at, byte);

        if (next != NO_NODE)
            return next;
        if (at == ROOT)
            return ROOT;
        at = a->nodes[at].fail;
    }
}

/* Breadth first: the fail link of a node needs those of all shorter ones. */
static void link_nodes(struct automaton *a)
{
    uint32_t *queue = xalloc(a->n * sizeof *queue);
    uint32_t begin = 0, end = 0;

    queue[end++] = ROOT;
    while (begin < end) {
        uint32_t at = queue[begin++];

        for (uint32_t c = a->nodes[at].child; c != NO_NODE; c = a->nodes[c].sibling) {
            struct node *child = &a->nodes[c];

            child->fail = at == ROOT ? ROOT : follow(a, a->nodes[at].fail, child->byte);
            if (child->match != child->depth) /* no pattern of its own */
                child->match = a->nodes[child->fail].match;
            queue[end++] = c;
        }
    }
    free(queue);
}

/* ------------------------------------------------------------------- the redactor */

struct redactor *redactor_new(void)
{
    struct redactor *r = xalloc(sizeof *r);

    pthread_mutex_init(&r->mutex, NULL);
    return r;
}

void redactor_free(struct redactor *r)
{
    if (!r)
        return;
    if (r->automaton)
        automaton_release(r->automaton);
    pthread_mutex_destroy(&r->mutex);
    free(r);
}

/* A search may go on with the old one: the patterns are copied, the links made anew. */
static struct automaton *automaton_copy(const struct automaton *old)
{
    struct automaton *a = automaton_new();

    if (!old)
        return a;
    a->nodes = xrealloc(a->nodes, old->n * sizeof *a->nodes);
    a->n = a->cap = old->n;
    a->deepest = old->deepest;
    memcpy(a->first, old->first, sizeof a->first);
    memcpy(a->nodes, old->nodes, old->n * sizeof *a->nodes);
    return a;
}

static void replace(struct redactor *r, struct automaton *a)
{
    link_nodes(a);
    if (r->automaton)
        automaton_release(r->automaton);
    r->automaton = a;
}

void redactor_add(struct redactor *r, const char *secret, size_t n)
{
    LOCK_GUARD(&r->mutex);
    struct automaton *a = automaton_copy(r->automaton);

    redact_forms(secret, n, insert, a);
    replace(r, a);
}

void redactor_add_list(struct redactor *r, const char *const *secrets, size_t n)
{
    LOCK_GUARD(&r->mutex);
    struct automaton *a = automaton_copy(r->automaton);

    for (size_t i = 0; i < n; i++)
        redact_forms(secrets[i], strlen(secrets[i]), insert, a);
    replace(r, a);
}

/* NULL when there is nothing to look for. */
static struct automaton *acquire(struct redactor *r)
{
    if (!r)
        return NULL;
    LOCK_GUARD(&r->mutex);

    if (!r->automaton || r->automaton->n == 1)
        return NULL;
    atomic_fetch_add(&r->automaton->refs, 1);
    return r->automaton;
}

/* --------------------------------------------------------------------- the search */

/*
 * Bytes that may still belong to a secret: those of the deepest node that fits.
 *
 *     held:  [ settled | what the state stands for ]
 *
 * A match that ends here lies within what the state stands for, so settled bytes can go.
 */
struct redact_stream {
    struct automaton *automaton; /* NULL = nothing to look for */
    uint32_t state;
    char *held;
    bool *covered;
    size_t n, size; /* held, room */
    bool masking;   /* the last byte that went was covered */
};

static void stream_init(struct redact_stream *s, struct automaton *a)
{
    *s = (struct redact_stream){.automaton = a, .state = ROOT};
    if (!a)
        return;
    s->size = 2 * (size_t)a->deepest + 256;
    s->held = xalloc(s->size);
    s->covered = xalloc(s->size * sizeof *s->covered);
}

static void stream_release(struct redact_stream *s)
{
    if (s->automaton)
        automaton_release(s->automaton);
    free(s->held);
    free(s->covered);
}

/* The first `n` held bytes go out. */
static void let_go(struct redact_stream *s, struct buf *out, size_t n)
{
    int64_t masks = 0;

    for (size_t i = 0; i < n; i++) {
        if (!s->covered[i]) {
            buf_putc(out, s->held[i]);
        } else if (!s->masking) {
            buf_puts(out, MASK);
            masks++;
        }
        s->masking = s->covered[i];
    }
    if (masks > 0)
        metric_add(METRIC_REDACTIONS, masks);
    s->n -= n;
    memmove(s->held, s->held + n, s->n);
    memmove(s->covered, s->covered + n, s->n * sizeof *s->covered);
}

static void take(struct redact_stream *s, struct buf *out, unsigned char byte)
{
    const struct node *node;

    if (s->n == s->size)
        let_go(s, out, s->n - s->automaton->nodes[s->state].depth);
    s->held[s->n] = (char)byte;
    s->covered[s->n++] = false;
    s->state = follow(s->automaton, s->state, byte);
    node = &s->automaton->nodes[s->state];
    for (size_t i = s->n - node->match; i < s->n; i++)
        s->covered[i] = true;
}

/* Bytes that begin nothing need not be held. */
static size_t pass_by(struct redact_stream *s, struct buf *out, const char *bytes, size_t n)
{
    size_t i = 0;

    if (s->state != ROOT)
        return 0;
    while (i < n && s->automaton->first[(unsigned char)bytes[i]] == NO_NODE)
        i++;
    if (i == 0)
        return 0;
    let_go(s, out, s->n);
    buf_put(out, bytes, i);
    s->masking = false;
    return i;
}

void redact_stream_put(struct redact_stream *s, struct buf *out, const char *bytes, size_t n)
{
    size_t i = 0;

    if (!s->automaton) {
        buf_put(out, bytes, n);
        return;
    }
    while (i < n) {
        i += pass_by(s, out, bytes + i, n - i);
        if (i < n)
            take(s, out, (unsigned char)bytes[i++]);
    }
    let_go(s, out, s->n - s->automaton->nodes[s->state].depth);
}

void redact_stream_end(struct redact_stream *s, struct buf *out)
{
    if (!s->automaton)
        return;
    let_go(s, out, s->n);
    s->state = ROOT;
    s->masking = false;
}

struct redact_stream *redact_stream_new(struct redactor *r)
{
    struct redact_stream *s = xalloc(sizeof *s);

    stream_init(s, acquire(r));
    return s;
}

void redact_stream_free(struct redact_stream *s)
{
    if (!s)
        return;
    stream_release(s);
    free(s);
}

/* What is held could be the beginning of a secret whose end was cut off. */
static void cover_beginning(struct redact_stream *s)
{
    size_t depth = s->automaton->nodes[s->state].depth;

    for (size_t i = s->n - depth; depth >= REDACT_MIN && i < s->n; i++)
        s->covered[i] = true;
}

static void put_whole(struct redactor *r, struct buf *out, const char *s, size_t n, bool cut)
{
    struct redact_stream stream;

    stream_init(&stream, acquire(r));
    redact_stream_put(&stream, out, s, n);
    if (cut && stream.automaton)
        cover_beginning(&stream);
    redact_stream_end(&stream, out);
    stream_release(&stream);
}

void redactor_put(struct redactor *r, struct buf *out, const char *s, size_t n)
{
    put_whole(r, out, s, n, false);
}

void redactor_put_cut(struct redactor *r, struct buf *out, const char *s, size_t n)
{
    put_whole(r, out, s, n, true);
}

/* --------------------------------------------------------------- JSON and messages */

/* Bytes of the string that begins behind the quote, its closing quote not counted. */
static size_t string_bytes(const char *s, size_t n)
{
    size_t i = 0;

    while (i < n && s[i] != '"')
        i += s[i] == '\\' && i + 1 < n ? 2 : 1;
    return i;
}

static bool is_name(const char *s, size_t n)
{
    size_t i = 0;

    while (i < n && strchr(" \t\r\n", s[i]) && s[i])
        i++;
    return i < n && s[i] == ':';
}

void redactor_put_json(struct redactor *r, struct buf *out, const char *json, size_t n)
{
    struct redact_stream stream;
    size_t i = 0;

    stream_init(&stream, acquire(r));
    while (i < n) {
        size_t plain = 0, text;

        while (i + plain < n && json[i + plain] != '"')
            plain++;
        plain += i + plain < n;
        buf_put(out, json + i, plain);
        i += plain;
        text = string_bytes(json + i, n - i);
        if (i + text < n && is_name(json + i + text + 1, n - i - text - 1)) {
            buf_put(out, json + i, text);
        } else {
            redact_stream_put(&stream, out, json + i, text);
            redact_stream_end(&stream, out);
        }
        i += text;
        if (i < n)
            buf_putc(out, json[i++]);
    }
    stream_release(&stream);
}

void redactor_error(struct redactor *r, struct error *err)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT(MAX_TEXT);
    size_t n = strlen(err->message);

    put_whole(r, &out, err->message, n, n + 1 >= sizeof err->message);
    n = out.len < sizeof err->message ? out.len : sizeof err->message - 1;
    memcpy(err->message, buf_str(&out), n);
    err->message[n] = '\0';
}

/* Cleans each text of a line with `put`. The message is a constant of ours, unless a program that
 * is not ours has said it. */
static void clean_line(void (*put)(struct redactor *r, struct buf *out, const char *s, size_t n),
                       struct redactor *r, const struct log_line *line, struct buf *texts,
                       struct log_line *out)
{
    size_t at[LOG_MAX_FIELDS] = {0};

    *out = *line;
    put(r, texts, line->message, strlen(line->message));
    buf_putc(texts, '\0');
    for (size_t i = 0; i < LOG_MAX_FIELDS && line->fields[i].key; i++) {
        const char *text = line->fields[i].text;

        at[i] = texts->len;
        if (!text)
            continue;
        put(r, texts, text, strlen(text));
        buf_putc(texts, '\0');
    }
    out->message = texts->failed ? MASK : texts->data;
    for (size_t i = 0; i < LOG_MAX_FIELDS && line->fields[i].key; i++) {
        if (line->fields[i].text)
            out->fields[i].text = texts->failed ? MASK : texts->data + at[i];
    }
}

void redactor_line(struct redactor *r, const struct log_line *line, struct buf *texts,
                   struct log_line *out)
{
    clean_line(redactor_put, r, line, texts, out);
}

/* ------------------------------------------------------------------- who is alive */

static pthread_mutex_t live_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct redactor *live;
static _Atomic size_t n_live;

void redact_live_add(struct redactor *r)
{
    LOCK_GUARD(&live_mutex);

    r->next_live = live;
    live = r;
    atomic_fetch_add(&n_live, 1);
}

void redact_live_remove(struct redactor *r)
{
    LOCK_GUARD(&live_mutex);

    for (struct redactor **at = &live; *at; at = &(*at)->next_live) {
        if (*at == r) {
            *at = r->next_live;
            atomic_fetch_sub(&n_live, 1);
            return;
        }
    }
}

bool redact_live_is_empty(void)
{
    return atomic_load(&n_live) == 0;
}

void redact_live_put(struct buf *out, const char *s, size_t n)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(MAX_TEXT);
    CLEANUP(buf_release) struct buf clean = BUF_INIT(MAX_TEXT);
    LOCK_GUARD(&live_mutex);

    buf_put(&text, s, n);
    for (struct redactor *r = live; r; r = r->next_live) {
        struct buf other = text;

        buf_clear(&clean);
        redactor_put(r, &clean, buf_str(&text), text.len);
        text = clean;
        clean = other;
    }
    buf_put(out, buf_str(&text), text.len);
}

static void put_live(struct redactor *r, struct buf *out, const char *s, size_t n)
{
    (void)r;
    redact_live_put(out, s, n);
}

void redact_live_line(const struct log_line *line, struct buf *texts, struct log_line *out)
{
    clean_line(put_live, NULL, line, texts, out);
}
