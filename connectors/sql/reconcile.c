/*
 * Which generation of a stream a run goes on with.
 *
 *   state    copy     table    what happens
 *   ----------------------------------------------------------------------------------------
 *   none     none     none     generation 1
 *   none     none     exists   CONFLICT table_exists, unless tables are adopted
 *   none     there    none     the data is gone with its state: a new generation from zero
 *   none     there    exists   CONFLICT state_lost, unless tables are adopted or positions edited
 *                              (go on from there) or a full refresh was asked for (build anew)
 *   another's                  CONFLICT table_owned
 *   present           none     the data is gone: a new generation from zero; continued if nothing
 *                              was committed yet
 *   present           exists   continued, unless it is complete (full refresh, by another run), was
 *                              asked to start over, or key, cursor, modes or (while it is being
 *                              built) schema are others
 *   behind the copy   exists   the destination was restored: the same, from its own position
 *
 * `copy` is what the service last heard of the state.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "connectors/sql/load.h"

static int compare_exactly(const void *a, const void *b)
{
    return strcmp(((const struct table_name *)a)->name, ((const struct table_name *)b)->name);
}

static int compare_folded(const void *a, const void *b)
{
    return names_compare(((const struct table_name *)a)->name,
                         ((const struct table_name *)b)->name);
}

bool reconcile_exists(const struct place *p, const char *name, bool *out_is_table)
{
    const struct table_name wanted = {.name = name}, *found = NULL;

    if (p->n_tables > 0)
        found = bsearch(&wanted, p->tables, p->n_tables, sizeof *p->tables,
                        p->any_case ? compare_folded : compare_exactly);
    *out_is_table = found && found->is_table;
    return found != NULL;
}

void reconcile_sort(struct place *p)
{
    if (p->n_tables > 0)
        qsort(p->tables, p->n_tables, sizeof *p->tables,
              p->any_case ? compare_folded : compare_exactly);
}

static bool table_exists(const struct load *l, const char *name)
{
    bool is_table;

    return reconcile_exists(l->place, name, &is_table) && is_table;
}

/*
 * Whether rows go to the live table from the first. Incremental runs add to it; a full refresh that
 * merges by key changes the rows that are there, and may be repeated as often as it is cut short.
 */
static bool writes_live(const struct load *l)
{
    return l->want->sync_mode == SYNC_INCREMENTAL || l->want->write_mode == WRITE_APPEND_DEDUP ||
           l->want->write_mode == WRITE_INSERT_ONLY;
}

/* The answer to the last commit was lost, and the run is tried again: an append would come twice.
 */
static bool completed_by_this_run(const struct sql_destination *d, const struct state_row *row)
{
    return *d->run->id && row->position && strcmp(row->run_id, d->run->id) == 0;
}

/* Whether what was begun can be gone on with. */
static bool continues(const struct sql_destination *d, const struct load *l,
                      const struct state_row *row, bool generation_exists)
{
    bool complete = row->live_generation == row->generation;

    if (d->plan->restart || strcmp(row->identity, l->identity) != 0 ||
        strcmp(row->target, l->row.target) != 0)
        return false;
    /* Without a commit there is no table yet, and no data that could be gone. */
    if (complete)
        return (l->live_exists || row->seq == 0) &&
               (writes_live(l) || completed_by_this_run(d, row));
    if (row->live_generation > 0 && !l->live_exists)
        return false;
    if (strcmp(row->schema_hash, l->schema_hash) != 0)
        return false;
    /* Rows without a position, or a position without rows, are of no use. */
    return row->seq == 0 || (row->position && generation_exists);
}

/* The next number under which no table is left over from a state that was lost. */
static int64_t next_generation(struct sql_destination *d, const struct load *l, int64_t last)
{
    int64_t next = last + 1;
    bool is_table;

    while (reconcile_exists(l->place, recover_generation(d, l->row.target, next), &is_table))
        next++;
    return next;
}

static int refuse_table(const struct load *l, struct error *err)
{
    return error_set_reason(err, ERR_CONFLICT, "table_exists",
                            "table \"%s\" is there already and not ours", l->row.target);
}

/* The name is free, or held by a table that may be taken over. */
static int check_name(const struct sql_destination *d, const struct load *l, struct error *err)
{
    bool is_table;

    if (!reconcile_exists(l->place, l->row.target, &is_table))
        return 0;
    if (!is_table)
        return error_set_reason(err, ERR_CONFLICT, "table_exists",
                                "\"%s\" is there already and no table", l->row.target);
    return d->adopt ? 0 : refuse_table(l, err);
}

/* There is a table of ours, its state is gone, and the service remembers what that was. */
static int decide_lost(struct sql_destination *d, struct load *l, const struct stream_copy *copy,
                       const char *edit, struct error *err)
{
    struct state_row *row = &l->row;
    bool goes_on = d->adopt || edit;

    if (d->plan->restart) {
        row->generation = next_generation(d, l, copy->generation);
        row->live_generation = copy->generation;
        row->adopted = d->adopt;
        return 0;
    }
    if (!goes_on || !writes_live(l))
        return error_set_reason(
            err, ERR_CONFLICT, "state_lost",
            "table \"%s\" is there but not the state of stream \"%s\", which the last run left in "
            "generation %lld; ask for a full refresh, or give the position from which to go on",
            row->target, l->id, (long long)copy->generation);
    row->generation = row->live_generation = copy->generation;
    row->seq = copy->seq;
    row->position = copy->position;
    row->adopted = d->adopt;
    return 0;
}

static int decide_new(struct sql_destination *d, struct load *l, const struct stream_copy *copy,
                      const char *edit, struct error *err)
{
    struct state_row *row = &l->row;

    /* What is built anew in a table that may be taken over needs no state. */
    if (copy && l->live_exists && (writes_live(l) || !d->adopt))
        return decide_lost(d, l, copy, edit, err);
    if (check_name(d, l, err) < 0)
        return -1;
    row->generation = next_generation(d, l, copy ? copy->generation : 0);
    row->adopted = l->live_exists;
    row->live_generation = writes_live(l) ? row->generation : 0;
    return 0;
}

static int decide_anew(struct sql_destination *d, struct load *l, const struct state_row *was,
                       struct error *err)
{
    struct state_row *row = &l->row;

    row->garbage = was->garbage;
    if (was->live_generation != was->generation)
        state_discard(d, row, recover_generation(d, was->target, was->generation));
    row->generation = next_generation(d, l, was->generation);
    row->schema_version = was->schema_version;
    row->fence = was->fence;
    row->seq = 0;
    /* In another mode it may have been one of several generations that were appended. */
    if (was->live_generation == was->generation && !was->adopted &&
        strcmp(was->identity, l->identity) == 0)
        l->live_delivered = was->counts.inserted - was->counts.deleted;
    if (strcmp(was->target, row->target) == 0 && l->live_exists) {
        row->adopted = was->adopted;
        row->live_generation = was->live_generation;
        row->columns = was->columns;
        row->n_columns = was->n_columns;
        row->left_out = was->left_out;
        return 0;
    }
    if (check_name(d, l, err) < 0)
        return -1;
    row->adopted = l->live_exists;
    row->live_generation = writes_live(l) ? row->generation : 0;
    return 0;
}

/* A destination that knows less than the service was put back to an older state. */
static void tell_restored(struct sql_destination *d, const struct load *l,
                          const struct state_row *was, const struct stream_copy *copy)
{
    if (copy && (was->generation < copy->generation ||
                 (was->generation == copy->generation && was->seq < copy->seq)))
        log_warn(d->run->log,
                 .message = "the destination is older than at the end of the last run; going on "
                            "from the position it has",
                 .fields = {log_text("stream", l->id), log_int("generation", was->generation),
                            log_int("seq", was->seq), log_int("last_generation", copy->generation),
                            log_int("last_seq", copy->seq)});
}

int reconcile_stream(struct sql_destination *d, struct load *l, const struct state_row *was,
                     struct error *err)
{
    size_t i = (size_t)(l - d->streams);
    const struct stream_copy *copy = d->plan->copies ? &d->plan->copies[i] : NULL;
    const char *edit = d->plan->override_positions ? d->plan->override_positions[i] : NULL;
    bool exists;

    if (copy && !copy->known)
        copy = NULL;
    l->live_exists = table_exists(l, l->row.target);
    l->live_delivered = -1;
    if (!was) {
        if (decide_new(d, l, copy, edit, err) < 0)
            return -1;
    } else {
        tell_restored(d, l, was, copy);
        exists = table_exists(l, recover_generation(d, was->target, was->generation));
        if (continues(d, l, was, exists))
            l->row = *was;
        else if (decide_anew(d, l, was, err) < 0)
            return -1;
    }
    if (edit)
        l->row.position = *edit ? edit : NULL;
    return 0;
}
