/*
 * source.h - the SQL source: one engine over a dialect and a reading driver.
 *
 * Everything is read in one snapshot. A full read goes by key and can be continued behind any
 * checkpoint; a table without a key is one scan, checkpointed only at its end. An incremental read
 * follows the rules B1 to B9: the bookmark is the horizon below which nothing can appear any more,
 * never the greatest value seen.
 *
 * Positions (all values are text, null = none):
 *   {"kind":"keyset","resume":{"key":["5"]}}      behind this key
 *   {"kind":"keyset","filter":D,"resume":..}      the same, of the rows under a filter with this
 * digest
 *   {"kind":"keyset","done":true}                 the full read was complete
 *   {"kind":"cursor","safe":S,"high":H}           between runs: the next one reads from S on
 *   {"kind":"cursor","safe":S,"high":H,"lower":L,"upper":U,"resume":{"cursor":C,"key":[..]}}
 *                                                 within a run: rows up to U behind (C, key); S is
 *                                                 the horizon of the first attempt. A cursor null
 *                                                 means within the rows that have none.
 * Both may have "candidates":[{"bound":B,"at":T,"open":["token",..]},..], oldest first: bounds
 * taken at times T that become S once none of their transactions is open any more.
 * An element of a key is an object, {"blob":"base64"}, {"int":"5"}, {"real":"0.5"}, {"text":"a"} or
 * {"text64":"base64"}, where the stored value is not of the kind its column declares.
 *
 * Cursors may be integers, dates, timestamps with or without a zone (without one they are taken for
 * UTC) and, on SQLite, text that holds timestamps. S is the source's clock at a moment of which all
 * transactions have ended, less lookback and skew (one second for times, one day for dates); for
 * integers the greatest number given out before that moment, plus one. Streams whose rows are
 * appended read the closed window [S before, S), so that each row comes once; all others read an
 * open one that begins another skew (for integers one) before S. Null while nothing was proven yet:
 * appended rows wait, others are read again.
 *
 * A run that finds itself within the window of an earlier attempt reads that to its end,
 * checkpoints and goes on with a window of its own, under the same snapshot.
 */
#ifndef CONNECTORS_SQL_SOURCE_H
#define CONNECTORS_SQL_SOURCE_H

#include "connectors/sql/scan.h"

struct sql_reader; /* a driver embeds it first */
struct sql_cursor; /* the same */

/*
 * The database at one moment (B4), asked for before the snapshot and perhaps again and again: its
 * clock, read first, and then which transactions are open. Every transaction that may write and is
 * not among them has ended or stamps its rows at or behind `unix_us`.
 */
struct sql_moment {
    int64_t unix_us;
    bool visible; /* false: open transactions cannot be told */
    /* Tokens, one or more for each, in `mem`. One of a transaction must stay the same from its
     * beginning to its end, whatever happens to it; one that several share only costs time. */
    const char *const *open;
    size_t n_open;
    /* Tokens by which a transaction may have been known before: an older candidate that waits for
     * one goes on waiting, and no new one begins to. */
    const char *const *also;
    size_t n_also;
};

/*
 * Cursor values are int64 everywhere: integers as they are, days for dates, microseconds since 1970
 * for timestamps, VALUE_INFINITY and VALUE_MINUS_INFINITY for the infinities. As parameters they
 * are of kind INT and carry the type of the column (`sql_value.type`): the driver binds them as the
 * database's own integer, date or timestamp of exactly that type, so that an index serves, and
 * clamps what the database cannot hold. In results, `number` and the cursor column of a scan (the
 * last one of SQL_WINDOW_RANGE) are read by their own type into the same units. A stored cursor
 * that has no number (a zero date of MySQL) ends the batch's `at_border`: there is no checkpoint at
 * such a row. `cursor_hint` and cursors of type STRING are for SQLite, whose times are text.
 */
struct sql_source_driver {
    /* At most one transaction writes at a time: whatever is committed, nothing smaller than the
     * greatest integer can still appear. True for SQLite alone. */
    bool single_writer;
    int (*open)(const void *config, struct run *run, struct sql_reader **out, struct error *err);
    int (*discover)(struct sql_reader *r, struct catalog *out, struct error *err);
    /* Outside the snapshot, before it. */
    int (*moment)(struct sql_reader *r, struct arena *mem, struct sql_moment *out,
                  struct error *err);
    int (*snapshot)(struct sql_reader *r, struct error *err);
    /* One number; *out_null when it is NULL. Within the snapshot, once it is taken; before that on
     * its own, so that it sees what is committed now. */
    int (*number)(struct sql_reader *r, const char *sql, const struct sql_value *params, size_t n,
                  int64_t *out, bool *out_null, struct error *err);
    /* For an integer cursor that the database numbers itself: a number that is not exceeded by any
     * that was given out, and exceeded by all that a transaction which begins later is given. It
     * is asked for before the snapshot. *out_known is false for all other columns, and wherever the
     * column does not belong to a table of that name. */
    int (*last_number)(struct sql_reader *r, const char *schema, const char *table,
                       const char *column, int64_t *out, bool *out_known, struct error *err);
    /* Schema, table: a query, how many columns discovery finds now; NULL = it cannot be told. */
    const char *count_columns;
    int (*select)(struct sql_reader *r, const struct sql_scan *scan, struct sql_cursor **out,
                  struct error *err);
    /* Fills the batch until it is full or the rows end. */
    int (*fetch)(struct sql_cursor *c, struct batch *rows, struct error *err);
    /* Appends the key of the last row fetched as elements of a position; false when one is NULL. */
    bool (*put_key)(struct sql_cursor *c, struct arena *mem, struct buf *out);
    void (*end)(struct sql_cursor *c);
    void (*close)(struct sql_reader *r);
};

struct sql_reader {
    const struct sql_source_driver *driver;
    const struct sql_dialect *dialect;
    struct run *run;
};

struct sql_cursor {
    struct sql_reader *reader;
    bool look_ahead;     /* set before the first fetch: tell whether a group of ties is complete */
    bool done;           /* no row is left */
    bool at_border;      /* the next row has another cursor; always true without look_ahead */
    int64_t last_cursor; /* of the last row fetched, as compared */
    /* How many rows there were, as the database says at their end; -1 = it does not say. */
    int64_t said;
};

/* What a source's options say to the engine. */
struct sql_source_settings {
    int64_t lookback_s, skew_s; /* how far a bookmark is believed */
    int64_t safe_wait_s;        /* how long to wait for transactions that are open */
    const char *null_cursor;    /* "first_run", "every_run", "fail" */
    const struct doc *queries;  /* SELECTs of the user, see queries.h; may be NULL */
};

/* Whether it can be read; looks at the texts of `queries`, which may be NULL, as well. */
__attribute__((nonnull(1, 2, 4, 5), warn_unused_result)) int
sql_source_check(const struct sql_source_driver *driver, const void *config,
                 const struct doc *queries, struct run *run, struct error *err);
CHECKED int sql_source_discover(const struct sql_source_driver *driver, const void *config,
                                struct run *run, struct catalog *out, struct error *err);
CHECKED int sql_source_count(const struct sql_source_driver *driver, const void *config,
                             const struct sql_source_settings *settings, struct run *run,
                             const struct stream *stream, int64_t *out_count, bool *out_exact,
                             struct error *err);
CHECKED int sql_source_read(const struct sql_source_driver *driver, const void *config,
                            const struct sql_source_settings *settings, struct run *run,
                            const struct read_request *req, struct sink *out, struct error *err);

#endif
