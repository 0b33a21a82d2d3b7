/*
 * page.h - the records of one response, taken out while it arrives.
 *
 * The body is fed piece by piece; each record is handed on as the text of one JSON value as soon as
 * it is complete, so a response of gigabytes with one array needs the memory of one record. What is
 * around the records is kept as the *envelope*, with the records left out: paginators and
 * conditions look there. Strict JSON (RFC 8259); CSV and NDJSON are what the readers of files take
 * for it, and a record of CSV is an object of strings and nulls. Not shared.
 */
#ifndef CONNECTORS_REST_PAGE_H
#define CONNECTORS_REST_PAGE_H

#include <stdint.h>

#include "connectors/option.h"
#include "connectors/rest/path.h"

#define PAGE_MAX_ENVELOPE ((size_t)1 << 20)
#define PAGE_MAX_RECORD   ((size_t)16 << 20)

enum page_format { PAGE_JSON, PAGE_NDJSON, PAGE_CSV };
enum page_packing { PAGE_UNPACKED, PAGE_GZIP, PAGE_ZIP };

struct page_settings {
    enum page_format format;
    /* The body is a file that was packed: each file in it is read as a body of `format`. (How it
     * was packed for the way alone, Content-Encoding, is not seen here.) */
    enum page_packing packing;
    int64_t max_bytes;   /* unpacked */
    struct path records; /* JSON: of the array, the object, or EACH inside it */
    bool map_entries;    /* an object of objects: each is a record with its key as "_key" */
    bool single;         /* the value itself is the one record */
    /* Lines: */
    char delimiter; /* CSV; '\0' = comma */
    bool no_header; /* CSV: the first line is a record, and columns are column1, column2 ... */
    bool latin1;
    const struct string_list *null_words; /* CSV: unquoted text that means null; NULL = "" alone */
    /* The answer says by its Content-Type what it is; `format` and `packing` are for one that does
     * not. */
    bool by_content_type;
};

struct page; /* opaque */

/* Takes one record, the text of a JSON value that is valid during the call. */
typedef int page_record_fn(void *arg, struct slice record, struct error *err);

/* The format that a Content-Type names; `otherwise` for all that names none of lines, and NULL. */
enum page_format page_format_of(const char *content_type, enum page_format otherwise);

/* The packing that it names; `otherwise` for every other, and NULL. */
enum page_packing page_packing_of(const char *content_type, enum page_packing otherwise);

struct page *page_new(const struct page_settings *s, page_record_fn *each, void *arg);
void page_free(struct page *p); /* accepts NULL */
DEFINE_CLEANUP(struct page *, page_free_cleanup, page_free);
/* DATA, reason "body_not_decodable", naming the byte or line where it is not what the format says;
 * TOO_LARGE for a record or envelope beyond its limit; what `each` returns. */
CHECKED int page_feed(struct page *p, const char *bytes, size_t n, struct error *err);
/* The body is complete: DATA when it is cut short. *out_envelope is valid until page_free ("{}" for
 * formats without one); *out_found whether the path of the records was there at all. */
CHECKED int page_end(struct page *p, struct slice *out_envelope, bool *out_found,
                     struct error *err);
int64_t page_records(const struct page *p);

#endif
