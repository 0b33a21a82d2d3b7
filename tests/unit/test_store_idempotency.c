#include <criterion/criterion.h>

#include <sys/wait.h>

#include "connectors/base/clock.h"
#include "connectors/base/text.h"
#include "tests/support/store_fixture.h"

static int64_t now_us = INT64_C(1700000000000000);

static int64_t fake_now(void)
{
    return now_us;
}

static void fini(void)
{
    clock_fake(NULL);
    fixture_close();
}

TestSuite(store_idempotency, .init = fixture_open, .fini = fini);

#define DAY_US ((int64_t)24 * 3600 * 1000000)

static struct stored_answer answer;

static int begin(const char *key, const char *print)
{
    return store_idempotency_begin(fx.store, key, print, fx.mem, &answer, &fx.err);
}

static void end(const char *key)
{
    ok(store_idempotency_end(
        fx.store, key,
        &(struct stored_answer){.status = 201, .headers = "{\"a\":1}", .body = "{}\n"}, &fx.err));
}

Test(store_idempotency, gives_the_first_answer_again)
{
    ok(begin("k", "f"));
    end("k");
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(begin("k", "f"), 1);
        cr_assert_eq(answer.status, 201);
        cr_assert_str_eq(answer.headers, "{\"a\":1}");
        cr_assert_str_eq(answer.body, "{}\n");
        fixture_reopen();
    }
    ok(begin("other", "f"));
}

Test(store_idempotency, refuses_another_request_and_a_second_one_at_once)
{
    ok(begin("k", "f"));
    fails(begin("k", "f"), ERR_CONFLICT, "idempotency_in_progress");
    fails(begin("k", "g"), ERR_INVALID, "idempotency_key_reused");
    end("k");
    fails(begin("k", "g"), ERR_INVALID, "idempotency_key_reused");
}

Test(store_idempotency, an_abandoned_key_is_free)
{
    ok(begin("k", "f"));
    ok(store_idempotency_abandon(fx.store, "k", &fx.err));
    ok(begin("k", "g"));
    ok(store_idempotency_abandon(fx.store, "never begun", &fx.err));
}

Test(store_idempotency, abandoning_does_not_forget_an_answer)
{
    ok(begin("k", "f"));
    end("k");
    ok(store_idempotency_abandon(fx.store, "k", &fx.err));
    cr_assert_eq(begin("k", "f"), 1);
}

Test(store_idempotency, only_begun_keys_end)
{
    fails(store_idempotency_end(fx.store, "k", &(struct stored_answer){.status = 200}, &fx.err),
          ERR_NOT_FOUND, "not_found");
}

Test(store_idempotency, keys_expire_after_a_day)
{
    clock_fake(fake_now);
    ok(begin("k", "f"));
    end("k");
    now_us += DAY_US - 1;
    cr_assert_eq(begin("k", "f"), 1);
    now_us += 1;
    ok(begin("k", "another"));
}

/* ------------------------------------------------------------------ effects */

static int create_run(const char *key, int64_t *id)
{
    struct run_row run = {.kind = RUN_CHECK, .idempotency_key = key};
    int64_t active;
    int rc = store_create_run(fx.store, &run, true, &active, &fx.err);

    *id = run.id;
    return rc;
}

static int64_t count_runs(void)
{
    int64_t queued, active;

    ok(store_count_runs(fx.store, &queued, &active, &fx.err));
    return queued + active;
}

static void sees_run(int64_t id)
{
    int64_t said;

    cr_assert_eq(begin("k", "f"), 2);
    cr_assert_eq(answer.effect, EFFECT_RUN);
    cr_assert(text_to_int64(answer.effect_id, strlen(answer.effect_id), &said));
    cr_assert_eq(said, id);
}

Test(store_idempotency, an_abandoned_effect_is_found_again)
{
    int64_t id, none;

    ok(begin("k", "f"));
    ok(create_run("k", &id));
    fails(begin("k", "f"), ERR_CONFLICT, "idempotency_in_progress");
    ok(store_idempotency_abandon(fx.store, "k", &fx.err));
    sees_run(id);
    sees_run(id);
    fails(begin("k", "g"), ERR_INVALID, "idempotency_key_reused");
    fails(create_run("k", &none), ERR_CONFLICT, "idempotency_in_progress");
    cr_assert_eq(count_runs(), 1);
    end("k");
    cr_assert_eq(begin("k", "f"), 1);
}

Test(store_idempotency, one_key_creates_one_thing)
{
    int64_t first, second;

    fails(create_run("k", &first), ERR_CONFLICT, "idempotency_in_progress");
    ok(begin("k", "f"));
    ok(create_run("k", &first));
    fails(create_run("k", &second), ERR_CONFLICT, "idempotency_in_progress");
    cr_assert_eq(count_runs(), 1);
}

Test(store_idempotency, a_failed_creation_leaves_the_key_usable)
{
    struct resource r = {.name = "a", .connector = "c", .config = "{}", .idempotency_key = "k"};

    make_resource(RESOURCE_SOURCE, "a");
    ok(begin("k", "f"));
    fails(store_create_resource(fx.store, RESOURCE_SOURCE, &r, fx.mem, &fx.err), ERR_CONFLICT,
          "name_taken");
    r.name = "b";
    ok(store_create_resource(fx.store, RESOURCE_SOURCE, &r, fx.mem, &fx.err));
    cr_assert_null(r.idempotency_key);
}

Test(store_idempotency, every_kind_of_effect_is_told)
{
    struct resource s = {.name = "a", .connector = "c", .config = "{}", .idempotency_key = "1"};
    struct resource d = {.name = "a", .connector = "c", .config = "{}", .idempotency_key = "2"};
    struct connection c = {
        .name = "a", .source_id = "a", .destination_id = "a", .idempotency_key = "3"};

    ok(begin("1", "f"));
    ok(begin("2", "f"));
    ok(begin("3", "f"));
    ok(store_create_resource(fx.store, RESOURCE_SOURCE, &s, fx.mem, &fx.err));
    ok(store_create_resource(fx.store, RESOURCE_DESTINATION, &d, fx.mem, &fx.err));
    ok(store_create_connection(fx.store, &c, fx.mem, &fx.err));
    fixture_reopen();
    cr_assert_eq(begin("1", "f"), 2);
    cr_assert_eq(answer.effect, EFFECT_SOURCE);
    cr_assert_str_eq(answer.effect_id, s.id);
    cr_assert_eq(begin("2", "f"), 2);
    cr_assert_eq(answer.effect, EFFECT_DESTINATION);
    cr_assert_str_eq(answer.effect_id, d.id);
    cr_assert_eq(begin("3", "f"), 2);
    cr_assert_eq(answer.effect, EFFECT_CONNECTION);
    cr_assert_str_eq(answer.effect_id, c.id);
}

/* Runs `work` in a process that dies without closing the store. */
static void crash_after(void (*work)(void))
{
    int status;
    pid_t pid;

    store_close(fx.store);
    fx.store = NULL;
    pid = fork();
    if (pid == 0) {
        if (store_open(fx.path, &fx.store, &fx.err) == 0)
            work();
        _exit(0);
    }
    cr_assert_gt(pid, 0);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    ok(store_open(fx.path, &fx.store, &fx.err));
}

static void die_after_begin(void)
{
    if (begin("k", "f") < 0)
        _exit(1);
}

static void die_after_effect(void)
{
    int64_t id;

    if (begin("k", "f") < 0 || create_run("k", &id) < 0)
        _exit(1);
}

static void die_after_end(void)
{
    die_after_effect();
    if (store_idempotency_end(fx.store, "k",
                              &(struct stored_answer){.status = 201, .headers = "{}", .body = "b"},
                              &fx.err) < 0)
        _exit(1);
}

Test(store_idempotency, a_crash_before_the_effect_frees_the_key)
{
    crash_after(die_after_begin);
    ok(begin("k", "f"));
    cr_assert_eq(count_runs(), 0);
}

Test(store_idempotency, a_crash_after_the_effect_does_not_let_it_happen_twice)
{
    crash_after(die_after_effect);
    cr_assert_eq(count_runs(), 1);
    sees_run(1);
}

Test(store_idempotency, a_crash_after_the_end_keeps_the_answer)
{
    crash_after(die_after_end);
    cr_assert_eq(begin("k", "f"), 1);
    cr_assert_str_eq(answer.body, "b");
    cr_assert_eq(count_runs(), 1);
}
