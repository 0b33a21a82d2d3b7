#include "tests/support/fake_sink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/base/jsonwrite.h"

#define LINES_BYTES ((size_t)256 << 20)

static int broke(struct fake_sink *f, size_t stream, const char *rule)
{
    if (!f->violation[0])
        snprintf(f->violation, sizeof f->violation, "stream %zu: %s", stream, rule);
    return 0;
}

/* Every call passes here: counts it, lets it fail when it is its turn, and checks the order. */
static int enter(struct sink *s, size_t stream, bool beginning, struct fake_stream **out,
                 struct error *err)
{
    struct fake_sink *f = (struct fake_sink *)s;

    f->n_calls++;
    if (stream >= f->n_streams) {
        broke(f, stream, "there is no such stream");
        return error_set(err, ERR_INTERNAL, "there is no stream %zu", stream);
    }
    *out = &f->streams[stream];
    if ((*out)->ended || (*out)->failed)
        broke(f, stream, "a call after its end");
    if (beginning && (*out)->begun)
        broke(f, stream, "begun twice");
    if (!beginning && !(*out)->begun)
        broke(f, stream, "a call before its beginning");
    if (f->fail_at && f->n_calls == f->fail_at)
        return error_set_reason(err, ERR_INTERNAL, "fake", "call %zu was made to fail", f->n_calls);
    return 0;
}

static void check_position(struct fake_sink *f, size_t stream, const char *position)
{
    struct error err = ERROR_INIT;
    struct doc *d = NULL;

    if (doc_parse_trusted(position, strlen(position), &d, &err) < 0 || !doc_is(d, DOC_OBJECT))
        broke(f, stream, "a position that is no JSON object");
    doc_free(d);
}

static int begin(struct sink *s, size_t stream, struct error *err)
{
    struct fake_stream *st;

    if (enter(s, stream, true, &st, err) < 0)
        return -1;
    st->begun = true;
    return 0;
}

void fake_sink_add_line(struct fake_stream *s, const char *line, size_t n)
{
    if (!(s->n_lines & (s->n_lines - 1)))
        s->lines = xrealloc(s->lines, (s->n_lines ? 2 * s->n_lines : 1) * sizeof *s->lines);
    s->lines[s->n_lines] = xalloc(n + 1);
    memcpy(s->lines[s->n_lines++], line, n);
}

static void put_cell(struct jsonw *w, const struct batch *rows, size_t column, size_t row)
{
    struct buf text = BUF_INIT(LINES_BYTES);
    struct column_view view = batch_column(rows, column);

    jsonw_key(w, batch_schema(rows)->columns[column].name);
    if (column_has(&view, row)) {
        batch_cell_text(rows, column, row, &text);
        jsonw_string_n(w, buf_str(&text), text.len);
    } else {
        jsonw_null(w);
    }
    buf_release(&text);
}

/* Odd cells of this row; *at walks through the list, which is in row order. */
static void put_odd_cells(struct jsonw *w, const struct batch *rows, size_t row, size_t *at)
{
    size_t n;
    const struct odd_cell *odd = batch_odd_cells(rows, &n);
    char key[300];

    for (; *at < n && odd[*at].row == row; ++*at) {
        snprintf(key, sizeof key, "?%s", batch_schema(rows)->columns[odd[*at].column].name);
        jsonw_key(w, key);
        jsonw_array(w);
        jsonw_string(w, reason_name(odd[*at].reason));
        jsonw_string_n(w, odd[*at].original.ptr, odd[*at].original.len);
        jsonw_array_end(w);
    }
}

static void put_rejected(struct buf *out, const struct batch *rows, size_t row, size_t *at)
{
    size_t n;
    const struct rejected_row *rejected = batch_rejected(rows, &n);

    for (; *at < n && rejected[*at].before_row <= row; ++*at) {
        struct jsonw w = JSONW_INIT(out);

        jsonw_object(&w);
        jsonw_put_string(&w, "!rejected", reason_name(rejected[*at].reason));
        jsonw_put_string(&w, "detail", rejected[*at].detail);
        jsonw_key(&w, "raw");
        jsonw_string_n(&w, rejected[*at].raw.ptr, rejected[*at].raw.len);
        jsonw_object_end(&w);
        buf_putc(out, '\n');
    }
}

void fake_sink_write_lines(const struct batch *rows, struct buf *out)
{
    size_t odd_at = 0, rejected_at = 0;

    for (size_t row = 0; row < batch_rows(rows); row++) {
        struct jsonw w = JSONW_INIT(out);

        put_rejected(out, rows, row, &rejected_at);
        w = JSONW_INIT(out);
        jsonw_object(&w);
        for (size_t column = 0; column < batch_schema(rows)->n_columns; column++)
            put_cell(&w, rows, column, row);
        put_odd_cells(&w, rows, row, &odd_at);
        jsonw_object_end(&w);
        buf_putc(out, '\n');
    }
    put_rejected(out, rows, batch_rows(rows), &rejected_at);
}

static int write_rows(struct sink *s, size_t stream, struct batch *rows, struct error *err)
{
    struct fake_stream *st;
    struct buf text = BUF_INIT(LINES_BYTES);
    size_t n;

    if (enter(s, stream, false, &st, err) < 0)
        return -1;
    if (batch_is_empty(rows))
        broke((struct fake_sink *)s, stream, "an empty batch");
    fake_sink_write_lines(rows, &text);
    for (const char *at = buf_str(&text), *end; *at; at = end + 1) {
        end = strchr(at, '\n');
        fake_sink_add_line(st, at, (size_t)(end - at));
    }
    buf_release(&text);
    (void)batch_odd_cells(rows, &n);
    st->n_odd += (int64_t)n;
    (void)batch_rejected(rows, &n);
    st->n_rejected += (int64_t)n;
    st->n_batches++;
    batch_clear(rows);
    return 0;
}

static int checkpoint(struct sink *s, size_t stream, const char *position, struct error *err)
{
    struct fake_stream *st;
    size_t n;

    if (enter(s, stream, false, &st, err) < 0)
        return -1;
    check_position((struct fake_sink *)s, stream, position);
    n = st->n_checkpoints;
    if (!(n & (n - 1)))
        st->checkpoints = xrealloc(st->checkpoints, (n ? 2 * n : 1) * sizeof *st->checkpoints);
    st->checkpoints[st->n_checkpoints++] = (struct fake_checkpoint){xstrdup(position), st->n_lines};
    return 0;
}

static int count_dropped(struct sink *s, size_t stream, int64_t filtered, int64_t overlap_dropped,
                         struct error *err)
{
    struct fake_stream *st;

    if (enter(s, stream, false, &st, err) < 0)
        return -1;
    st->filtered += filtered;
    st->overlap_dropped += overlap_dropped;
    return 0;
}

static int end(struct sink *s, size_t stream, const char *position, struct error *err)
{
    struct fake_stream *st;

    if (enter(s, stream, false, &st, err) < 0)
        return -1;
    if (position)
        check_position((struct fake_sink *)s, stream, position);
    st->ended = true;
    st->end_position = position ? xstrdup(position) : NULL;
    return 0;
}

static int fail(struct sink *s, size_t stream, const struct error *why, struct error *err)
{
    struct fake_sink *f = (struct fake_sink *)s;
    struct fake_stream *st;

    if (enter(s, stream, false, &st, err) < 0)
        return -1;
    if (why->code == ERR_NONE)
        broke(f, stream, "it failed for no reason");
    st->failed = true;
    st->why = *why;
    if (f->stop_on_failure)
        return error_set(err, why->code, "%s", why->message);
    return 0;
}

static const struct sink_ops fake_ops = {
    .begin = begin,
    .write = write_rows,
    .checkpoint = checkpoint,
    .count_dropped = count_dropped,
    .end = end,
    .fail = fail,
};

struct fake_sink *fake_sink_new(size_t n_streams)
{
    struct fake_sink *f = xalloc(sizeof *f);

    f->sink.ops = &fake_ops;
    f->streams = xalloc(n_streams * sizeof *f->streams);
    f->n_streams = n_streams;
    return f;
}

void fake_sink_free(struct fake_sink *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->n_streams; i++) {
        struct fake_stream *s = &f->streams[i];

        for (size_t j = 0; j < s->n_lines; j++)
            free(s->lines[j]);
        for (size_t j = 0; j < s->n_checkpoints; j++)
            free(s->checkpoints[j].position);
        free(s->lines);
        free(s->checkpoints);
        free(s->end_position);
    }
    free(f->streams);
    free(f);
}

void fake_sink_copy(struct fake_sink *to, const struct fake_sink *from, size_t stream,
                    size_t n_lines)
{
    for (size_t i = 0; i < n_lines; i++) {
        const char *line = from->streams[stream].lines[i];

        fake_sink_add_line(&to->streams[stream], line, strlen(line));
    }
}

long fake_sink_differ(const struct fake_stream *a, const struct fake_stream *b)
{
    size_t n = a->n_lines < b->n_lines ? a->n_lines : b->n_lines;

    for (size_t i = 0; i < n; i++) {
        if (strcmp(a->lines[i], b->lines[i]) != 0)
            return (long)i;
    }
    return a->n_lines == b->n_lines ? -1 : (long)n;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static char **sorted(const struct fake_stream *s)
{
    char **lines = xalloc(s->n_lines * sizeof *lines);

    if (s->n_lines)
        memcpy(lines, s->lines, s->n_lines * sizeof *lines);
    qsort(lines, s->n_lines, sizeof *lines, compare);
    return lines;
}

bool fake_sink_same_rows(const struct fake_stream *a, const struct fake_stream *b)
{
    struct fake_stream x = *a, y = *b;
    bool same;

    x.lines = sorted(a);
    y.lines = sorted(b);
    same = fake_sink_differ(&x, &y) < 0;
    free(x.lines);
    free(y.lines);
    return same;
}

struct doc *fake_sink_row(const struct fake_stream *s, size_t line)
{
    struct error err = ERROR_INIT;
    struct doc *d = NULL;

    if (line >= s->n_lines || doc_parse_trusted(s->lines[line], strlen(s->lines[line]), &d, &err))
        abort();
    return d;
}
