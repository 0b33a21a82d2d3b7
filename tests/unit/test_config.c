#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "connectors/base/arena.h"
#include "server/config.h"

static struct arena *mem;
static struct config config;
static struct problems problems;

static void setup(void)
{
    mem = arena_new();
    problems = PROBLEMS_INIT(mem);
}

static void teardown(void)
{
    config_release(&config);
    arena_free(mem);
}

TestSuite(config, .init = setup, .fini = teardown);

static bool load(int argc, const char *const *argv)
{
    char *words[16];

    for (int i = 0; i < argc; i++)
        words[i] = arena_strdup(mem, argv[i]);
    return config_load(argc, words, SECRETS_READ, mem, &config, &problems);
}

/* A file with this text, named in the returned path. */
static const char *file_with(const char *text)
{
    char *path = arena_strdup(mem, "/tmp/test_config_XXXXXX");
    int fd = mkstemp(path);

    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    return path;
}

static void expect_problem(const char *pointer, const char *code)
{
    for (size_t i = 0; i < problems.n; i++) {
        if (!strcmp(problems.items[i].pointer, pointer) && !strcmp(problems.items[i].code, code))
            return;
    }
    for (size_t i = 0; i < problems.n; i++)
        fprintf(stderr, "%s: %s: %s\n", problems.items[i].pointer, problems.items[i].code,
                problems.items[i].message);
    cr_assert_fail("no problem %s at %s", code, pointer);
}

Test(config, has_defaults_for_everything)
{
    cr_assert(load(0, NULL));
    cr_expect_str_eq(config.settings.listen, "127.0.0.1:8080");
    cr_expect_str_eq(config.settings.data, "./data");
    cr_expect_eq(config.settings.workers, 4);
    cr_expect_not(config.settings.require_if_match);
    for (size_t i = 0; settings_options[i].name; i++) {
        cr_expect_str_eq(config.origins[i], "default");
        cr_expect(settings_options[i].type == OPTION_LIST ||
                      settings_options[i].type == OPTION_DOC || settings_options[i].def ||
                      (settings_options[i].flags & OPTION_SECRET),
                  "%s", settings_options[i].name); /* a list is empty, the others absent */
    }
}

Test(config, a_flag_wins_over_the_environment_and_that_over_a_file)
{
    const char *path = file_with("{\"workers\":5,\"short_workers\":6,\"log_level\":\"warn\"}");
    const char *argv[] = {"--config", path, "--workers=9"};

    setenv("CONNECTORD_WORKERS", "7", 1);
    setenv("CONNECTORD_SHORT_WORKERS", "8", 1);
    cr_assert(load(3, argv));
    cr_expect_eq(config.settings.workers, 9);
    cr_expect_eq(config.settings.short_workers, 8);
    cr_expect_str_eq(config.settings.log_level, "warn");
    unlink(path);
}

Test(config, the_environment_can_name_the_file)
{
    const char *path = file_with("{\"workers\":5}");

    setenv("CONNECTORD_CONFIG", path, 1);
    cr_assert(load(0, NULL));
    cr_expect_eq(config.settings.workers, 5);
    unlink(path);
}

Test(config, reports_every_mistake_with_its_place)
{
    const char *path = file_with("{\"workers\":\"x\",\"colour\":1,\"log_level\":\"loud\"}");
    const char *argv[] = {"--config",       path,   "--nonsense",        "1", "serve",
                          "--http-threads", "many", "--max-connections", "9", "--listen"};
    char where[200];

    setenv("CONNECTORD_SHORT_WORKERS", "65", 1);
    setenv("CONNECTORD_SHOE_SIZE", "43", 1);
    cr_assert_not(load(10, argv));
    snprintf(where, sizeof where, "file %s: /workers", path);
    expect_problem(where, "wrong_type");
    snprintf(where, sizeof where, "file %s: /colour", path);
    expect_problem(where, "unknown_field");
    expect_problem("environment CONNECTORD_SHORT_WORKERS", "out_of_range");
    expect_problem("environment CONNECTORD_SHOE_SIZE", "unknown_field");
    expect_problem("flag --nonsense", "unknown_field");
    expect_problem("serve", "unknown_field");
    expect_problem("flag --http-threads", "wrong_type");
    expect_problem("flag --max-connections", "out_of_range");
    expect_problem("flag --listen", "required");
    unlink(path);
}

#define TOKEN "0123456789abcdef0123456789abcdef"

Test(config, a_secret_is_read_from_the_file_that_is_named)
{
    const char *token = file_with(TOKEN "\n");
    const char *path = file_with(arena_printf(mem, "{\"bootstrap_token_file\":\"%s\"}", token));
    const char *from_file[] = {"--config", path}, *from_flag[] = {"--bootstrap-token-file", token};
    CLEANUP(buf_release) struct buf shown = BUF_INIT(1 << 20);

    cr_assert(load(2, from_file));
    cr_expect_str_eq(config.settings.bootstrap_token, TOKEN);
    cr_expect_str_eq(config_origin(&config, "bootstrap_token"),
                     arena_printf(mem, "file %s: /bootstrap_token_file", path));
    config_release(&config);
    cr_assert(load(2, from_flag));
    cr_expect_str_eq(config.settings.bootstrap_token, TOKEN);
    config_release(&config);
    setenv("CONNECTORD_BOOTSTRAP_TOKEN_FILE", token, 1);
    cr_assert(load(0, NULL));
    cr_expect_str_eq(config.settings.bootstrap_token, TOKEN);
    config_print(&config, &shown);
    cr_expect_null(strstr(buf_str(&shown), TOKEN));
    cr_expect(strstr(buf_str(&shown), "bootstrap_token = \"***\"  # environment "
                                      "CONNECTORD_BOOTSTRAP_TOKEN_FILE\n"));
    unlink(token);
    unlink(path);
}

Test(config, a_secret_stands_in_a_file_of_settings_that_not_everybody_reads)
{
    const char *path = file_with("{\"bootstrap_token\":\"" TOKEN "\"}");
    const char *argv[] = {"--config", path};

    cr_assert(load(2, argv));
    cr_expect_str_eq(config.settings.bootstrap_token, TOKEN);
    config_release(&config);
    cr_assert_eq(chmod(path, 0644), 0);
    cr_assert_not(load(2, argv));
    expect_problem(arena_printf(mem, "file %s: /bootstrap_token", path), "exposed");
    unlink(path);
}

Test(config, a_secret_is_no_argument_and_no_variable)
{
    const char *argv[] = {"--bootstrap-token", TOKEN};

    setenv("CONNECTORD_BOOTSTRAP_TOKEN", TOKEN, 1);
    cr_assert_not(load(2, argv));
    expect_problem("flag --bootstrap-token", "exposed");
    expect_problem("environment CONNECTORD_BOOTSTRAP_TOKEN", "exposed");
    for (size_t i = 0; i < problems.n; i++)
        cr_expect_null(strstr(problems.items[i].message, TOKEN));
}

Test(config, both_forms_of_a_secret_at_once_are_refused)
{
    const char *token = file_with(TOKEN);
    const char *path = file_with("{\"bootstrap_token\":\"" TOKEN "\"}");
    const char *argv[] = {"--config", path, "--bootstrap-token-file", token};

    cr_assert_not(load(4, argv));
    expect_problem("flag --bootstrap-token-file", "conflict");
    cr_expect(strstr(problems.items[0].message, path));
    unlink(token);
    unlink(path);
}

Test(config, the_file_of_a_secret_is_judged)
{
    const char *token = file_with("short\n");
    const char *argv[] = {"--bootstrap-token-file", token, "--key-file-file", "x"};

    cr_assert_not(load(4, argv));
    expect_problem("flag --bootstrap-token-file", "too_short");
    expect_problem("flag --key-file-file", "unknown_field");
    unlink(token);
    config_release(&config);
    cr_assert_not(load(2, argv));
    expect_problem("flag --bootstrap-token-file", "unreadable");
}

Test(config, who_does_not_need_a_secret_does_not_read_it)
{
    char flag[] = "--bootstrap-token-file", path[] = "/nowhere";
    char *words[] = {flag, path};

    cr_assert(config_load(2, words, SECRETS_UNREAD, mem, &config, &problems));
    cr_expect_null(config.settings.bootstrap_token);
    cr_expect_str_eq(config_origin(&config, "bootstrap_token"), "flag --bootstrap-token-file");
}

Test(config, lists_are_judged_item_by_item)
{
    const char *path = file_with("{\"trusted_proxies\":[\"10.0.0.0/8\",\"gateway\",7],"
                                 "\"secret_references\":[\"env:A\",\"vault:b\",null]}");
    const char *argv[] = {"--config", path};

    cr_assert_not(load(2, argv));
    expect_problem(arena_printf(mem, "file %s: /trusted_proxies", path), "invalid");
    expect_problem(arena_printf(mem, "file %s: /trusted_proxies/2", path), "wrong_type");
    expect_problem(arena_printf(mem, "file %s: /secret_references", path), "invalid");
    unlink(path);
}

/* An item of another kind is none when the rules are looked at. */
Test(config, rules_that_are_no_text_are_refused)
{
    const char *path = file_with("{\"egress_allow\":[8,\"public\"],\"egress_deny\":[null]}");
    const char *argv[] = {"--config", path};
    char where[200];

    cr_assert_not(load(2, argv));
    snprintf(where, sizeof where, "file %s: /egress_allow/0", path);
    expect_problem(where, "wrong_type");
    snprintf(where, sizeof where, "file %s: /egress_deny/0", path);
    expect_problem(where, "wrong_type");
    unlink(path);
}

Test(config, a_file_that_is_no_object_is_refused)
{
    static const char *const texts[] = {"", "[]", "{\"workers\":1,\"workers\":2}", "{", "nonsense"};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *path = file_with(texts[i]);
        const char *argv[] = {"--config", path};

        cr_expect_not(load(2, argv), "%s", texts[i]);
        config_release(&config);
        unlink(path);
    }
    cr_expect_not(load(2, (const char *[]){"--config", "/nonexistent/x.json"}));
}

Test(config, takes_units_where_the_name_has_one)
{
    const char *argv[] = {"--memory-budget-bytes", "8MiB", "--drain-delay-ms",   "2s",
                          "--log-max-age-s",       "2h",   "--require-if-match", "true"};

    cr_assert(load(8, argv));
    cr_expect_eq(config.settings.memory_budget_bytes, 8 << 20);
    cr_expect_eq(config.settings.drain_delay_ms, 2000);
    cr_expect_eq(config.settings.log_max_age_s, 7200);
    cr_expect(config.settings.require_if_match);
}

Test(config, ignores_what_kubernetes_says_about_a_service_of_our_name)
{
    setenv("CONNECTORD_PORT", "tcp://10.0.0.1:80", 1);
    setenv("CONNECTORD_PORT_8080_TCP_ADDR", "10.0.0.1", 1);
    setenv("CONNECTORD_SERVICE_HOST", "10.0.0.1", 1);
    cr_expect(load(0, NULL));
}

Test(config, knows_loopback_addresses)
{
    static const char *const good[] = {"127.0.0.1:8080", "127.9.9.9:0", "[::1]:65535"};
    static const char *const bad[] = {"0.0.0.0:8080", "[::]:8080",       "10.0.0.1:80",
                                      "8080",         "localhost:8080",  "127.0.0.1",
                                      "127.0.0.1:x",  "127.0.0.1:65536", "128.0.0.1:80",
                                      "[fe80::1]:80", "::1:80",          ""};

    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        cr_expect(config_is_loopback(good[i]), "%s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_not(config_is_loopback(bad[i]), "%s", bad[i]);
    /* Others are a question of tokens, which only the store can answer. */
    cr_assert(load(2, (const char *[]){"--listen", "0.0.0.0:80"}));
    config_release(&config);
    cr_assert_not(load(2, (const char *[]){"--listen", "somewhere:80"}));
    expect_problem("flag --listen", "invalid");
}

Test(config, prints_values_and_where_they_come_from)
{
    struct buf out = BUF_INIT(1 << 16);

    cr_assert(load(2, (const char *[]){"--workers", "3"}));
    config_print(&config, &out);
    cr_expect(strstr(buf_str(&out), "workers = 3  # flag --workers\n"), "%s", buf_str(&out));
    cr_expect(strstr(buf_str(&out), "listen = \"127.0.0.1:8080\"  # default\n"), "%s",
              buf_str(&out));
    buf_release(&out);
}

Test(config, help_names_every_setting_as_a_flag)
{
    struct buf out = BUF_INIT(1 << 16);

    config_help(&out);
    cr_expect(strstr(buf_str(&out), "--shutdown-grace-ms (10000)"));
    cr_expect_not(strstr(buf_str(&out), "--shutdown_grace"));
    buf_release(&out);
}

Test(config, an_address_for_the_operator_may_be_any_but_must_be_one)
{
    static const char *const good[] = {"--admin-listen", "0.0.0.0:9090"};
    static const char *const bad[] = {"--admin-listen", "somewhere:9090"};

    cr_assert(config_is_address(":9090"));
    cr_assert(config_is_address("[::]:0"));
    cr_assert_not(config_is_address("[::1"));
    cr_assert_not(config_is_address("9090"));
    cr_assert_not(config_is_loopback(":9090"));
    cr_assert(load(2, good));
    config_release(&config);
    cr_assert_not(load(2, bad));
    expect_problem("flag --admin-listen", "invalid");
}

Test(config, two_loads_are_compared_by_what_was_given)
{
    static const char *const three[] = {"--workers", "3"};
    static const char *const four[] = {"--workers", "4"};
    const struct option *workers = option_find(settings_options, "workers");
    struct config before;

    cr_assert(load(2, three));
    before = config;
    cr_assert(load(2, three));
    cr_assert(config_is_same(&before, &config, workers));
    config_release(&config);
    cr_assert(load(2, four));
    cr_assert_not(config_is_same(&before, &config, workers));
    cr_assert(config_is_same(&before, &config, option_find(settings_options, "data")));
    cr_assert_str_eq(config_value(&config, workers, mem), "4");
    cr_assert_str_eq(config_origin(&config, "workers"), "flag --workers");
    config_release(&before);
}
