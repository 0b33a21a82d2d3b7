/*
 * catalog_internal.h - what the forms of a catalog have in common. Private to catalog*.c and
 * selection*.c.
 */
#ifndef CONNECTORS_CATALOG_INTERNAL_H
#define CONNECTORS_CATALOG_INTERNAL_H

#include "connectors/catalog.h"

/* What the API calls the enumerators of each, in their order; NULL at the end. */
extern const char *const sync_mode_words[],
    *const write_mode_words[], *const drift_policy_words[], *const misfit_policy_words[],
                                                                *const nul_policy_words[];

/* An array with the names of these columns. */
struct doc *catalog_column_names(const struct schema *s, const size_t *columns, size_t n);

/* Back: `names` is an array or absent, which is empty; `what` is what the error calls it. */
__attribute__((nonnull(2, 3, 4, 5, 6, 7), warn_unused_result)) int
catalog_column_numbers(const struct doc *names, const char *what, const struct schema *schema,
                       struct arena *mem, const size_t **out, size_t *out_n, struct error *err);

/* The text in `mem`; NULL for what is no text. */
__attribute__((nonnull(1))) const char *catalog_text(struct arena *mem, const struct doc *d);

/* {"streams":[..]} in either form; no two may have the same name. */
typedef int catalog_read_fn(const struct doc *stream, struct arena *mem, struct stream *out,
                            struct error *err);
CHECKED int catalog_read(const struct doc *d, struct catalog *out, catalog_read_fn *read_one,
                         struct error *err);

#define SINGER_FULL_TABLE  "FULL_TABLE"
#define SINGER_INCREMENTAL "INCREMENTAL"
#define SINGER_LOG_BASED   "LOG_BASED"
#define SINGER_UPDATE      "UPDATE"
#define SINGER_IGNORE      "IGNORE"

/* "stream", or "tap_stream_id" where it is absent, or "". */
const char *singer_stream_name(const struct doc *stream);

/* The metadata of a column, or of the stream itself for NULL; NULL when there is none. */
const struct doc *singer_metadata(const struct doc *stream, const char *column);

/* The pairing: FULL_TABLE overwrites; INCREMENTAL merges by key, leaves what is there for IGNORE,
 * and appends without a key. */
enum write_mode singer_write_mode(enum sync_mode m, size_t n_key, bool ignore);

#endif
