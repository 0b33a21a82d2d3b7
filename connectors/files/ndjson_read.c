#include <string.h>

#include "connectors/files/cell.h"
#include "connectors/files/ndjson.h"

void ndjson_init(struct ndjson *j, struct input *in, const struct files_dialect *d, uint64_t offset,
                 int64_t line)
{
    *j = (struct ndjson){.latin1 = d->latin1};
    j->transcoded = BUF_INIT(2 * d->max_line_bytes);
    window_init(&j->window, in, d->max_line_bytes, offset, line);
}

void ndjson_release(struct ndjson *j)
{
    window_release(&j->window);
    buf_release(&j->transcoded);
}

static bool is_blank(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] != ' ' && s.ptr[i] != '\t' && s.ptr[i] != '\r')
            return false;
    }
    return true;
}

static int too_long(struct ndjson *j, enum ndjson_outcome *out, struct error *err)
{
    struct window *w = &j->window;
    size_t n = w->end - w->at < sizeof j->head ? w->end - w->at : sizeof j->head;

    memcpy(j->head, w->data + w->at, n);
    j->text = (struct slice){j->head, n};
    *out = NDJSON_TOO_LONG;
    if (window_skip_line(w, &j->n_bytes, err) < 0)
        return -1;
    j->unbroken = w->line == j->line;
    return 0;
}

/* The line in the window, or where it ends unfinished. */
static int read_line(struct ndjson *j, enum ndjson_outcome *out, struct error *err)
{
    struct window *w = &j->window;
    size_t looked = 0;

    for (;;) {
        const char *start = w->data + w->at;
        const char *stop = memchr(start + looked, '\n', w->end - w->at - looked);
        size_t n = stop ? (size_t)(stop - start) : w->end - w->at;
        enum window_more more;

        if (n > w->max_bytes && (stop || w->eof))
            return too_long(j, out, err);
        if (!stop && w->eof && !n) {
            *out = NDJSON_END;
            return 0;
        }
        if (!stop && w->eof && j->keep_open) {
            *out = NDJSON_OPEN;
            return 0;
        }
        if (stop || w->eof) {
            j->text = (struct slice){start, n};
            j->unbroken = !stop;
            window_advance(w, n + (stop != NULL), stop != NULL);
            *out = NDJSON_LINE;
            return 0;
        }
        looked = n;
        if (window_more(w, &more, err) < 0)
            return -1;
        if (more == WINDOW_FULL)
            return too_long(j, out, err);
    }
}

int ndjson_next(struct ndjson *j, enum ndjson_outcome *out, struct error *err)
{
    do {
        j->offset = j->window.offset;
        j->line = j->window.line;
        if (read_line(j, out, err) < 0)
            return -1;
    } while (*out == NDJSON_LINE && is_blank(j->text));
    if (*out == NDJSON_LINE && j->latin1) {
        buf_clear(&j->transcoded);
        cell_put_latin1(&j->transcoded, j->text.ptr, j->text.len);
        j->text = (struct slice){j->transcoded.data, j->transcoded.len};
    }
    return 0;
}
