#include <criterion/criterion.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connectors/base/clock.h"
#include "connectors/base/doc.h"
#include "server/servicelog.h"

static int ends[2];
static struct log *out;

static void setup(void)
{
    cr_assert_eq(pipe(ends), 0);
    cr_assert_neq(fcntl(ends[0], F_SETFL, O_NONBLOCK), -1);
    servicelog_init(ends[1], LOG_INFO);
    out = servicelog_for("main");
}

static void teardown(void)
{
    close(ends[0]);
    close(ends[1]);
}

TestSuite(servicelog, .init = setup, .fini = teardown, .timeout = 30);

/* Everything in the pipe. */
static size_t drain(char *text, size_t max)
{
    size_t n = 0;
    ssize_t got;

    while (n < max - 1 && (got = read(ends[0], text + n, max - 1 - n)) > 0)
        n += (size_t)got;
    text[n] = '\0';
    return n;
}

static struct doc *parse_line(const char *text)
{
    struct error err = ERROR_INIT;
    const char *newline = strchr(text, '\n');
    struct doc *d;

    cr_assert_not_null(newline);
    cr_assert_eq(doc_parse(text, (size_t)(newline - text), &d, &err), 0, "%s: %s", err.message,
                 text);
    return d;
}

/* G1. */
Test(servicelog, writes_one_object_per_line)
{
    char text[8192];
    struct doc *d;

    log_warn(out, .message = "odd", .fields = {log_text("who", "a\"b\n"), log_int("rows", 7)});
    log_debug(out, .message = "below the threshold");
    drain(text, sizeof text);
    cr_expect_eq(strchr(text, '\n')[1], '\0');
    d = parse_line(text);
    cr_expect_str_eq(doc_string(doc_get(d, "level"), ""), "warn");
    cr_expect_str_eq(doc_string(doc_get(d, "message"), ""), "odd");
    cr_expect_str_eq(doc_string(doc_get(d, "caller"), ""), "main");
    cr_expect_str_eq(doc_string(doc_get(doc_get(d, "tags"), "who"), ""), "a\"b\n");
    cr_expect_eq(doc_int(doc_get(doc_get(d, "tags"), "rows"), 0), 7);
    cr_expect_eq(strlen(doc_string(doc_get(d, "timestamp"), "")), 27);
    doc_free(d);
}

Test(servicelog, cuts_lines_to_what_a_pipe_takes_at_once)
{
    char *big = malloc(5001), text[16384];

    memset(big, '\x01', 5000);
    big[5000] = '\0';
    log_info(out, .message = "long",
             .fields = {log_text("a", big), log_text("b", big), log_text("c", big),
                        log_text("d", big), log_text("e", big), log_text("f", big),
                        log_text("g", big), log_text("h", big)});
    drain(text, sizeof text);
    cr_expect_leq(strlen(text), SERVICELOG_MAX_LINE);
    doc_free(parse_line(text));
    free(big);
}

/* G5. */
Test(servicelog, never_waits_and_counts_what_it_drops)
{
    static char text[1 << 20];
    struct doc *d;
    size_t lines = 0;

    for (int i = 0; i < 5000; i++)
        log_info(out, .message = "line", .fields = {log_int("i", i)});
    drain(text, sizeof text);
    for (const char *c = text; *c; c++)
        lines += *c == '\n';
    cr_expect_lt(lines, 5000);
    log_info(out, .message = "again");
    drain(text, sizeof text);
    d = parse_line(text);
    cr_expect_str_eq(doc_string(doc_get(d, "message"), ""), "log lines dropped");
    cr_expect_eq((size_t)doc_int(doc_get(doc_get(d, "tags"), "lines"), 0) + lines, 5000);
    doc_free(d);
    cr_expect(strstr(text, "\"message\":\"again\""));
}

/* ------------------------------------------------------------------- repeats */

static int64_t fake_us;

static int64_t fake_now(void)
{
    return fake_us;
}

static size_t count_lines(const char *text, const char *message)
{
    char key[80];
    size_t n = 0;

    snprintf(key, sizeof key, "\"message\":\"%s\"", message);
    for (const char *p = text; (p = strstr(p, key)) != NULL; p++)
        n++;
    return n;
}

Test(servicelog, sums_up_what_repeats)
{
    char text[65536];

    fake_us = 1764547200000000;
    clock_fake(fake_now);
    for (int i = 0; i < 12; i++)
        log_warn(out, .message = "again", .fields = {log_int("run", i + 100)});
    for (int i = 0; i < 25; i++)
        log_warn(out, .message = "again", .fields = {log_int("run", 7)});
    drain(text, sizeof text);
    cr_assert_eq(count_lines(text, "again"), 10 + 12, "other fields make another line");
    fake_us += 1000000;
    log_info(out, .message = "later");
    drain(text, sizeof text);
    cr_assert_eq(count_lines(text, "log lines left out because they repeat"), 1);
    cr_assert_not_null(strstr(text, "\"line\":\"again\",\"lines\":15"), "%s", text);
    cr_assert_eq(count_lines(text, "later"), 1);
    log_warn(out, .message = "again", .fields = {log_int("run", 7)});
    drain(text, sizeof text);
    cr_assert_eq(count_lines(text, "again"), 1, "a new second");
    clock_fake(NULL);
}

Test(servicelog, its_level_can_change)
{
    char text[8192];

    servicelog_set_level(LOG_ERROR);
    log_warn(out, .message = "hidden");
    servicelog_set_level(LOG_DEBUG);
    log_debug(out, .message = "shown");
    drain(text, sizeof text);
    cr_assert_eq(count_lines(text, "hidden"), 0);
    cr_assert_eq(count_lines(text, "shown"), 1);
}
