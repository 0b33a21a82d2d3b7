/*
 * horizon.h - below what nothing can appear any more (B4), and what it takes to know.
 *
 * Taken once per read, before the snapshot and in this order: the clock, the transactions that are
 * open then, and again and again those, until none of the first is open any more or the time to
 * wait is over. A *candidate* is a bound and the transactions that stand in its way; once all of
 * them have ended, the bound is the new `safe`. Those still in the way at the end are kept in the
 * position, and a later run looks whether they have ended since.
 */
#ifndef CONNECTORS_SQL_HORIZON_H
#define CONNECTORS_SQL_HORIZON_H

#include "connectors/sql/position.h"

struct horizon {
    int64_t unix_us; /* the clock, before the first look */
    bool visible;    /* false: open transactions could not be told at one look or another */
    /* Tokens sorted by strcmp: those of the first look that stayed, and all of the last look. */
    const char *const *waiting_for, *const *open;
    size_t n_waiting_for, n_open;
};

/* Waits at most `wait_s` seconds. Memory of `mem`. */
CHECKED int horizon_take(struct sql_reader *r, int64_t wait_s, struct arena *mem,
                         struct horizon *out, struct error *err);

/*
 * Offers what `safe` could become by this horizon, which must be visible. It does become that, or
 * the greatest candidate of earlier runs that nothing stands in the way of any more; what is still
 * blocked and could raise it further is kept among the candidates of `p`. Never lowers `safe`.
 * An unknown bound only looks after those that are there. Memory of `mem`.
 */
void horizon_offer(const struct horizon *h, struct maybe_int bound, struct arena *mem,
                   struct cursor_position *p);

#endif
