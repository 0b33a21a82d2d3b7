/*
 * catalog.h - streams as discovered, streams as the user wants them, and the JSON of both.
 *
 * A catalog is what discovery found: immutable, hashed, stored. A selection says which streams a
 * connection takes, how it reads and writes them. Native JSON and Singer JSON (with the framework's
 * additional keys) are read and written here and nowhere else. Memory belongs to the arena given.
 */
#ifndef CONNECTORS_CATALOG_H
#define CONNECTORS_CATALOG_H

#include <stdbool.h>
#include <stdint.h>

#include "connectors/base/doc.h"
#include "connectors/base/problem.h"
#include "connectors/data/schema.h"

#define CATALOG_MAX_STREAMS 20000

enum sync_mode { SYNC_FULL_REFRESH, SYNC_INCREMENTAL };
enum write_mode {
    WRITE_OVERWRITE,    /* a new generation beside the live one, then a swap */
    WRITE_APPEND,       /* every delivered row version once */
    WRITE_APPEND_DEDUP, /* upsert by key, last wins */
    WRITE_INSERT_ONLY,  /* by key; a row that is there stays (Mage's IGNORE) */
};
enum drift_policy { DRIFT_EVOLVE, DRIFT_IGNORE, DRIFT_FREEZE };
/* What becomes of a value that the destination cannot hold, or that could not be read: it goes to
 * quarantine alone, or with its row, or the stream ends. */
enum misfit_policy { MISFIT_QUARANTINE_CELL, MISFIT_QUARANTINE_ROW, MISFIT_FAIL };
/* And of a text that does not fit because of a U+0000 in it: as above, or it is written without, or
 * with U+FFFD instead. */
enum nul_policy { NUL_QUARANTINE, NUL_STRIP, NUL_REPLACE };

/* "full_refresh", "overwrite", "append_dedup", "evolve", ... as the API spells them. */
const char *sync_mode_name(enum sync_mode m);
const char *write_mode_name(enum write_mode m);
const char *drift_policy_name(enum drift_policy p);
const char *misfit_policy_name(enum misfit_policy p);
const char *nul_policy_name(enum nul_policy p);

struct row_filter;
struct column_rename;

struct stream {
    const char *namespace; /* "" when the source has none */
    const char *name;
    const struct schema *schema; /* with the key the source declares */
    const size_t *cursors;       /* columns that may serve as cursor, best first */
    size_t n_cursors;
    bool source_defined_cursor; /* the source keeps its own position; no cursor_field is needed */
    bool incremental;           /* INCREMENTAL is supported */
    bool resumable;             /* a full read can continue after a crash */
    bool as_found;              /* the schema is all that discovery has just found */
    int64_t row_estimate;       /* -1 = unknown */
    /* Why rows may be missed, or come twice, although nothing fails: whatever is selected, and
     * where rows are not merged by a key. NULL = they do not. */
    const char *doubt, *doubt_unmerged;
};

struct catalog {
    struct stream *streams;
    size_t n;
    size_t cap; /* private to catalog_add */
    struct arena *mem;
};

/* One stream as a run reads and writes it. */
struct selected_stream {
    const struct stream *stream;
    const struct schema *schema; /* the selected columns in order; key = the effective key */
    enum sync_mode sync_mode;
    enum write_mode write_mode;
    long cursor;       /* column number in `schema`, or -1 */
    const char *alias; /* name of the table or file at the destination; the stream's by default */
    const char *destination_namespace; /* "" = the destination's default */
    enum drift_policy drift;
    enum misfit_policy misfits;
    enum nul_policy nul;
    const struct column_rename *renames; /* see renames.h */
    size_t n_renames;
    bool snake, snake_table;        /* columns, and the table, get names as snake.h writes them */
    bool backfill;                  /* rows that are there are read again for a new column */
    bool allow_empty, allow_shrink; /* the shrink guard of a full refresh */
    bool unmerged; /* the destination keeps every row it is given, whatever the key */
    bool one_lane; /* in a parallel run it stays with its like: one lane, one snapshot */
    const struct row_filter *filters; /* all of which a row fulfils; see filter.h */
    size_t n_filters;
};

struct selection {
    struct selected_stream *streams;
    size_t n;
};

/* Whether a row that comes twice is one row. */
bool selected_stream_merges(const struct selected_stream *s);
/* `write_modes` of the destination, see connector.h: one that cannot merge by a key never does. */
void selection_set_merging(struct selection *s, unsigned write_modes);
/* The doubt of its stream that counts for what is selected; NULL = none. */
const char *selected_stream_doubt(const struct selected_stream *s);

#define CATALOG_INIT(arena) ((struct catalog){.mem = (arena)})

/* Appends a zeroed stream to fill in; everything it points to must live in catalog->mem. */
struct stream *catalog_add(struct catalog *c);
/* By "name", or by "namespace.name"; NULL when there is none. */
const struct stream *catalog_find(const struct catalog *c, const char *namespace, const char *name);
/* "namespace.name", or "name" without a namespace: how state and API name a stream. */
const char *stream_full_name(struct arena *mem, const struct stream *s);

/* Native JSON; the caller owns what is returned. `catalog_hash` is the SHA-256 of that text. */
struct doc *catalog_to_doc(const struct catalog *c);
CHECKED int catalog_from_doc(const struct doc *d, struct catalog *out, struct error *err);
void catalog_hash(const struct catalog *c, char out[static 65]);

/*
 * Singer's catalog of lessons.md 1-2: {"streams":[{tap_stream_id, stream, schema, metadata[],
 * key_properties, replication_method, replication_key, unique_conflict_method, ...}]}.
 * `selection` may be NULL (nothing is marked selected).
 */
struct doc *catalog_to_singer(const struct catalog *c, const struct selection *selection);
CHECKED int catalog_from_singer(const struct doc *d, struct catalog *out, struct error *err);
/* The native `streams` array that the selection in a Singer catalog asks for. */
struct doc *selection_from_singer(const struct doc *singer, struct problems *problems);

/* {"added":[], "removed":[], "changed":[{stream, added[], removed[], retyped[]}]} */
struct doc *catalog_diff(const struct catalog *before, const struct catalog *after);

/*
 * Resolves the native `streams` array of a connection against a catalog. NULL takes every stream,
 * full refresh with overwrite. Every mistake is added to `problems` with a pointer below
 * `pointer`, such as unknown_stream, unknown_field, mode_not_supported, key_required. True when
 * there was none.
 *
 * One entry: {"name", "namespace", "selected" (true), "sync_mode", "destination_sync_mode",
 * "cursor_field": ["c"] or "c", "primary_key": [["a"],["b"]] or ["a","b"], "fields":
 * {"include": [..] or null, "exclude": [..]}, "filter" (see filter.h), "alias", "new_columns":
 * "evolve|ignore|freeze", "backfill_new_columns" (false), "renames": {"old": "new"}, "naming":
 * "preserve|snake", "on_unrepresentable": "quarantine_cell|quarantine_row|fail", "nul":
 * "quarantine|strip|replace", "allow_empty", "allow_shrink", "run_in_parallel" (true)}.
 */
bool selection_resolve(const struct doc *streams, const struct catalog *catalog,
                       const char *pointer, struct arena *mem, struct selection *out,
                       struct problems *problems);

/* The same for the shape alone, before there is a catalog: members, types, choices. */
bool selection_check(const struct doc *streams, const char *pointer, struct problems *problems);

/* Whether no stream has a filter, or the source named `connector` can filter rows. */
__attribute__((nonnull(2, 3, 5))) bool
selection_check_filters(const struct doc *streams, const char *pointer, const char *connector,
                        bool filters_rows, struct problems *problems);

/* Whether no stream says what only a destination with policies for single values does, or the one
 * named `connector` has them. */
__attribute__((nonnull(2, 3, 5))) bool
selection_check_policies(const struct doc *streams, const char *pointer, const char *connector,
                         bool value_policies, struct problems *problems);

/* The JSON Schema type of a column as Singer writes it: {"type":["null","string"],"format":..}. */
struct doc *column_to_json_schema(const struct column *c);
/* Back; unknown shapes become json. `nullable` is set from the type list. */
CHECKED int column_from_json_schema(const struct doc *schema, struct column *out,
                                    struct error *err);

#endif
