#include "connectors/files/reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/files/reader_rows.h"

static bool is_csv(const struct reader *r)
{
    return r->dialect.format == FILES_CSV;
}

static struct window *window_of(struct reader *r)
{
    return is_csv(r) ? &r->csv.window : &r->ndjson.window;
}

/* The format reader on a fresh input, which it owns from then on. */
static int begin_at(struct reader *r, uint64_t offset, int64_t line, struct error *err)
{
    CLEANUP(input_close_cleanup) struct input *in = NULL;

    if (input_open(r->dir, r->name, r->dialect.compression, r->run->cancel, &in, err) < 0)
        return -1;
    if (offset && input_skip_to(in, offset, err) < 0)
        return -1;
    if (is_csv(r))
        csv_init(&r->csv, TAKE(in), &r->dialect, SCHEMA_MAX_COLUMNS, offset, line);
    else
        ndjson_init(&r->ndjson, TAKE(in), &r->dialect, offset, line);
    r->csv.keep_open = r->ndjson.keep_open = r->start.keep_open;
    return offset ? 0 : window_skip_mark(window_of(r), err);
}

/* ------------------------------------------------------------------- header */

/* The first record names the columns, or only tells how many there are. */
static int read_names(struct reader *r, struct error *err)
{
    enum csv_outcome outcome;

    if (!r->dialect.header && r->dialect.columns->n) {
        r->names = r->dialect.columns->items;
        r->n_names = r->dialect.columns->n;
        return 0;
    }
    if (csv_next(&r->csv, &outcome, err) < 0)
        return -1;
    switch (outcome) {
    case CSV_END:
    case CSV_OPEN: /* no whole line yet: the file has no rows either */
        return 0;
    case CSV_BROKEN_QUOTE:
    case CSV_TOO_LONG:
        return error_set(err, ERR_DATA, "%s line %lld: the first line cannot be read: %s", r->name,
                         (long long)r->csv.record.line,
                         outcome == CSV_TOO_LONG ? "it is too long" : "a quote is broken");
    case CSV_RECORD:
        break;
    }
    r->again = !r->dialect.header;
    if (csv_names(&r->csv.record, &r->dialect, r->name, &r->text, r->mem, &r->names, err) < 0)
        return -1;
    r->n_names = r->csv.record.n_fields;
    return 0;
}

static int open_csv(struct reader *r, struct error *err)
{
    if (read_names(r, err) < 0)
        return -1;
    if (r->start.offset > reader_offset(r)) {
        csv_release(&r->csv);
        r->again = false;
        if (begin_at(r, r->start.offset, r->start.line, err) < 0)
            return -1;
    }
    if (r->n_names)
        r->csv.max_fields = r->n_names;
    return 0;
}

int reader_open(struct reader *r, int dir, const char *name, const struct files_dialect *dialect,
                struct run *run, struct reader_start start, struct error *err)
{
    *r = (struct reader){.name = name, .dir = dir, .dialect = *dialect, .start = start, .run = run};
    r->mem = arena_new();
    csv_text_init(&r->text, dialect);
    jsonread_init(&r->json);
    if (is_csv(r))
        return begin_at(r, 0, 1, err) < 0 ? -1 : open_csv(r, err);
    return begin_at(r, start.offset, start.offset ? start.line : 1, err);
}

void reader_close(struct reader *r)
{
    if (!r->mem)
        return; /* never opened */
    csv_release(&r->csv);
    ndjson_release(&r->ndjson);
    jsonread_release(&r->json);
    csv_text_release(&r->text);
    if (r->row.bind)
        jsonrow_release(&r->row);
    arena_free(r->mem);
    *r = (struct reader){0};
}

uint64_t reader_offset(const struct reader *r)
{
    if (is_csv(r))
        return r->again ? r->csv.record.offset : r->csv.window.offset;
    return r->again ? r->ndjson.offset : r->ndjson.window.offset;
}

int64_t reader_line(const struct reader *r)
{
    if (is_csv(r))
        return r->again ? r->csv.record.line : r->csv.window.line;
    return r->again ? r->ndjson.line : r->ndjson.window.line;
}

struct input *reader_input(const struct reader *r)
{
    return is_csv(r) ? r->csv.window.in : r->ndjson.window.in;
}

bool reader_is_unbroken(const struct reader *r)
{
    return is_csv(r) ? r->csv.unbroken : r->ndjson.unbroken;
}

int reader_skip_break(struct reader *r, bool *out, struct error *err)
{
    struct window *w = window_of(r);
    enum window_more more = WINDOW_GREW;
    const char *p;
    size_t n;

    while (w->end - w->at < 2 && more == WINDOW_GREW) {
        if (window_more(w, &more, err) < 0)
            return -1;
    }
    p = w->data + w->at;
    n = w->end - w->at;
    *out = !n || p[0] == '\n' || (n > 1 && p[0] == '\r' && p[1] == '\n');
    if (n && *out)
        window_advance(w, p[0] == '\n' ? 1 : 2, 1);
    return 0;
}

/* ------------------------------------------------------------------- columns */

static int bind_name(struct reader *r, size_t i, struct column_type guessed, struct error *err)
{
    const char *name = r->names[i];

    r->columns[i] = bind_find(r->bind, name, strlen(name));
    if (r->columns[i] != BIND_UNKNOWN)
        return 0;
    return bind_add(r->bind, name, strlen(name), guessed, &r->columns[i], err);
}

/* With a frozen schema a file that lacks a column stops the stream. */
static int check_frozen(const struct reader *r, struct error *err)
{
    const struct bind *b = r->bind;

    if (b->want->drift != DRIFT_FREEZE)
        return 0;
    for (size_t i = 0; i < b->schema->n_columns; i++) {
        bool found = false;

        for (size_t k = 0; k < r->n_names && !found; k++)
            found = r->columns[k] == (long)i;
        if (!found)
            return error_set_reason(err, ERR_SCHEMA, "schema_frozen",
                                    "%s has no column \"%s\", and the schema of \"%s\" is frozen",
                                    r->name, b->schema->columns[i].name, b->want->stream->name);
    }
    return 0;
}

int reader_bind(struct reader *r, struct bind *bind, const struct column_type *guessed,
                struct error *err)
{
    r->bind = bind;
    if (!is_csv(r))
        jsonrow_init(&r->row, bind);
    if (!is_csv(r) || !r->n_names)
        return 0;
    r->columns = arena_array(r->mem, r->n_names, sizeof *r->columns);
    for (size_t i = 0; i < r->n_names; i++) {
        if (bind_name(r, i, guessed[i], err) < 0)
            return error_wrap(err, "%s", r->name);
    }
    return check_frozen(r, err);
}

bool reader_has_unknown(const struct reader *r, const struct bind *bind)
{
    for (size_t i = 0; is_csv(r) && i < r->n_names; i++) {
        if (bind_find(bind, r->names[i], strlen(r->names[i])) == BIND_UNKNOWN)
            return true;
    }
    return false;
}

int reader_fill(struct reader *r, struct batch *rows, enum reader_outcome *out, struct error *err)
{
    return is_csv(r) ? reader_fill_csv(r, rows, out, err) : reader_fill_ndjson(r, rows, out, err);
}

static int count_one(struct reader *r, bool *out_more, struct error *err)
{
    enum csv_outcome csv;
    enum ndjson_outcome ndjson;

    if (r->again) {
        r->again = false;
        *out_more = true;
        return 0;
    }
    if (is_csv(r)) {
        if (csv_next(&r->csv, &csv, err) < 0)
            return -1;
        *out_more = csv != CSV_END && csv != CSV_OPEN;
        return 0;
    }
    if (ndjson_next(&r->ndjson, &ndjson, err) < 0)
        return -1;
    *out_more = ndjson != NDJSON_END && ndjson != NDJSON_OPEN;
    return 0;
}

int reader_count(struct reader *r, int64_t max, int64_t *out_n, struct error *err)
{
    int64_t n = 0;
    bool more = true;

    while (n < max) {
        if (count_one(r, &more, err) < 0)
            return -1;
        if (!more)
            break;
        n++;
    }
    *out_n = n;
    return 0;
}
