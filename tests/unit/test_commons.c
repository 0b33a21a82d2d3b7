#include <criterion/criterion.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "connectors/base/arena.h"
#include "connectors/commons.h"

#define THREADS 8

static const struct selection nothing;

struct taker {
    struct commons *commons;
    struct cancel *cancel;
    _Atomic int *made, *given_up;
    void *got;
    pthread_t thread;
};

static void *take(void *arg)
{
    struct taker *t = arg;
    struct error err = ERROR_INIT;
    int rc = commons_take(t->commons, "parents", t->cancel, &t->got, &err);

    while (rc == 1 && atomic_fetch_add(t->given_up, 1) < 3) { /* the first three fail */
        commons_give_up(t->commons, "parents");
        rc = commons_take(t->commons, "parents", t->cancel, &t->got, &err);
    }
    if (rc == 1) {
        atomic_fetch_add(t->made, 1);
        t->got = xalloc(1);
        commons_put(t->commons, "parents", t->got, free);
    }
    return NULL;
}

Test(commons, makes_a_thing_once_for_all_who_need_it)
{
    struct commons *commons = commons_new(&nothing);
    _Atomic int made = 0, given_up = 0;
    struct taker takers[THREADS];
    struct error err = ERROR_INIT;
    struct cancel *cancel;

    cr_assert_eq(cancel_new(&cancel, &err), 0);
    for (int i = 0; i < THREADS; i++) {
        takers[i] = (struct taker){commons, cancel, &made, &given_up, NULL, 0};
        cr_assert_eq(pthread_create(&takers[i].thread, NULL, take, &takers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(takers[i].thread, NULL);
    cr_assert_eq(made, 1);
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(takers[i].got, takers[0].got);
    commons_free(commons);
    cancel_free(cancel);
}

Test(commons, does_not_wait_for_one_who_never_ends)
{
    struct commons *commons = commons_new(&nothing);
    struct error err = ERROR_INIT;
    struct cancel *cancel;
    void *got;

    cr_assert_eq(cancel_new(&cancel, &err), 0);
    cr_assert_eq(commons_take(commons, "a", cancel, &got, &err), 1);
    cr_assert_eq(commons_take(commons, "b", cancel, &got, &err), 1); /* another thing is another */
    cancel_request(cancel, CANCEL_USER);
    cr_assert_eq(commons_take(commons, "a", cancel, &got, &err), -1);
    cr_assert_eq(err.code, ERR_CANCELLED);
    cr_assert_eq(commons_selection(commons), &nothing);
    commons_give_up(commons, "a");
    commons_free(commons);
    commons_free(NULL);
    cancel_free(cancel);
}
