/*
 * stress_store - eight threads at one store, mixed work, and what must hold throughout: one active
 * run per connection, one winner per revision and per idempotency key, nothing lost. Built for
 * ThreadSanitizer, which Criterion does not start under; exits 0 when everything held.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/store/store.h"

enum { CONNECTIONS = 3, RUNS = 150, ROUNDS = 150, KEYS = 40 };

static struct store *store;
static struct connection connections[CONNECTIONS];
static _Atomic int active[CONNECTIONS]; /* of each connection, as the workers see it */
static _Atomic int created, ended, cancelled_early, creators_left = 2;
static _Atomic int updates_won, key_winners[KEYS], key_answers;

static void die(const char *what, const struct error *err)
{
    fprintf(stderr, "stress_store: %s: %s\n", what, err ? err->message : "");
    _exit(1);
}

#define must(call)                      \
    do {                                \
        struct error err_ = ERROR_INIT; \
        struct error *err = &err_;      \
        if ((call) < 0)                 \
            die(#call, err);            \
    } while (0)

static int connection_of(const struct run_row *run)
{
    for (int i = 0; i < CONNECTIONS; i++) {
        if (run->connection_id && !strcmp(run->connection_id, connections[i].id))
            return i;
    }
    return -1;
}

static void *create_runs(void *arg)
{
    (void)arg;
    for (int i = 0; i < RUNS; i++) {
        struct run_row run = {.kind = i % 5 ? RUN_SYNC : RUN_CHECK,
                              .connection_id = i % 5 ? connections[i % CONNECTIONS].id : NULL,
                              .trigger = "api"};
        int64_t open;

        must(store_create_run(store, &run, true, &open, err));
        created++;
        if (i % 11 == 0) {
            enum run_status status;
            struct error why = ERROR_INIT;

            if (store_cancel_run(store, run.id, "user", &status, &why) == 0 &&
                status == RUN_CANCELLED)
                cancelled_early++;
        }
    }
    creators_left--;
    return NULL;
}

static void work_on(struct run_row *run)
{
    int c = run->kind == RUN_SYNC ? connection_of(run) : -1;

    if (c >= 0 && atomic_fetch_add(&active[c], 1) != 0)
        die("two active runs of one connection", NULL);
    if (c >= 0) {
        struct state_row row = {.stream = "s", .position = "{\"x\":1}", .counters = "{}"};

        must(store_copy_state(store, run->connection_id, &row, 1, err));
    }
    must(store_progress_run(store, run->id, "{\"records_read\":1}", 1, err));
    if (c >= 0)
        atomic_fetch_sub(&active[c], 1);
    run->status = RUN_SUCCEEDED;
    must(store_finish_run(store, run, err));
    ended++;
}

static void *work(void *arg)
{
    (void)arg;
    for (;;) {
        bool last = creators_left == 0; /* read first: nothing is queued after it */
        struct arena *mem = arena_new();
        struct error why = ERROR_INIT;
        struct run_row run;
        int rc = store_claim_run(store, ~0u, mem, &run, &why);

        if (rc < 0)
            die("claiming", &why);
        if (rc == 0)
            work_on(&run);
        arena_free(mem);
        if (rc == 1 && last) {
            int64_t queued, busy;

            must(store_count_runs(store, &queued, &busy, err));
            if (queued == 0)
                return NULL;
        }
    }
}

static void *read_lists(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        struct list_query q = {.limit = 50, .paused = -1, .q = "a"};
        struct run_query rq = {.limit = 50, .connection_id = connections[0].id};
        struct arena *mem = arena_new();
        struct connection *list;
        struct state_row *rows;
        struct run_row *runs;
        const char *next;
        int64_t last, revision;
        size_t n;

        must(store_list_connections(store, &q, mem, &list, &n, &next, err));
        if (n != CONNECTIONS)
            die("a list without all connections", NULL);
        must(store_list_runs(store, &rq, mem, &runs, &n, &last, err));
        must(store_get_state(store, connections[0].id, mem, &rows, &n, &revision, err));
        if (revision > 0 && n != 1)
            die("a revision without its row", NULL);
        arena_free(mem);
    }
    return NULL;
}

/* Two of these race: each revision has one winner. */
static void *update(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct arena *mem = arena_new();
        struct error why = ERROR_INIT;
        struct resource r;

        must(store_get_resource(store, RESOURCE_SOURCE, "counter", mem, &r, err));
        r.config = arena_printf(mem, "{\"by\":%d,\"n\":%d}", *(const int *)arg, i);
        if (store_update_resource(store, RESOURCE_SOURCE, &r, r.revision, mem, &why) == 0)
            updates_won++;
        else if (strcmp(error_reason(&why), "revision_mismatch") != 0)
            die("updating", &why);
        arena_free(mem);
    }
    return NULL;
}

static void *use_keys(void *arg)
{
    (void)arg;
    for (int i = 0; i < KEYS; i++) {
        struct stored_answer answer;
        struct arena *mem = arena_new();
        struct error why = ERROR_INIT;
        char key[16];
        int rc;

        snprintf(key, sizeof key, "key%d", i);
        rc = store_idempotency_begin(store, key, "f", mem, &answer, &why);
        if (rc == 0) {
            struct resource r = {
                .name = key, .connector = "c", .config = "{}", .idempotency_key = key};

            key_winners[i]++;
            must(store_create_resource(store, RESOURCE_DESTINATION, &r, mem, err));
            answer = (struct stored_answer){.status = 201, .headers = "{}", .body = r.id};
            must(store_idempotency_end(store, key, &answer, err));
        } else if (rc == 1) {
            struct resource r;

            key_answers++;
            must(store_get_resource(store, RESOURCE_DESTINATION, answer.body, mem, &r, err));
        } else if (rc != -1 || strcmp(error_reason(&why), "idempotency_in_progress") != 0) {
            die("beginning a key", &why);
        }
        arena_free(mem);
    }
    return NULL;
}

static void set_up(const char *path)
{
    static struct arena *mem;
    struct resource counter = {.name = "counter", .connector = "c", .config = "{}"};

    mem = arena_new();
    must(store_open(path, &store, err));
    must(store_create_resource(store, RESOURCE_SOURCE, &counter, mem, err));
    for (int i = 0; i < CONNECTIONS; i++) {
        const char *name = arena_printf(mem, "a%d", i);
        struct resource r = {.name = name, .connector = "c", .config = "{}"}, d = r;

        must(store_create_resource(store, RESOURCE_SOURCE, &r, mem, err));
        must(store_create_resource(store, RESOURCE_DESTINATION, &d, mem, err));
        connections[i] =
            (struct connection){.name = name, .source_id = name, .destination_id = name};
        must(store_create_connection(store, &connections[i], mem, err));
    }
}

static void check_end(void)
{
    struct arena *mem = arena_new();
    int64_t queued, busy;
    struct resource r;

    must(store_count_runs(store, &queued, &busy, err));
    if (queued || busy)
        die("runs are left over", NULL);
    if (created != 2 * RUNS || ended + cancelled_early != created)
        die("the runs do not add up", NULL);
    must(store_get_resource(store, RESOURCE_SOURCE, "counter", mem, &r, err));
    if (r.revision != 1 + updates_won)
        die("the revisions do not add up", NULL);
    for (int i = 0; i < KEYS; i++) {
        if (key_winners[i] != 1)
            die("a key without exactly one winner", NULL);
    }
    arena_free(mem);
}

int main(void)
{
    static int one = 1, two = 2;
    void *(*const jobs[])(void *) = {create_runs, create_runs, work,     work,    read_lists,
                                     update,      update,      use_keys, use_keys};
    void *args[] = {NULL, NULL, NULL, NULL, NULL, &one, &two, NULL, NULL};
    enum { THREADS = sizeof jobs / sizeof jobs[0] };
    char dir[] = "/tmp/stress_store_XXXXXX", path[64], lock[80];
    pthread_t threads[THREADS];

    if (!mkdtemp(dir))
        die("mkdtemp", NULL);
    snprintf(path, sizeof path, "%s/store.db", dir);
    snprintf(lock, sizeof lock, "%s.lock", path);
    set_up(path);
    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, jobs[i], args[i]) != 0)
            die("pthread_create", NULL);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    check_end();
    store_close(store);
    unlink(path);
    unlink(lock);
    rmdir(dir);
    printf("%d runs, %d of %d updates won, %d keys answered again\n", created, updates_won,
           2 * ROUNDS, key_answers);
    return 0;
}
