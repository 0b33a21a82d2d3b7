/*
 * increment.h - the bookmarks of an API: bounds, windows, and what may be believed.
 *
 * Times are counted in microseconds, integers as they are; a cursor of type string is compared as
 * text and knows neither windows nor lookback. The bookmark `safe` is the bound below which nothing
 * can appear any more: for times the end of the reading (the server's clock where it tells) minus
 * the lookback, for the others the greatest value seen, which is read again. It never decreases.
 */
#ifndef CONNECTORS_REST_INCREMENT_H
#define CONNECTORS_REST_INCREMENT_H

#include "connectors/rest/document.h"

struct bound {
    bool known;
    int64_t n;        /* of times and integers */
    const char *text; /* of strings */
};

struct increment {
    const struct rest_incremental *how;
    bool closed; /* the rows are appended: only what nothing can join any more is read */
    struct bound safe, high, lower, upper; /* upper: of the whole reading */
    struct bound from, to;                 /* of the window being read */
    bool read_any;
    bool fresh;           /* what is read now was not there when `safe` was set: from `start` on */
    struct buf high_text; /* holds high.text; private */
};

void increment_init(struct increment *i, const struct rest_incremental *how, bool closed);
void increment_release(struct increment *i);

/* A bound from text of a position, of a record, or of the document. False when it is none. */
bool bound_read(enum rest_cursor_type type, const struct rest_value *v, struct arena *mem,
                struct bound *out);
/* As a JSON value that `state` holds: an instant, a date, a number, a string; "null". */
const char *bound_json(enum rest_cursor_type type, const struct bound *b, struct arena *mem);
/* As the text of a position, the same without quotes; NULL when not known. */
const char *bound_text(enum rest_cursor_type type, const struct bound *b, struct arena *mem);
int bound_compare(const struct bound *a, const struct bound *b); /* both known */

/*
 * Begins a reading: from `start` when there is no bookmark. `now` is the time of the run, in
 * microseconds; `end` the document's own end, or unknown. RESYNC, reason "cursor_too_old", when the
 * API has forgotten what is asked for.
 */
CHECKED int increment_begin(struct increment *i, const struct bound *start, const struct bound *end,
                            int64_t now_us, struct error *err);
/* The next window into from and to; false when all are read. */
bool increment_next_window(struct increment *i);
/* What is sent for the window: rounded by the granularity, an exclusive server asked one less. */
struct bound increment_sent_from(const struct increment *i);
struct bound increment_sent_to(const struct increment *i);

/* Whether a record with this cursor belongs to this reading; notes the greatest. */
CHECKED int increment_keep(struct increment *i, const struct rest_value *cursor, struct arena *mem,
                           bool *out, struct error *err);
/* The reading is complete: moves `safe`. `date_us` is the server's clock, 0 = not known. */
void increment_end(struct increment *i, int64_t date_us);

#endif
