/*
 * What others have made on a table of ours, and how a new generation gets it: made again, carried
 * over, or, when it depends on the table itself, only named.
 */
#include <string.h>

#include "connectors/sql/load.h"

static int take_attached(void *arg, const struct sql_value *v, size_t n, struct error *err)
{
    struct attached_list *list = arg;
    struct attached *a = arena_alloc(list->mem, sizeof *a);

    (void)n;
    (void)err;
    a->name = sql_value_text(list->mem, &v[0]);
    a->kind = sql_value_text(list->mem, &v[1]);
    a->sql = sql_value_text(list->mem, &v[2]);
    *list->last = a;
    list->last = &a->next;
    return 0;
}

int swap_find_attached(struct sql_destination *d, const struct load *l, const char *table,
                       struct attached_list *out, struct error *err)
{
    *out = (struct attached_list){.mem = d->scratch};
    out->last = &out->first;
    if (!d->dialect->attached_query)
        return 0;
    return load_ask(d, d->dialect->attached_query, l->schema, table, NULL, take_attached, out, err);
}

static int take_carried(void *arg, const struct sql_value *v, size_t n, struct error *err)
{
    struct carried_list *list = arg;
    struct carried *c = arena_alloc(list->mem, sizeof *c);

    (void)n;
    (void)err;
    *c = (struct carried){v[0].number, sql_value_text(list->mem, &v[1]), NULL};
    *list->last = c;
    list->last = &c->next;
    return 0;
}

int swap_find_carried(struct sql_destination *d, const struct load *l, struct carried_list *out,
                      struct error *err)
{
    *out = (struct carried_list){.mem = d->scratch};
    out->last = &out->first;
    for (size_t i = 0; i < 3 && d->dialect->carry_query[i]; i++) {
        if (load_ask(d, d->dialect->carry_query[i], l->schema, l->row.target, l->table_name,
                     take_carried, out, err) < 0)
            return -1;
    }
    return 0;
}

int swap_carry_over(struct sql_destination *d, const struct carried_list *list, struct error *why,
                    struct error *err)
{
    if (load_begin(d, err) < 0)
        return -1;
    for (const struct carried *c = list->first; c; c = c->next) {
        if (c->with_renames || load_run_text(d, c->sql, why) == 0)
            continue;
        load_rollback(d);
        if (error_is_retryable(why) || why->code == ERR_CANCELLED) {
            *err = *why;
            return -1;
        }
        return 1;
    }
    return load_commit(d, err);
}

static int note_dependent(void *arg, const struct sql_value *v, size_t n, struct error *err)
{
    struct dependents *found = arg;
    const char *kind = sql_value_text(found->mem, &v[1]);

    (void)n;
    (void)err;
    if (!found->name) {
        found->name = sql_value_text(found->mem, &v[0]);
        found->kind = kind;
    }
    if (strcmp(kind, "foreign key") == 0)
        found->reference = sql_value_text(found->mem, &v[0]);
    return 0;
}

int swap_find_dependents(struct sql_destination *d, const struct load *l, struct dependents *out,
                         struct error *err)
{
    *out = (struct dependents){.mem = d->scratch};
    return load_ask(d, d->dialect->dependents_query, l->schema, l->row.target, NULL, note_dependent,
                    out, err);
}
