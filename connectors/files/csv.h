/*
 * csv.h - records of a CSV file, as slices of the file.
 *
 * RFC 4180 with any one-byte delimiter and quote, LF or CRLF, quotes doubled inside quoted fields,
 * line breaks inside them. A quote in the middle of an unquoted field is an ordinary character. An
 * empty line is no record unless records have one field. Nothing is copied; a broken record costs
 * its first line and reading goes on with the next. Not shared between threads.
 */
#ifndef CONNECTORS_FILES_CSV_H
#define CONNECTORS_FILES_CSV_H

#include "connectors/data/batch.h"
#include "connectors/files/window.h"

struct csv_field {
    const char *ptr; /* between the quotes */
    size_t len;
    bool quoted, doubled; /* `doubled`: quotes inside are still doubled */
};

enum csv_outcome {
    CSV_RECORD,
    CSV_END,
    CSV_BROKEN_QUOTE, /* something stands behind a closing quote, or none closes */
    CSV_TOO_LONG,     /* more than max_line_bytes */
    CSV_OPEN,         /* the last record has no line break yet; only with keep_open */
};

struct csv_record {
    struct csv_field *fields; /* at most max_fields of them are kept */
    size_t n_fields;          /* all */
    uint64_t offset;
    int64_t line;
    const char *raw; /* the record, or the first line of a broken one, possibly cut */
    size_t n_raw;
    uint64_t n_bytes; /* CSV_TOO_LONG: of the whole line */
};

struct csv {
    struct window window;
    char delimiter, quote;
    size_t max_fields;
    bool keep_open; /* leave a last record without line break for later */
    bool unbroken;  /* the last record read had no line break behind it */
    struct csv_record record;
    char head[4096]; /* beginning of a record that was too long */
};

/* Takes `in`, which stands at `offset`, the beginning of a record on `line`; NULL = window_put. */
void csv_init(struct csv *c, struct input *in, const struct files_dialect *d, size_t max_fields,
              uint64_t offset, int64_t line);
void csv_release(struct csv *c);

/* The next record in c->record; valid until the next call. */
CHECKED int csv_next(struct csv *c, enum csv_outcome *out, struct error *err);

/* Appends a field with doubled quotes made single. */
void csv_unquote(struct buf *out, const struct csv_field *f, char quote);

/* What a field is made into; valid until the next one. */
struct csv_text {
    struct buf plain, wide; /* without doubled quotes; transcoded */
};
void csv_text_init(struct csv_text *t, const struct files_dialect *d);
void csv_text_release(struct csv_text *t);
/* The text of a field as UTF-8 without doubled quotes: within the field itself or in `t`. */
struct slice csv_field_text(const struct csv_field *f, const struct files_dialect *d,
                            struct csv_text *t);

/*
 * The names of columns by the first record: its fields with a header, else column1, column2 ... A
 * name that is empty or taken is made one of its own. Fails with DATA for one that is not UTF-8,
 * TOO_LARGE for more than SCHEMA_MAX_COLUMNS; `where` begins the message.
 */
CHECKED int csv_names(const struct csv_record *first, const struct files_dialect *d,
                      const char *where, struct csv_text *t, struct arena *mem, const char ***out,
                      struct error *err);

/* ------------------------------------------------------------------- writing */

struct csv_style {
    char delimiter;
    const char *null_value; /* written without quotes */
};

/* Appends one value, quoted when it has to be so that it reads back as itself. */
void csv_put_text(struct buf *out, const struct csv_style *style, const char *s, size_t n);
/* Appends a cell; of NULL its word. */
void csv_put_cell(struct buf *out, const struct csv_style *style, const struct batch *rows,
                  size_t column, size_t row);

#endif
