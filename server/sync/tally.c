#include "server/sync/tally.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    char *id;
    struct moved moved;
};

struct tally {
    pthread_mutex_t mutex;
    struct entry *entries; /* by id */
    size_t n, cap;
};

struct tally *tally_new(void)
{
    struct tally *t = xalloc(sizeof *t);

    pthread_mutex_init(&t->mutex, NULL);
    return t;
}

void tally_free(struct tally *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n; i++)
        free(t->entries[i].id);
    free(t->entries);
    pthread_mutex_destroy(&t->mutex);
    free(t);
}

/* The place of `id`, or where it would be. With the mutex held. */
static size_t place_of(const struct tally *t, const char *id)
{
    size_t low = 0, high = t->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(t->entries[middle].id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct entry *find(const struct tally *t, const char *id)
{
    size_t i = place_of(t, id);

    return i < t->n && !strcmp(t->entries[i].id, id) ? &t->entries[i] : NULL;
}

static struct entry *insert(struct tally *t, const char *id)
{
    size_t i = place_of(t, id);

    if (t->n == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 16;
        t->entries = xrealloc(t->entries, t->cap * sizeof *t->entries);
    }
    memmove(t->entries + i + 1, t->entries + i, (t->n - i) * sizeof *t->entries);
    t->n++;
    t->entries[i] = (struct entry){.id = xstrdup(id)};
    return &t->entries[i];
}

void tally_add(struct tally *t, const char *connection_id, struct moved more)
{
    LOCK_GUARD(&t->mutex);
    struct entry *e = find(t, connection_id);

    if (!e)
        e = insert(t, connection_id);
    e->moved.rows += more.rows;
    e->moved.bytes += more.bytes;
}

struct moved tally_get(struct tally *t, const char *connection_id)
{
    LOCK_GUARD(&t->mutex);
    const struct entry *e = find(t, connection_id);

    return e ? e->moved : (struct moved){0};
}

void tally_forget(struct tally *t, const char *connection_id)
{
    LOCK_GUARD(&t->mutex);
    struct entry *e = find(t, connection_id);

    if (!e)
        return;
    free(e->id);
    t->n--;
    memmove(e, e + 1, (size_t)(t->entries + t->n - e) * sizeof *e);
}
