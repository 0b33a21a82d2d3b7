#include "connectors/bad_rows.h"

static struct bad_rows *count_of(struct bad_rows_share *s)
{
    return s->plan->bad_rows ? s->plan->bad_rows : &s->alone;
}

static void add(struct bad_rows_share *s, int64_t read, int64_t bad)
{
    struct bad_rows *all = count_of(s);

    atomic_fetch_add(&all->read, read);
    atomic_fetch_add(&all->bad, bad);
}

void bad_rows_open(struct bad_rows_share *s, const struct write_plan *plan)
{
    *s = (struct bad_rows_share){.plan = plan};
}

void bad_rows_add(struct bad_rows_share *s, int64_t read, int64_t bad)
{
    s->read += read;
    s->bad += bad;
    add(s, read, bad);
}

void bad_rows_keep(struct bad_rows_share *s, int64_t read, int64_t bad)
{
    s->read -= read;
    s->bad -= bad;
}

void bad_rows_take_back(struct bad_rows_share *s)
{
    add(s, -s->read, -s->bad);
    s->read = s->bad = 0;
}

bool bad_rows_are_too_many(struct bad_rows_share *s)
{
    return atomic_load(&count_of(s)->bad) > s->plan->max_quarantined_rows;
}

int bad_rows_check(struct bad_rows_share *s, struct error *err)
{
    int64_t bad = atomic_load(&count_of(s)->bad), read = atomic_load(&count_of(s)->read);

    if (bad > s->plan->max_quarantined_rows)
        return error_set_reason(err, ERR_DATA, "quarantine_limit",
                                "%lld rows could not be stored, and the limit is %lld",
                                (long long)bad, (long long)s->plan->max_quarantined_rows);
    if (read >= BAD_ROWS_RATIO_AFTER && (double)bad > s->plan->max_quarantined_ratio * (double)read)
        return error_set_reason(
            err, ERR_DATA, "quarantine_limit",
            "%lld of %lld rows could not be stored, and the limit is a share of %g", (long long)bad,
            (long long)read, s->plan->max_quarantined_ratio);
    return 0;
}
