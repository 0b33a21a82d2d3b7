/*
 * Bodies of lines: NDJSON, and CSV, whose records become objects of strings.
 *
 * The readers of files find the records. They keep open a last record that has no line break yet;
 * more of the body is put behind it.
 */
#include "connectors/base/jsonwrite.h"
#include "connectors/files/cell.h"
#include "connectors/rest/page_internal.h"

#define MARK_BYTES 3 /* of a byte order mark */

static bool is_csv(const struct page *p)
{
    return p->how.format == PAGE_CSV;
}

static struct window *window_of(struct page *p)
{
    return is_csv(p) ? &p->lines.csv.window : &p->lines.ndjson.window;
}

void page_init_lines(struct page *p)
{
    static const char *nothing[] = {""};
    static const struct string_list null_words = {nothing, 1};

    p->dialect = (struct files_dialect){
        .delimiter = p->how.delimiter ? p->how.delimiter : ',',
        .quote = '"',
        .header = !p->how.no_header,
        .latin1 = p->how.latin1,
        .null_values = p->how.null_words ? p->how.null_words : &null_words,
        .max_line_bytes = PAGE_MAX_RECORD,
    };
    p->enough = MARK_BYTES;
    csv_text_init(&p->text, &p->dialect);
    if (is_csv(p)) {
        csv_init(&p->lines.csv, NULL, &p->dialect, SCHEMA_MAX_COLUMNS, 0, 1);
        p->lines.csv.keep_open = true;
    } else {
        ndjson_init(&p->lines.ndjson, NULL, &p->dialect, 0, 1);
        p->lines.ndjson.keep_open = true;
    }
}

void page_release_lines(struct page *p)
{
    csv_text_release(&p->text);
    if (is_csv(p))
        csv_release(&p->lines.csv);
    else
        ndjson_release(&p->lines.ndjson);
}

static int too_large(int64_t line, struct error *err)
{
    return error_set(err, ERR_TOO_LARGE, "line %lld of the body is a record above %zu bytes",
                     (long long)line, PAGE_MAX_RECORD);
}

/* ------------------------------------------------------------------------- CSV */

static int csv_broken(const struct page *p, const char *why, struct error *err)
{
    return error_set_reason(err, ERR_DATA, "body_not_decodable",
                            "the body cannot be read at line %lld: %s",
                            (long long)p->lines.csv.record.line, why);
}

static int name_columns(struct page *p, struct error *err)
{
    const struct csv_record *rec = &p->lines.csv.record;
    const char **names;

    if (csv_names(rec, &p->dialect, "the body,", &p->text, p->mem, &names, err) < 0)
        return -1;
    p->keys = arena_array(p->mem, rec->n_fields, sizeof *p->keys);
    p->n_keys = rec->n_fields;
    for (size_t i = 0; i < p->n_keys; i++) {
        struct jsonw w = JSONW_INIT(&p->made);

        buf_clear(&p->made);
        jsonw_string(&w, names[i]);
        buf_putc(&p->made, ':');
        if (buf_ok(&p->made, "a name", err) < 0)
            return -1;
        p->keys[i] =
            (struct slice){arena_memdup(p->mem, buf_str(&p->made), p->made.len), p->made.len};
    }
    return 0;
}

static void put_field(struct page *p, const struct csv_field *f)
{
    struct jsonw w = JSONW_INIT(&p->made);
    struct slice s;

    if (!f->quoted && cell_is_null(p->dialect.null_values, f->ptr, f->len)) {
        jsonw_null(&w);
        return;
    }
    s = csv_field_text(f, &p->dialect, &p->text);
    jsonw_string_n(&w, s.ptr, s.len);
}

static int put_record(struct page *p, struct error *err)
{
    const struct csv_record *rec = &p->lines.csv.record;

    if (rec->n_fields != p->n_keys)
        return csv_broken(p,
                          rec->n_fields > p->n_keys ? "it has more fields than the first"
                                                    : "it has fewer fields than the first",
                          err);
    buf_clear(&p->made);
    for (size_t i = 0; i < p->n_keys; i++) {
        buf_putc(&p->made, i ? ',' : '{');
        buf_put(&p->made, p->keys[i].ptr, p->keys[i].len);
        put_field(p, &rec->fields[i]);
    }
    buf_putc(&p->made, '}');
    if (buf_ok(&p->made, "a record", err) < 0)
        return -1;
    p->n_records++;
    return p->each(p->arg, (struct slice){buf_str(&p->made), p->made.len}, err);
}

static int take_record(struct page *p, struct error *err)
{
    if (!p->keys) {
        if (name_columns(p, err) < 0)
            return -1;
        p->found = true;
        if (p->dialect.header)
            return 0;
    }
    return put_record(p, err);
}

static int read_csv(struct page *p, struct error *err)
{
    for (;;) {
        enum csv_outcome outcome;

        if (csv_next(&p->lines.csv, &outcome, err) < 0)
            return -1;
        switch (outcome) {
        case CSV_RECORD:
            if (take_record(p, err) < 0)
                return -1;
            break;
        case CSV_BROKEN_QUOTE:
            return csv_broken(p, "its quotes are broken", err);
        case CSV_TOO_LONG:
            return too_large(p->lines.csv.record.line, err);
        case CSV_END:
        case CSV_OPEN:
            return 0;
        }
    }
}

/* ---------------------------------------------------------------------- NDJSON */

static int take_line(struct page *p, struct error *err)
{
    struct slice line = p->lines.ndjson.text;
    struct rest_value v;

    if (p->prefix.n == 0)
        return page_emit(p, line, err);
    arena_clear(p->mem);
    if (path_find(&p->prefix, line, p->mem, &v, err) < 0)
        return -1;
    if (v.kind == VALUE_ARRAY)
        return page_emit_elements(p, v.text, err);
    return v.kind == VALUE_OBJECT ? page_emit(p, v.text, err) : 0;
}

static int read_ndjson(struct page *p, struct error *err)
{
    p->found = true;
    for (;;) {
        enum ndjson_outcome outcome;

        if (ndjson_next(&p->lines.ndjson, &outcome, err) < 0)
            return -1;
        switch (outcome) {
        case NDJSON_LINE:
            if (take_line(p, err) < 0)
                return -1;
            break;
        case NDJSON_TOO_LONG:
            return too_large(p->lines.ndjson.line, err);
        case NDJSON_END:
        case NDJSON_OPEN:
            return 0;
        }
    }
}

/* ------------------------------------------------------------------------ both */

static int read_lines(struct page *p, struct error *err)
{
    if (!p->marked && window_skip_mark(window_of(p), err) < 0)
        return -1;
    p->marked = true;
    return is_csv(p) ? read_csv(p, err) : read_ndjson(p, err);
}

int page_feed_lines(struct page *p, const char *bytes, size_t n, struct error *err)
{
    struct window *w = window_of(p);

    while (n > 0) {
        size_t part = n < INPUT_CHUNK_BYTES ? n : INPUT_CHUNK_BYTES;

        window_put(w, bytes, part);
        bytes += part;
        n -= part;
        if (w->end - w->at < p->enough)
            continue;
        if (read_lines(p, err) < 0)
            return -1;
        if (w->end - w->at > PAGE_MAX_RECORD)
            return too_large(w->line, err);
        /* An open record is looked through again only when it has doubled: its cost is linear. */
        p->enough = 2 * (w->end - w->at);
        if (p->enough > PAGE_MAX_RECORD)
            p->enough = PAGE_MAX_RECORD + 1;
    }
    return 0;
}

int page_end_lines(struct page *p, struct error *err)
{
    if (is_csv(p))
        p->lines.csv.keep_open = false;
    else
        p->lines.ndjson.keep_open = false;
    return read_lines(p, err);
}
