/*
 * CSV as a body: the first line names the columns, each further one becomes an object of strings.
 * Quotes as in RFC 4180; a field that is empty and not quoted is null.
 */
#include <string.h>

#include "connectors/base/jsonwrite.h"
#include "connectors/rest/page_internal.h"

static const char *name_of(const struct page *p, size_t column)
{
    const char *at = buf_str(&p->header);

    for (size_t i = 0; i < column; i++)
        at += strlen(at) + 1;
    return at;
}

static int end_field(struct page *p, struct error *err)
{
    struct jsonw w = JSONW_INIT(&p->made);
    bool null = p->value.len == 0 && !p->csv_quoted;

    if (!p->found) {
        buf_put(&p->header, buf_str(&p->value), p->value.len);
        buf_putc(&p->header, '\0');
        p->n_names++;
    } else if (p->column < p->n_names) {
        buf_putc(&p->made, p->column == 0 ? '{' : ',');
        jsonw_string(&w, name_of(p, p->column));
        buf_putc(&p->made, ':');
        if (null)
            buf_puts(&p->made, "null");
        else {
            w.comma = false;
            jsonw_string_n(&w, buf_str(&p->value), p->value.len);
        }
    } else {
        return page_broken(p, 0, "a line has more fields than the first", err);
    }
    p->column++;
    p->csv_quoted = p->csv_quote_seen = false;
    p->csv_any = true;
    buf_clear(&p->value);
    return buf_ok(&p->made, "a record", err);
}

static int end_line(struct page *p, struct error *err)
{
    bool blank = p->column == 0 && p->value.len == 0 && !p->csv_quoted;

    if (blank)
        return 0;
    if (end_field(p, err) < 0)
        return -1;
    if (p->found && p->column != p->n_names)
        return page_broken(p, 0, "a line has fewer fields than the first", err);
    if (p->found) {
        buf_putc(&p->made, '}');
        if (buf_ok(&p->made, "a record", err) < 0)
            return -1;
        p->n_records++;
        if (p->each(p->arg, (struct slice){buf_str(&p->made), p->made.len}, err) < 0)
            return -1;
    }
    p->found = true;
    p->column = 0;
    buf_clear(&p->made);
    return 0;
}

int page_feed_csv(struct page *p, const char *bytes, size_t n, struct error *err)
{
    char delimiter = p->how.delimiter ? p->how.delimiter : ',';

    for (size_t i = 0; i < n; i++) {
        char c = bytes[i];
        bool inside = p->csv_quoted && !p->csv_quote_seen;

        if (inside && c == '"') {
            p->csv_quote_seen = true;
        } else if (!inside && c == '"' && p->csv_quote_seen) { /* "" is one quote */
            p->csv_quote_seen = false;
            buf_putc(&p->value, c);
        } else if (!inside && c == '"' && p->value.len == 0 && !p->csv_quoted) {
            p->csv_quoted = true;
        } else if (!inside && c == delimiter) {
            if (end_field(p, err) < 0)
                return -1;
        } else if (!inside && c == '\n') {
            if (end_line(p, err) < 0)
                return -1;
        } else if (inside || c != '\r') {
            buf_putc(&p->value, c);
        }
        if (p->value.failed)
            return buf_ok(&p->value, "a field", err);
    }
    return 0;
}

int page_end_csv(struct page *p, struct error *err)
{
    if (p->csv_quoted && !p->csv_quote_seen)
        return page_broken(p, 0, "a quote is not closed", err);
    return end_line(p, err);
}
