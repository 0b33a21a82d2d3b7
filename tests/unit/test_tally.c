#include <criterion/criterion.h>

#include <pthread.h>
#include <stdio.h>

#include "server/sync/tally.h"

static struct tally *t;

static void setup(void)
{
    t = tally_new();
}

static void teardown(void)
{
    tally_free(t);
}

TestSuite(tally, .init = setup, .fini = teardown);

static void expect(const char *id, int64_t rows, int64_t bytes)
{
    struct moved m = tally_get(t, id);

    cr_expect_eq(m.rows, rows, "%s: %lld rows", id, (long long)m.rows);
    cr_expect_eq(m.bytes, bytes, "%s: %lld bytes", id, (long long)m.bytes);
}

Test(tally, adds_up_by_connection)
{
    expect("a", 0, 0);
    tally_add(t, "b", (struct moved){5, 500});
    tally_add(t, "a", (struct moved){1, 10});
    tally_add(t, "b", (struct moved){2, 20});
    expect("a", 1, 10);
    expect("b", 7, 520);
    expect("c", 0, 0);
}

Test(tally, begins_anew_with_one_that_was_forgotten)
{
    tally_add(t, "a", (struct moved){1, 10});
    tally_add(t, "b", (struct moved){2, 20});
    tally_add(t, "c", (struct moved){3, 30});
    tally_forget(t, "b");
    tally_forget(t, "b");
    tally_forget(t, "nobody");
    expect("a", 1, 10);
    expect("b", 0, 0);
    expect("c", 3, 30);
    tally_add(t, "b", (struct moved){4, 40});
    expect("b", 4, 40);
}

#define IDS 500

static void *move(void *arg)
{
    for (int i = 0; i < IDS * 20; i++) {
        char id[16];

        snprintf(id, sizeof id, "%d", i * 7919 % IDS);
        tally_add(t, id, (struct moved){1, 2});
        if (i % 3 == 0)
            tally_forget(t, "not one of them");
    }
    return arg;
}

Test(tally, threads_lose_nothing)
{
    pthread_t threads[4];

    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, move, NULL), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < IDS; i++) {
        char id[16];

        snprintf(id, sizeof id, "%d", i);
        expect(id, 80, 160);
    }
}

Test(tally, none_is_freed_too)
{
    tally_free(NULL);
}
