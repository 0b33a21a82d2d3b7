#include "connectors/commons.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "connectors/base/arena.h"
#include "connectors/base/cleanup.h"

/* A stop that was asked for is seen this soon by those who wait for another one's work. */
#define LOOK_NS INT64_C(50000000)

struct thing {
    char *name;
    void *what; /* NULL = being made */
    void (*release)(void *what);
};

struct commons {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    const struct selection *all;
    struct thing *things;
    size_t n;
};

struct commons *commons_new(const struct selection *all)
{
    struct commons *k = xalloc(sizeof *k);

    pthread_mutex_init(&k->mutex, NULL);
    pthread_cond_init(&k->changed, NULL);
    k->all = all;
    return k;
}

void commons_free(struct commons *k)
{
    if (!k)
        return;
    for (size_t i = 0; i < k->n; i++) {
        if (k->things[i].what)
            k->things[i].release(k->things[i].what);
        free(k->things[i].name);
    }
    free(k->things);
    pthread_cond_destroy(&k->changed);
    pthread_mutex_destroy(&k->mutex);
    free(k);
}

const struct selection *commons_selection(const struct commons *k)
{
    return k->all;
}

static struct thing *find(struct commons *k, const char *name)
{
    for (size_t i = 0; i < k->n; i++) {
        if (strcmp(k->things[i].name, name) == 0)
            return &k->things[i];
    }
    return NULL;
}

static void wait_a_little(struct commons *k)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += LOOK_NS;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&k->changed, &k->mutex, &until);
}

int commons_take(struct commons *k, const char *name, const struct cancel *cancel, void **out,
                 struct error *err)
{
    LOCK_GUARD(&k->mutex);
    struct thing *t;

    while ((t = find(k, name))) {
        if (t->what) {
            *out = t->what;
            return 0;
        }
        if (cancel_check(cancel, err) < 0)
            return -1;
        wait_a_little(k);
    }
    k->things = xrealloc(k->things, (k->n + 1) * sizeof *k->things);
    k->things[k->n++] = (struct thing){.name = xstrdup(name)};
    return 1;
}

void commons_put(struct commons *k, const char *name, void *what, void (*release)(void *thing))
{
    LOCK_GUARD(&k->mutex);
    struct thing *t = find(k, name);

    if (!t)
        abort(); /* whoever puts it has taken it on */
    t->what = what;
    t->release = release;
    pthread_cond_broadcast(&k->changed);
}

void commons_give_up(struct commons *k, const char *name)
{
    LOCK_GUARD(&k->mutex);
    struct thing *t = find(k, name);

    if (!t)
        abort();
    free(t->name);
    *t = k->things[--k->n];
    pthread_cond_broadcast(&k->changed);
}
