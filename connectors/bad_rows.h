/*
 * bad_rows.h - how many rows of a run could not be stored, and when they are too many.
 *
 * The limits are of the run: they hold over all its lanes and all its attempts. So every
 * destination that a run opens has a share in one count. It adds the rows it meets, keeps what it
 * has committed, and in the end takes the rest back, because that will be met again. Two lanes that
 * would cross the limit together do not both commit: each counts before it looks. Only rows of a
 * commit whose answer was lost are unknown until the run has asked what became of it.
 */
#ifndef CONNECTORS_BAD_ROWS_H
#define CONNECTORS_BAD_ROWS_H

#include <stdatomic.h>

#include "connectors/connector.h"

/* Rows read, those left out on purpose included, after which their share of bad ones says
 * something. */
#define BAD_ROWS_RATIO_AFTER 10000

/* Of a run; safe from any thread. All zero to begin with. */
struct bad_rows {
    _Atomic int64_t read, bad;
};

/* Of one opened destination, which embeds it and belongs to one thread. */
struct bad_rows_share {
    const struct write_plan *plan;
    struct bad_rows alone; /* when the plan has no count to share */
    int64_t read, bad;     /* met and not committed */
};

void bad_rows_open(struct bad_rows_share *s, const struct write_plan *plan);
void bad_rows_add(struct bad_rows_share *s, int64_t read, int64_t bad);
/* So many of those added are committed. */
void bad_rows_keep(struct bad_rows_share *s, int64_t read, int64_t bad);
/* What was not committed never was. */
void bad_rows_take_back(struct bad_rows_share *s);

/* More than may be, without a look at the ratio, which may still become better. */
bool bad_rows_are_too_many(struct bad_rows_share *s);
/* Before a commit: fails with DATA, reason "quarantine_limit". */
CHECKED int bad_rows_check(struct bad_rows_share *s, struct error *err);

#endif
