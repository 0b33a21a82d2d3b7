/*
 * Rows of a merged stream that need not be staged, since their keys are new for certain.
 *
 * Merging looks for the key of every row and, in PostgreSQL, makes room for it speculatively, which
 * costs more than loading it. A key that is greater than every key of the table and of all rows
 * before it, staged ones included, cannot be there: such a row goes straight into the table. That
 * is known of one integer column, whose greatest value the index of the key tells; first loads, and
 * rows that a sequence has numbered since the last run, are of this kind. A later row of the same
 * key is not new any more, is staged, and finds the first one when it is merged.
 *
 * Only of tables of ours: nobody else writes a table of this stream. Should somebody do it
 * nevertheless, the index refuses the row, and the next attempt sees the key; see straight_blame.
 */
#include <stdlib.h>
#include <string.h>

#include "connectors/base/arena.h"
#include "connectors/sql/load.h"

/* Fewer new ones are not worth a statement of their own. */
#define WORTHWHILE(n_rows) ((n_rows) / 4)

static const struct sql_column *key_column(const struct sql_table *t)
{
    const struct sql_column *key = NULL;

    for (size_t i = 0; i < t->n_columns; i++) {
        if (t->columns[i].role != SQL_ROLE_KEY)
            continue;
        if (key)
            return NULL;
        key = &t->columns[i];
    }
    return key;
}

/* An empty table counts as one whose greatest key is 0: keys below it are staged. */
static int ask_greatest(struct sql_destination *d, const struct load *l, int64_t *out,
                        struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    const struct sql_column *key = key_column(&l->table);

    if (!key)
        abort(); /* asked of tables with a key of one column only */
    buf_puts(&sql, "SELECT max(");
    sql_put_name(d->dialect, key->name, &sql);
    buf_puts(&sql, ") FROM ");
    sql_put_table(d->dialect, l->table.schema, l->table.name, &sql);
    return load_count(d, &sql, out, err);
}

int straight_look(struct sql_destination *d, struct load *l, struct error *err)
{
    const struct sql_column *key = key_column(&l->table);

    l->straight = d->dialect->loads_new_keys && l->merging && !l->row.adopted && key &&
                  key->type.type == TYPE_INT && l->shape->columns[l->key[0]].type.type == TYPE_INT;
    if (!l->straight || l->has_greatest)
        return 0;
    if (ask_greatest(d, l, &l->greatest, err) < 0)
        return -1;
    l->greatest_before = l->greatest;
    l->has_greatest = true;
    return 0;
}

/* ---------------------------------------------------------------------- picking */

/*
 * How many rows are to go straight into the table: those for which *out_not_new is false. For those
 * that are to be staged *out_not_old is false. 0: all are staged. A batch whose new keys do not
 * ascend may have one twice, which is folded in the stage.
 */
static size_t pick_new(struct sql_destination *d, struct load *l, const struct batch *rows,
                       const bool *skip, const bool **out_not_new, const bool **out_not_old)
{
    size_t n = batch_rows(rows), n_new = 0, n_wanted = 0;
    int64_t before = l->greatest;
    bool *not_new, *not_old, ascend = true;
    struct column_view key;

    if (!l->straight)
        return 0;
    key = batch_column(rows, l->key[0]);
    *out_not_new = not_new = arena_array(d->scratch, n + 1, sizeof *not_new);
    *out_not_old = not_old = arena_array(d->scratch, n + 1, sizeof *not_old);
    for (size_t i = 0; i < n; i++) {
        bool wanted = !skip || !skip[i], is_new = wanted && key.ints[i] > before;

        ascend &= !is_new || key.ints[i] > l->greatest;
        if (is_new && key.ints[i] > l->greatest)
            l->greatest = key.ints[i];
        not_new[i] = !is_new;
        not_old[i] = !wanted || is_new;
        n_new += is_new;
        n_wanted += wanted;
    }
    return ascend && n_new >= WORTHWHILE(n_wanted) ? n_new : 0;
}

/* ----------------------------------------------------------------------- putting */

/* Whether what is staged has to be folded at all: usually it has not, and folding costs most. */
static void note_keys(struct load *l, const struct batch *rows, const bool *skip)
{
    const struct schema *schema = batch_schema(rows);
    bool same_key = schema->n_key == l->want->schema->n_key;

    if (!l->keys)
        l->keys = keyset_new();
    for (size_t i = 0; i < schema->n_key && same_key; i++)
        same_key = schema->key[i] == l->key[i];
    if (same_key)
        keyset_add(l->keys, rows, skip);
    else
        keyset_give_up(l->keys);
}

static int put_part(struct sql_destination *d, const struct sql_bulk *bulk,
                    const struct batch *rows, size_t n, struct error *err)
{
    int64_t inserted;

    if (d->conn->driver->bulk(d->conn, bulk, rows, &inserted, err) < 0)
        return -1;
    if (inserted != (int64_t)n)
        return error_set(err, ERR_INTERNAL, "%zu rows were sent and %lld arrived", n,
                         (long long)inserted);
    return 0;
}

/* `n` of the rows are not skipped. */
static int put_straight(struct sql_destination *d, struct load *l, struct sql_bulk bulk,
                        const struct batch *rows, size_t n, struct error *err)
{
    bulk.into = &l->table;
    bulk.fill = l->fill;
    l->went_straight = l->staging;
    l->pending.inserted += (int64_t)n;
    return put_part(d, &bulk, rows, n, err);
}

static int put_staged(struct sql_destination *d, struct load *l, struct sql_bulk bulk,
                      const struct batch *rows, size_t n, struct error *err)
{
    int64_t n_rows = (int64_t)batch_rows(rows);

    if (!l->stage_exists && alter_stage(d, l, err) < 0)
        return -1;
    bulk.into = &l->stage;
    bulk.fill = l->stage_fill;
    bulk.temporary = true;
    bulk.first_order = l->n_staged;
    if (l->merging)
        note_keys(l, rows, bulk.skip);
    l->n_staged += n_rows;                       /* order numbers count skipped rows as well */
    l->pending.unchanged -= n_rows - (int64_t)n; /* merge_staged takes them for staged */
    return put_part(d, &bulk, rows, n, err);
}

int straight_put(struct sql_destination *d, struct load *l, const struct batch *rows,
                 struct error *err)
{
    size_t n_rejected, n_rows = batch_rows(rows), n_left = n_rows, n_new;
    const bool *not_new = NULL, *not_old = NULL;
    struct sql_bulk bulk = {0};
    const char **meta;
    bool *skip;

    (void)batch_rejected(rows, &n_rejected);
    l->pending.read += (int64_t)(n_rows + n_rejected);
    l->pending.bytes_read += (int64_t)batch_bytes(rows);
    bad_rows_add(&d->bad, (int64_t)(n_rows + n_rejected), 0);
    if (quarantine_batch(d, l, rows, &rows, &skip, &meta, err) < 0)
        return -1;
    for (size_t i = 0; i < n_rows; i++)
        n_left -= skip[i];
    bulk.skip = n_left < n_rows ? skip : NULL;
    bulk.meta = meta;
    if (!l->staging) {
        bulk.unseen = l->building && l->row.counts.inserted == 0 && l->pending.inserted == 0;
        return put_straight(d, l, bulk, rows, n_left, err);
    }
    n_new = pick_new(d, l, rows, bulk.skip, &not_new, &not_old);
    if (n_new == n_left && n_new > 0)
        return put_straight(d, l, bulk, rows, n_new, err);
    if (n_new > 0) {
        bulk.skip = not_new;
        if (put_straight(d, l, bulk, rows, n_new, err) < 0)
            return -1;
        bulk.skip = not_old;
    }
    return put_staged(d, l, bulk, rows, n_left - n_new, err);
}

/* In no transaction; what the failed one has written is gone. */
void straight_blame(struct sql_destination *d, struct error *err)
{
    for (size_t i = 0; i < d->plan->n && err->code == ERR_DATA; i++) {
        const struct load *l = &d->streams[i];
        struct error why = *err, ignored = ERROR_INIT;
        int64_t greatest;

        if (!l->went_straight || ask_greatest(d, l, &greatest, &ignored) < 0 ||
            greatest <= l->greatest_before)
            continue;
        *err = ERROR_INIT;
        (void)!error_set_reason(err, ERR_CONTENTION, "key_appeared",
                                "stream \"%s\": somebody else writes into its table: %s", l->id,
                                why.message);
    }
}
