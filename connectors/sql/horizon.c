#include "connectors/sql/horizon.h"

#include <stdlib.h>
#include <string.h>

#define PAUSE_MIN_MS 50
#define PAUSE_MAX_MS 500

static int compare_tokens(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const char *const *sorted(struct arena *mem, const char *const *tokens, size_t n)
{
    const char **copy = arena_array(mem, n, sizeof *copy);

    for (size_t i = 0; i < n; i++)
        copy[i] = arena_strdup(mem, tokens[i]);
    if (n > 0)
        qsort(copy, n, sizeof *copy, compare_tokens);
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

static int look(struct sql_reader *r, struct arena *mem, struct arena *scratch, struct horizon *h,
                int64_t *out_unix_us, struct error *err)
{
    struct sql_moment m = {0};

    arena_clear(scratch);
    if (r->driver->moment(r, scratch, &m, err) < 0)
        return error_wrap(err, "looking for open transactions");
    *out_unix_us = m.unix_us;
    h->visible = m.visible;
    h->n_open = m.visible ? m.n_open : 0;
    h->open = sorted(mem, m.open, h->n_open);
    return 0;
}

int horizon_take(struct sql_reader *r, int64_t wait_s, struct arena *mem, struct horizon *out,
                 struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *scratch = arena_new();
    int64_t left_ms = wait_s * 1000, pause_ms = PAUSE_MIN_MS, ignored;
    const char **waiting;

    *out = (struct horizon){0};
    if (look(r, mem, scratch, out, &out->unix_us, err) < 0)
        return -1;
    out->n_waiting_for = out->n_open;
    waiting = arena_array(mem, out->n_open, sizeof *waiting);
    if (out->n_open > 0)
        memcpy(waiting, out->open, out->n_open * sizeof *waiting);
    out->waiting_for = waiting;
    while (out->visible && out->n_waiting_for > 0 && left_ms > 0) {
        if (pause_ms > left_ms)
            pause_ms = left_ms;
        if (cancel_sleep_ms(r->run->cancel, pause_ms, err) < 0 ||
            look(r, mem, scratch, out, &ignored, err) < 0)
            return -1;
        left_ms -= pause_ms;
        pause_ms = pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : pause_ms * 2;
        out->n_waiting_for = keep_open(waiting, out->n_waiting_for, out->open, out->n_open);
    }
    return 0;
}
