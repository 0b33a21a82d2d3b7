/*
 * store_fixture.h - a store in a directory of its own, for unit tests of whatever needs one.
 */
#ifndef TESTS_SUPPORT_STORE_FIXTURE_H
#define TESTS_SUPPORT_STORE_FIXTURE_H

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connectors/base/arena.h"
#include "server/store/store.h"

struct fixture {
    char dir[64], path[96];
    struct store *store;
    struct arena *mem;
    struct error err;
};

static struct fixture fx;

/* Asserts success and shows why not. */
#define ok(call)                                                        \
    do {                                                                \
        int rc_ = (call);                                               \
        cr_assert_eq(rc_, 0, "%s: %d: %s", #call, rc_, fx.err.message); \
    } while (0)

/* Asserts a failure of this class and reason, and forgets it. */
#define fails(call, class, why)                                                                   \
    do {                                                                                          \
        int rc_ = (call);                                                                         \
        cr_assert_eq(rc_, -1, "%s: %d", #call, rc_);                                              \
        cr_assert_eq(fx.err.code, class, "%s: %s", error_code_name(fx.err.code), fx.err.message); \
        cr_assert_str_eq(error_reason(&fx.err), why, "%s: %s", error_reason(&fx.err),             \
                         fx.err.message);                                                         \
        fx.err = ERROR_INIT;                                                                      \
    } while (0)

static inline void fixture_open(void)
{
    snprintf(fx.dir, sizeof fx.dir, "/tmp/test_store_XXXXXX");
    cr_assert_not_null(mkdtemp(fx.dir));
    snprintf(fx.path, sizeof fx.path, "%s/store.db", fx.dir);
    fx.mem = arena_new();
    fx.err = ERROR_INIT;
    ok(store_open(fx.path, &fx.store, &fx.err));
}

static inline void fixture_close(void)
{
    DIR *d = opendir(fx.dir);
    char name[400];

    store_close(fx.store);
    fx.store = NULL;
    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        snprintf(name, sizeof name, "%s/%s", fx.dir, e->d_name);
        if (e->d_name[0] != '.')
            unlink(name);
    }
    if (d)
        closedir(d);
    rmdir(fx.dir);
    arena_free(fx.mem);
}

static inline void fixture_reopen(void)
{
    store_close(fx.store);
    fx.store = NULL;
    ok(store_open(fx.path, &fx.store, &fx.err));
}

static inline struct resource make_resource(enum resource_kind kind, const char *name)
{
    struct resource r = {.name = name, .connector = "sample", .config = "{\"rows\":1}"};

    ok(store_create_resource(fx.store, kind, &r, fx.mem, &fx.err));
    return r;
}

/* A connection "name" between a source and a destination of the same name. */
static inline struct connection make_connection(const char *name)
{
    struct connection c = {.name = name, .source_id = name, .destination_id = name};

    make_resource(RESOURCE_SOURCE, name);
    make_resource(RESOURCE_DESTINATION, name);
    ok(store_create_connection(fx.store, &c, fx.mem, &fx.err));
    return c;
}

static inline int64_t make_run(enum run_kind kind, const char *connection_id)
{
    struct run_row r = {
        .kind = kind, .connection_id = connection_id, .trigger = "api", .request = "{}"};
    int64_t active;

    ok(store_create_run(fx.store, &r, true, &active, &fx.err));
    return r.id;
}

#endif
