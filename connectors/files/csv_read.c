#include <stdlib.h>
#include <string.h>

#include "connectors/files/csv.h"

#define ONES  0x0101010101010101u
#define HIGHS 0x8080808080808080u

void csv_init(struct csv *c, struct input *in, const struct files_dialect *d, size_t max_fields,
              uint64_t offset, int64_t line)
{
    *c = (struct csv){.delimiter = d->delimiter, .quote = d->quote, .max_fields = max_fields};
    window_init(&c->window, in, d->max_line_bytes, offset, line);
    c->record.fields = xalloc((max_fields ? max_fields : 1) * sizeof *c->record.fields);
}

void csv_release(struct csv *c)
{
    window_release(&c->window);
    free(c->record.fields);
    c->record.fields = NULL;
}

/* 0x80 in every byte of `word` that is zero, and nowhere else. */
static inline uint64_t zero_bytes(uint64_t word)
{
    return ~(((word & ~HIGHS) + ~HIGHS) | word | ~HIGHS);
}

/* The first delimiter or line break in [p, end), or `end`: eight bytes at a time, since fields are
 * short and a call of memchr for each would cost more than it finds. */
static inline const char *find_end_of_field(const char *p, const char *end, uint64_t delimiters)
{
    char delimiter = (char)delimiters;

    while (end - p >= 8) {
        uint64_t word, hits;

        memcpy(&word, p, sizeof word);
        hits = zero_bytes(word ^ delimiters) | zero_bytes(word ^ (ONES * '\n'));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        if (hits)
            return p + (__builtin_ctzll(hits) >> 3);
#else
        if (hits)
            return p + (__builtin_clzll(hits) >> 3);
#endif
        p += 8;
    }
    while (p < end && *p != delimiter && *p != '\n')
        p++;
    return p;
}

enum scan { SCAN_DONE, SCAN_MORE, SCAN_BROKEN, SCAN_UNCLOSED };

struct scanner {
    const char *p, *end;
    bool eof;
    uint64_t delimiters; /* the delimiter in every byte */
    int64_t lines;       /* line breaks passed */
    bool has_break;      /* the record ended with one */
};

static void count_lines(struct scanner *s, const char *from, const char *to)
{
    while ((from = memchr(from, '\n', (size_t)(to - from)))) {
        s->lines++;
        from++;
    }
}

/* From behind the opening quote to behind the closing one. */
static enum scan scan_quoted(const struct csv *c, struct scanner *s, struct csv_field *f)
{
    const char *start = s->p, *q = start;

    f->quoted = true;
    f->doubled = false;
    for (;;) {
        q = memchr(q, c->quote, (size_t)(s->end - q));
        if (!q)
            return s->eof ? SCAN_UNCLOSED : SCAN_MORE;
        if (q + 1 == s->end && !s->eof)
            return SCAN_MORE;
        if (q + 1 == s->end || q[1] != c->quote)
            break;
        f->doubled = true;
        q += 2;
    }
    f->ptr = start;
    f->len = (size_t)(q - start);
    count_lines(s, start, q);
    s->p = q + 1;
    if (s->p == s->end || *s->p == c->delimiter || *s->p == '\n')
        return SCAN_DONE;
    if (*s->p != '\r')
        return SCAN_BROKEN;
    if (s->p + 1 == s->end && !s->eof)
        return SCAN_MORE;
    if (s->p + 1 < s->end && s->p[1] != '\n')
        return SCAN_BROKEN;
    s->p++;
    return SCAN_DONE;
}

static enum scan scan_plain(struct scanner *s, struct csv_field *f)
{
    const char *start = s->p;

    s->p = find_end_of_field(start, s->end, s->delimiters);
    if (s->p == s->end && !s->eof)
        return SCAN_MORE;
    *f = (struct csv_field){.ptr = start, .len = (size_t)(s->p - start)};
    return SCAN_DONE;
}

static void strip_return(struct csv_field *f)
{
    if (!f->quoted && f->len && f->ptr[f->len - 1] == '\r')
        f->len--;
}

/* All fields of the record that begins at s->p; afterwards s->p is behind its line break. */
static enum scan scan_record(struct csv *c, struct scanner *s)
{
    struct csv_record *r = &c->record;
    struct csv_field surplus = {0};

    r->n_fields = 0;
    for (;;) {
        struct csv_field *f = r->n_fields < c->max_fields ? &r->fields[r->n_fields] : &surplus;
        enum scan rc;

        r->n_fields++;
        if (c->quote && s->p < s->end && *s->p == c->quote) {
            s->p++;
            rc = scan_quoted(c, s, f);
        } else {
            rc = scan_plain(s, f);
        }
        if (rc != SCAN_DONE)
            return rc;
        if (s->p < s->end && *s->p == c->delimiter) {
            s->p++;
            continue;
        }
        strip_return(f); /* also at the end of a file without a last line break */
        s->has_break = s->p < s->end;
        s->lines += s->has_break;
        s->p += s->has_break;
        return SCAN_DONE;
    }
}

/* The rest of the line is passed over, whatever its length. */
static int too_long(struct csv *c, enum csv_outcome *out, struct error *err)
{
    struct csv_record *r = &c->record;
    struct window *w = &c->window;

    r->n_raw = w->end - w->at < sizeof c->head ? w->end - w->at : sizeof c->head;
    memcpy(c->head, w->data + w->at, r->n_raw);
    r->raw = c->head;
    *out = CSV_TOO_LONG;
    if (window_skip_line(w, &r->n_bytes, err) < 0)
        return -1;
    c->unbroken = w->line == r->line;
    return 0;
}

/* The first line of the record is given up; what follows may be whole. */
static int broken(struct csv *c, enum csv_outcome *out, struct error *err)
{
    struct csv_record *r = &c->record;
    struct window *w = &c->window;
    enum window_more more;
    const char *stop;

    while (!(stop = memchr(w->data + w->at, '\n', w->end - w->at))) {
        if (window_more(w, &more, err) < 0)
            return -1;
        if (more == WINDOW_FULL)
            return too_long(c, out, err);
        if (more == WINDOW_EOF)
            break;
    }
    r->raw = w->data + w->at;
    r->n_raw = stop ? (size_t)(stop - r->raw) : w->end - w->at;
    c->unbroken = !stop;
    window_advance(w, r->n_raw + (stop != NULL), stop != NULL);
    *out = CSV_BROKEN_QUOTE;
    return 0;
}

static bool is_blank(const struct csv *c)
{
    const struct csv_record *r = &c->record;

    return r->n_fields == 1 && c->max_fields != 1 && !r->fields[0].len && !r->fields[0].quoted;
}

static void take_record(struct csv *c, const struct scanner *s)
{
    struct window *w = &c->window;
    size_t n = (size_t)(s->p - (w->data + w->at));

    c->record.raw = w->data + w->at;
    c->record.n_raw = n - s->has_break;
    c->unbroken = !s->has_break;
    window_advance(w, n, s->lines);
}

/* A record that was found as a whole. */
static int whole(struct csv *c, const struct scanner *s, enum csv_outcome *out, struct error *err)
{
    struct window *w = &c->window;

    if ((size_t)(s->p - s->has_break - (w->data + w->at)) > w->max_bytes)
        return s->lines > s->has_break ? broken(c, out, err) : too_long(c, out, err);
    *out = c->keep_open && !s->has_break ? CSV_OPEN : CSV_RECORD;
    if (*out == CSV_RECORD)
        take_record(c, s);
    return 0;
}

/* Scans from the beginning of the record until it is in the window as a whole. */
static int read_record(struct csv *c, enum csv_outcome *out, struct error *err)
{
    struct window *w = &c->window;
    enum window_more more;

    for (;;) {
        struct scanner s = {.p = w->data + w->at,
                            .end = w->data + w->end,
                            .eof = w->eof,
                            .delimiters = ONES * (unsigned char)c->delimiter};
        enum scan rc = SCAN_MORE;

        if (w->at < w->end)
            rc = scan_record(c, &s);
        if (rc == SCAN_DONE)
            return whole(c, &s, out, err);
        if (rc == SCAN_UNCLOSED && c->keep_open) {
            *out = CSV_OPEN;
            return 0;
        }
        if (rc != SCAN_MORE)
            return broken(c, out, err);
        if (window_more(w, &more, err) < 0)
            return -1;
        if (more == WINDOW_FULL)
            return broken(c, out, err);
        if (more == WINDOW_EOF && w->at == w->end) {
            *out = CSV_END;
            return 0;
        }
    }
}

int csv_next(struct csv *c, enum csv_outcome *out, struct error *err)
{
    do {
        c->record.offset = c->window.offset;
        c->record.line = c->window.line;
        c->record.n_fields = 0;
        if (read_record(c, out, err) < 0)
            return -1;
    } while (*out == CSV_RECORD && is_blank(c));
    return 0;
}

void csv_unquote(struct buf *out, const struct csv_field *f, char quote)
{
    const char *p = f->ptr, *end = p + f->len;

    while (p < end) {
        const char *q = f->doubled ? memchr(p, quote, (size_t)(end - p)) : NULL;

        if (!q) {
            buf_put(out, p, (size_t)(end - p));
            return;
        }
        buf_put(out, p, (size_t)(q + 1 - p));
        p = q + 2;
    }
}
