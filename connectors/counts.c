#include "connectors/connector.h"

void counts_add(struct counts *total, const struct counts *more)
{
    total->read += more->read;
    total->bytes_read += more->bytes_read;
    total->filtered += more->filtered;
    total->overlap_dropped += more->overlap_dropped;
    total->folded += more->folded;
    total->quarantined_rows += more->quarantined_rows;
    total->quarantined_cells += more->quarantined_cells;
    total->altered_cells += more->altered_cells;
    total->inserted += more->inserted;
    total->updated += more->updated;
    total->unchanged += more->unchanged;
    total->deleted += more->deleted;
}

bool counts_balance(const struct counts *c)
{
    return c->read == c->filtered + c->overlap_dropped + c->folded + c->quarantined_rows +
                          c->inserted + c->updated + c->unchanged + c->deleted;
}
