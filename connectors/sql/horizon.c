#include "connectors/sql/horizon.h"

#include <stdlib.h>
#include <string.h>

#define PAUSE_MIN_MS 50
#define PAUSE_MAX_MS 500

/* Tokens of all candidates of a position together; one candidate is kept whatever it takes. */
#define TOKENS_MAX 4096

struct candidates {
    struct candidate items[POSITION_CANDIDATES + 1];
    size_t n;
};

static int compare_tokens(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* In order and each once; memory of `mem`. */
static const char **sorted(struct arena *mem, const struct sql_moment *m, size_t n_also,
                           size_t *out_n)
{
    size_t n = m->n_open + n_also, kept = 0;
    const char **copy = arena_array(mem, n, sizeof *copy);

    for (size_t i = 0; i < n; i++)
        copy[i] = arena_strdup(mem, i < m->n_open ? m->open[i] : m->also[i - m->n_open]);
    if (n > 0)
        qsort(copy, n, sizeof *copy, compare_tokens);
    for (size_t i = 0; i < n; i++) {
        if (kept == 0 || strcmp(copy[kept - 1], copy[i]) != 0)
            copy[kept++] = copy[i];
    }
    *out_n = kept;
    return copy;
}

/* Keeps of `tokens` those that are open. Returns how many. */
static size_t keep_open(const char **tokens, size_t n, const char *const *open, size_t n_open)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++) {
        if (n_open > 0 && bsearch(&tokens[i], open, n_open, sizeof *open, compare_tokens))
            tokens[kept++] = tokens[i];
    }
    return kept;
}

static int look(struct sql_reader *r, struct arena *scratch, struct sql_moment *out,
                struct error *err)
{
    arena_clear(scratch);
    *out = (struct sql_moment){0};
    if (r->driver->moment(r, scratch, out, err) < 0)
        return error_wrap(err, "looking for open transactions");
    if (!out->visible)
        out->n_open = out->n_also = 0;
    return 0;
}

int horizon_take(struct sql_reader *r, int64_t wait_s, struct arena *mem, struct horizon *out,
                 struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *scratch = arena_new();
    int64_t left_ms = wait_s * 1000, pause_ms = PAUSE_MIN_MS;
    struct sql_moment m;
    const char **waiting;

    *out = (struct horizon){0};
    if (look(r, scratch, &m, err) < 0)
        return -1;
    out->unix_us = m.unix_us;
    waiting = sorted(mem, &m, 0, &out->n_waiting_for);
    out->waiting_for = waiting;
    out->open = sorted(mem, &m, m.n_also, &out->n_open);
    while (m.visible && out->n_waiting_for > 0 && left_ms > 0) {
        if (pause_ms > left_ms)
            pause_ms = left_ms;
        if (cancel_sleep_ms(r->run->cancel, pause_ms, err) < 0 || look(r, scratch, &m, err) < 0)
            return -1;
        left_ms -= pause_ms;
        pause_ms = pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : pause_ms * 2;
        out->open = sorted(mem, &m, m.n_also, &out->n_open);
        out->n_waiting_for = keep_open(waiting, out->n_waiting_for, out->open, out->n_open);
    }
    out->visible = m.visible;
    return 0;
}

/* ---------------------------------------------------------------- candidates */

static void drop_at(struct candidates *c, size_t i)
{
    memmove(&c->items[i], &c->items[i + 1], (c->n - i - 1) * sizeof c->items[0]);
    c->n--;
}

static void look_after(const struct horizon *h, const struct cursor_position *p, struct arena *mem,
                       struct candidates *out)
{
    for (size_t i = 0; i < p->n_candidates; i++) {
        struct candidate *c = &out->items[out->n++];
        const char **tokens;

        *c = p->candidates[i];
        tokens = arena_array(mem, c->n_open, sizeof *tokens);
        if (c->n_open > 0)
            memcpy(tokens, c->open, c->n_open * sizeof *tokens);
        c->n_open = keep_open(tokens, c->n_open, h->open, h->n_open);
        c->open = tokens;
    }
}

static bool all_within(const struct candidate *a, const struct candidate *b)
{
    size_t i = 0;

    for (size_t k = 0; k < b->n_open && i < a->n_open; k++)
        i += strcmp(a->open[i], b->open[k]) == 0;
    return i == a->n_open;
}

/* Whether a later one is free no later than this and reaches further. */
static bool is_beaten(const struct candidates *c, size_t i)
{
    for (size_t k = i + 1; k < c->n; k++) {
        if (c->items[k].bound >= c->items[i].bound && all_within(&c->items[k], &c->items[i]))
            return true;
    }
    return false;
}

static size_t count_tokens(const struct candidates *c)
{
    size_t n = 0;

    for (size_t i = 0; i < c->n; i++)
        n += c->items[i].n_open;
    return n;
}

/* The one whose loss leaves the smallest gap in time, neither the oldest nor the newest: the
 * oldest is the next to be free, and knows for how long nothing has been. */
static size_t least_missed(const struct candidates *c)
{
    size_t found = c->n - 1;
    int64_t smallest = INT64_MAX;

    for (size_t i = 1; i + 1 < c->n; i++) {
        int64_t gap = position_minus(c->items[i + 1].unix_us, c->items[i - 1].unix_us);

        if (gap < smallest) {
            smallest = gap;
            found = i;
        }
    }
    return found;
}

void horizon_offer(const struct horizon *h, struct maybe_int bound, struct arena *mem,
                   struct cursor_position *p)
{
    struct candidates c = {.n = 0};

    look_after(h, p, mem, &c);
    if (bound.known)
        c.items[c.n++] =
            (struct candidate){bound.value, h->unix_us, h->waiting_for, h->n_waiting_for};
    for (size_t i = 0; i < c.n; i++) {
        if (c.items[i].n_open == 0 && (!p->safe.known || c.items[i].bound > p->safe.value))
            p->safe = (struct maybe_int){true, c.items[i].bound};
    }
    for (size_t i = c.n; i-- > 0;) {
        if (c.items[i].n_open == 0 || (p->safe.known && c.items[i].bound <= p->safe.value))
            drop_at(&c, i);
    }
    for (size_t i = c.n; i-- > 1;) {
        if (is_beaten(&c, i))
            drop_at(&c, i);
    }
    while (c.n > POSITION_CANDIDATES || (c.n > 1 && count_tokens(&c) > TOKENS_MAX))
        drop_at(&c, least_missed(&c));
    if (c.n > 0)
        memcpy(p->candidates, c.items, c.n * sizeof c.items[0]);
    p->n_candidates = c.n;
}
