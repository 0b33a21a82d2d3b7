/*
 * page_internal.h - shared by page.c (what a page is) and the readers of its formats.
 */
#ifndef CONNECTORS_REST_PAGE_INTERNAL_H
#define CONNECTORS_REST_PAGE_INTERNAL_H

#include "connectors/files/csv.h"
#include "connectors/files/ndjson.h"
#include "connectors/rest/page.h"

#define PAGE_MAX_DEPTH 512

struct page_frame {
    bool is_object;
    bool on_path; /* everything down to here is a step of the path to the records */
    long index;   /* of the element being read, in an array */
};

/* What the JSON reader is in the middle of. */
enum page_state {
    PAGE_AROUND,   /* outside of the records */
    PAGE_KEY,      /* in a string that is a key, outside or of a map of records */
    PAGE_STRING,   /* in a string that is a value, outside */
    PAGE_ELEMENTS, /* between the records of an array */
    PAGE_ENTRIES,  /* between the records of a map */
    PAGE_VALUE,    /* in a record */
    PAGE_OVER,     /* behind the one value of the body */
};

struct page {
    struct page_settings how;
    struct path prefix, suffix; /* of the path of the records: before and behind [*] */
    bool each_suffix;
    page_record_fn *each;
    void *arg;
    struct arena *mem; /* of one record */
    struct buf envelope, value, key, made;
    int64_t offset, n_records; /* bytes fed before this piece */
    bool found;

    /* Of a packed body: the file that is being read, and what was around the records before it. */
    struct unpack *unpack;
    struct page *inner;

    enum page_state state, value_back;
    bool escaped, begun; /* a scalar outside has begun */
    struct page_frame stack[PAGE_MAX_DEPTH];
    size_t depth;
    bool key_ready; /* `key` is that of the member being read */
    /* Between records, what stood last: */
    enum { PAGE_OPENED, PAGE_RECORD, PAGE_COMMA, PAGE_NAMED, PAGE_COLON } last;
    /* A record that is being read: */
    char value_kind; /* its first byte: { [ " or another */
    size_t value_depth;
    bool value_in_string, one; /* one: the record is the whole value the path names */

    /* Lines: */
    struct files_dialect dialect;
    union {
        struct csv csv;
        struct ndjson ndjson;
    } lines;
    bool marked;   /* what may stand in front of the first line has been passed over */
    size_t enough; /* bytes that have to wait before it is worth looking for a record again */
    struct csv_text text;
    struct slice *keys; /* "name": of each column of CSV; NULL = not known yet */
    size_t n_keys;
};

/* Hands on one record, or what the path behind [*] finds in it. */
CHECKED int page_emit(struct page *p, struct slice text, struct error *err);
CHECKED int page_feed_json(struct page *p, const char *bytes, size_t n, struct error *err);
CHECKED int page_end_json(struct page *p, struct error *err);
/* Like page_emit, for what [*] left that is itself a list: its elements are the records. */
CHECKED int page_emit_elements(struct page *p, struct slice array, struct error *err);
void page_init_lines(struct page *p);
void page_release_lines(struct page *p);
CHECKED int page_feed_lines(struct page *p, const char *bytes, size_t n, struct error *err);
CHECKED int page_end_lines(struct page *p, struct error *err);
void page_init_packed(struct page *p);
void page_release_packed(struct page *p);
CHECKED int page_feed_packed(struct page *p, const char *bytes, size_t n, struct error *err);
CHECKED int page_end_packed(struct page *p, struct error *err);
int page_broken(const struct page *p, size_t at, const char *why, struct error *err);

#endif
