/*
 * reader.h - a described API as a source: its streams, and how they are read.
 *
 * Positions (JSON, all values text):
 *   {"kind":"page","safe":S,"high":H,"etag":E}    between runs of an incremental stream
 *   {"kind":"page","done":true}                   a full read was complete
 *   {"kind":"page",...,"upper":U,"slice":"2","from":A,"to":B,"number"|"token":...,"since":T}
 *                                                 within a run: behind this page
 *   {...,"parents":"7","digest":D}                within a run: behind so many parents
 * A cursor older than token_ttl is not used again: its window begins anew. Streams whose rows are
 * merged by key continue behind any page; those whose rows are appended only behind a window whose
 * records nothing can join any more, since a page that is read twice would be there twice.
 */
#ifndef CONNECTORS_REST_READER_H
#define CONNECTORS_REST_READER_H

#include "connectors/rest/fetch.h"

struct rest_source {
    const struct rest_document *doc;
    const struct scopes *values; /* vars and secret */
    const char *secrets_at;      /* in the configuration, as a JSON pointer */
};

CHECKED int rest_check(const struct rest_source *src, struct run *run, struct error *err);
CHECKED int rest_discover(const struct rest_source *src, struct run *run, struct catalog *out,
                          struct error *err);
/* UNSUPPORTED where the API does not tell a total. */
CHECKED int rest_count(const struct rest_source *src, struct run *run, const struct stream *stream,
                       int64_t *out_count, bool *out_exact, struct error *err);
CHECKED int rest_read(const struct rest_source *src, struct run *run,
                      const struct read_request *req, struct sink *out, struct error *err);

/* For people: what is bounded of an API's answers. */
void rest_tell_limits(tell_fn *tell, void *arg);

#endif
