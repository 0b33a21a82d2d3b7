/*
 * position.h - positions of SQL sources: their JSON and the arithmetic of bookmarks.
 *
 * A cursor value is a number in its own unit (integers as they are, days, microseconds) and stands
 * in a position as canonical text. Pure.
 */
#ifndef CONNECTORS_SQL_POSITION_H
#define CONNECTORS_SQL_POSITION_H

#include "connectors/sql/source.h"

struct maybe_int {
    bool known;
    int64_t value;
};

struct keyset_position {
    bool done;
    const char *filter; /* digest of the conditions under which rows were read, "" = none */
    bool has_key;
    struct sql_value *key;
};

#define POSITION_CANDIDATES 16

/* A bound that was taken, and the transactions that stood in its way when last looked at. */
struct candidate {
    int64_t bound;           /* what `safe` becomes once they have ended */
    int64_t unix_us;         /* when it was taken, by the clock of the source */
    const char *const *open; /* tokens, sorted by strcmp */
    size_t n_open;
};

struct cursor_position {
    struct maybe_int safe, high;                      /* safe: known once a bound was proven */
    struct candidate candidates[POSITION_CANDIDATES]; /* oldest first */
    size_t n_candidates;
    bool within; /* a run stopped in the middle */
    struct maybe_int lower;
    int64_t upper;
    bool has_resume;         /* else nothing was delivered yet */
    struct maybe_int cursor; /* unknown: among the rows without one */
    bool has_key;
    struct sql_value *key;
};

/* `types` are those of the key columns, and the values of a key point to them. RESYNC, reason
 * "position_unknown", for what is not ours. */
CHECKED int position_read_keyset(const char *text, const struct column_type *types, size_t n_key,
                                 struct arena *mem, struct keyset_position *out, struct error *err);
CHECKED int position_read_cursor(const char *text, enum type cursor,
                                 const struct column_type *types, size_t n_key, struct arena *mem,
                                 struct cursor_position *out, struct error *err);

/* `key` is the inside of the array, "" = none. Valid in `mem`. */
const char *position_write_keyset(struct arena *mem, const char *filter, const char *key,
                                  bool done);
const char *position_write_cursor(struct arena *mem, enum type cursor,
                                  const struct cursor_position *p, const char *key);

/* Appends one stored value as an element of a key: a string when it is of the natural kind. */
void position_put_value(const struct sql_value *v, struct column_type type, struct buf *out);

/* Units of a cursor type in which horizon, lookback and skew are counted. */
int64_t position_from_unix_us(enum type cursor, int64_t unix_us);
int64_t position_skew(enum type cursor, int64_t skew_s);
int64_t position_lookback(enum type cursor, int64_t lookback_s);
/* Without overflow. */
int64_t position_minus(int64_t a, int64_t b);

/* The date two days before a cursor value, as text: below every way to write it. */
const char *position_hint(struct arena *mem, enum type cursor, int64_t value);

#endif
