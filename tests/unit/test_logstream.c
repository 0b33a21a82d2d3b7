#include <criterion/criterion.h>

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "connectors/base/arena.h"
#include "connectors/base/clock.h"
#include "connectors/base/doc.h"
#include "server/sync/event.h"
#include "server/sync/logstream.h"

static char directory[64];
static struct logstreams *all;
static int notified;
static struct error err;
static const struct log_query everything = {.tail = -1, .timestamps = true};

static void notify(void *arg)
{
    (void)arg;
    notified++;
}

static void setup(void)
{
    snprintf(directory, sizeof directory, "/tmp/test_logstream_XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    err = ERROR_INIT;
    cr_assert_eq(logstreams_open(directory, notify, &notified, &all, &err), 0);
}

static int unlink_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static void teardown(void)
{
    logstreams_close(all);
    nftw(directory, unlink_one, 16, FTW_DEPTH | FTW_PHYS);
}

TestSuite(logstream, .init = setup, .fini = teardown);

static struct logstream *open_log(int64_t run)
{
    struct logstream *l;

    cr_assert_eq(logstream_open(all, run, &l, &err), 0, "%s", err.message);
    return l;
}

static struct log_follower *follow(int64_t run, const struct log_query *q)
{
    struct log_follower *f;

    cr_assert_eq(log_follow(all, run, q, &f, &err), 0, "%s", err.message);
    return f;
}

/* Everything there is now, in reads of `max` bytes; *status is what the last read returned. */
static char *drain(struct log_follower *f, size_t max, int64_t *status)
{
    struct buf out = BUF_INIT(1 << 24);
    char *chunk = malloc(max);
    int64_t n, wake = INT64_MAX;

    while ((n = log_follower_read(f, chunk, max, &wake)) > 0)
        buf_put(&out, chunk, (size_t)n);
    *status = n;
    free(chunk);
    buf_puts(&out, "");
    return out.data;
}

static char *all_of(int64_t run, const struct log_query *q)
{
    struct log_follower *f = follow(run, q);
    int64_t status;
    char *text = drain(f, 32768, &status);

    log_follower_free(f);
    return text;
}

static int lines_in(const char *text)
{
    int n = 0;

    for (; *text; text++)
        n += *text == '\n';
    return n;
}

/* The log of a finished run: lines 1..n, number k has the member "k", and an end. */
static void write_log(int64_t run, int n)
{
    struct logstream *l = open_log(run);
    char members[64];

    for (int i = 1; i <= n; i++) {
        snprintf(members, sizeof members, "\"k\":%d", i);
        logstream_event(l, "progress", members);
    }
    logstream_close(l);
}

static char *path_of(int64_t run, char out[static 128])
{
    snprintf(out, 128, "%s/%lld.ndjson", directory, (long long)run);
    return out;
}

Test(logstream, numbers_lines_from_one_without_gaps)
{
    struct logstream *l = open_log(1);
    char *text, *line;
    int64_t seq = 0;

    log_info(logstream_log(l, "source"), .message = "hello",
             .fields = {log_text("stream", "users"), log_int("rows", 5)});
    logstream_event(l, "progress", "\"stream\":\"users\",\"records_read\":5");
    logstream_event(l, "end", "\"status\":\"succeeded\",\"exit_code\":0");
    logstream_close(l);
    cr_expect_geq(notified, 4);
    text = all_of(1, &everything);
    for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        struct doc *d;

        cr_assert_eq(doc_parse(line, strlen(line), &d, &err), 0, "%s", line);
        cr_expect_eq(doc_int(doc_get(d, "seq"), 0), ++seq);
        if (seq == 1) {
            cr_expect_str_eq(doc_string(doc_get(d, "type"), ""), "log");
            cr_expect_str_eq(doc_string(doc_get(d, "level"), ""), "info");
            cr_expect_str_eq(doc_string(doc_get(d, "origin"), ""), "source");
            cr_expect_str_eq(doc_string(doc_get(d, "stream"), ""), "users");
            cr_expect_str_eq(doc_string(doc_get(d, "msg"), ""), "hello");
            cr_expect_eq(doc_int(doc_get(doc_get(d, "tags"), "rows"), 0), 5);
        }
        doc_free(d);
    }
    cr_expect_eq(seq, 3);
    free(text);
}

Test(logstream, continues_after_a_torn_line)
{
    char path[128];
    char *text;
    int fd;

    write_log(7, 3);
    fd = open(path_of(7, path), O_WRONLY | O_APPEND);
    cr_assert_eq(write(fd, "{\"seq\":4,\"ts\":\"20", 17), 17);
    close(fd);
    text = all_of(7, &everything);
    cr_expect_eq(lines_in(text), 3);
    free(text);
    write_log(7, 2);
    text = all_of(7, &everything);
    cr_expect_eq(lines_in(text), 5);
    cr_expect(strstr(text, "{\"seq\":4,"));
    cr_expect(strstr(text, "{\"seq\":5,"));
    cr_expect_not(strstr(text, "\"ts\":\"20{"));
    free(text);
}

Test(logstream, survives_a_file_that_is_only_a_torn_line)
{
    char path[128];
    int fd = open(path_of(8, path), O_WRONLY | O_CREAT, 0600);
    char *text;

    cr_assert_eq(write(fd, "{\"seq\":1", 8), 8);
    close(fd);
    write_log(8, 1);
    text = all_of(8, &everything);
    cr_expect_eq(lines_in(text), 1);
    cr_expect_eq(event_seq(text, strlen(text)), 1);
    free(text);
}

Test(logstream, cuts_long_lines_and_says_so)
{
    struct logstream *l = open_log(1);
    char *long_text = malloc(100001);
    struct doc *d;
    char *text;

    for (int control = 0; control < 2; control++) {
        memset(long_text, control ? 1 : 'x', 100000);
        long_text[100000] = '\0';
        log_info(logstream_log(l, "engine"), .message = "long",
                 .fields = {log_text("a", long_text), log_text("b", long_text),
                            log_text("c", long_text), log_text("d", long_text),
                            log_text("e", long_text), log_text("f", long_text),
                            log_text("g", long_text), log_text("stream", long_text)});
    }
    logstream_close(l);
    text = all_of(1, &everything);
    cr_assert_eq(lines_in(text), 2);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        cr_expect_leq(strlen(line) + 1, LOGSTREAM_MAX_LINE);
        cr_assert_eq(doc_parse(line, strlen(line), &d, &err), 0, "%s", err.message);
        cr_expect(doc_bool(doc_get(d, "truncated"), false));
        doc_free(d);
    }
    free(text);
    free(long_text);
}

Test(logstream, leaves_out_members_that_are_too_long)
{
    struct buf out = BUF_INIT(1 << 20);
    char *members = malloc(20000);

    memset(members, 'x', 19999);
    members[19999] = '\0';
    event_put(&out, 1, 0, "end", members);
    cr_expect(strstr(buf_str(&out), "\"truncated\":true"));
    cr_expect_leq(out.len, LOGSTREAM_MAX_LINE);
    free(members);
    buf_release(&out);
}

Test(logstream, drops_debug_lines)
{
    struct logstream *l = open_log(1);
    char *text;

    log_debug(logstream_log(l, "source"), .message = "detail");
    logstream_close(l);
    text = all_of(1, &everything);
    cr_expect_str_eq(text, "");
    free(text);
}

Test(logstream, an_unknown_run_has_no_log)
{
    struct log_follower *f;

    cr_expect_eq(log_follow(all, 99, &everything, &f, &err), -1);
    cr_expect_eq(err.code, ERR_NOT_FOUND);
    cr_expect_str_eq(error_reason(&err), "log_expired");
}

Test(logstream, a_queued_run_can_be_followed_before_its_first_line)
{
    struct log_query q = everything;
    struct log_follower *f;
    struct logstream *l;
    int64_t status;
    char *text;

    q.follow = true;
    logstreams_expect(all, 5);
    logstreams_expect(all, 5);
    f = follow(5, &q);
    cr_expect_not(log_follower_ready(f));
    text = drain(f, 1000, &status);
    cr_expect_eq(status, 0);
    free(text);
    l = open_log(5);
    cr_expect_not(log_follower_ready(f));
    logstream_event(l, "progress", "");
    cr_expect(log_follower_ready(f));
    text = drain(f, 1000, &status);
    cr_expect_eq(lines_in(text), 1);
    cr_expect_eq(status, 0);
    free(text);
    cr_expect_not(log_follower_ready(f));
    logstream_event(l, "end", "");
    logstream_close(l);
    cr_expect(log_follower_ready(f));
    text = drain(f, 1000, &status);
    cr_expect_eq(lines_in(text), 1);
    cr_expect_eq(status, -1);
    free(text);
    log_follower_free(f);
}

Test(logstream, without_follow_an_active_log_ends_where_it_is)
{
    struct logstream *l = open_log(1);
    struct log_follower *f = follow(1, &everything);
    int64_t status;
    char *text;

    logstream_event(l, "progress", "");
    text = drain(f, 100, &status);
    cr_expect_eq(status, -1);
    free(text);
    log_follower_free(f);
    logstream_close(l);
}

Test(logstream, every_room_gives_the_same_bytes)
{
    static const size_t rooms[] = {1, 7, 64, 65, 66, 67, 100, 1000, 8192, 65536};
    static const enum log_format formats[] = {LOG_FORMAT_NDJSON, LOG_FORMAT_TEXT, LOG_FORMAT_SSE};
    struct log_query q = everything;

    write_log(1, 500);
    q.first = "{\"type\":\"run\",\"run\":{\"id\":1,\"status\":\"running\"}}";
    for (size_t k = 0; k < 3; k++) {
        char *whole;

        q.format = formats[k];
        whole = all_of(1, &q);
        for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) {
            struct log_follower *f = follow(1, &q);
            int64_t status;
            char *text = drain(f, rooms[i], &status);

            cr_expect_str_eq(text, whole, "room of %zu, format %zu", rooms[i], k);
            cr_expect_eq(status, -1);
            free(text);
            log_follower_free(f);
        }
        free(whole);
    }
}

Test(logstream, after_begins_behind_any_number)
{
    struct log_query q = everything;

    write_log(1, 1000);
    for (int64_t after = 0; after <= 1001; after++) {
        char *text;

        q.after = after;
        text = all_of(1, &q);
        cr_expect_eq(lines_in(text), after < 1000 ? 1000 - (int)after : 0, "after %lld",
                     (long long)after);
        if (after < 1000)
            cr_expect_eq(event_seq(text, strlen(text)), after + 1);
        free(text);
    }
}

Test(logstream, tail_gives_the_last_lines)
{
    static const int64_t tails[] = {0, 1, 2, 249, 250, 251, 999, 1000, 1001, 100000};
    struct log_query q = everything;

    write_log(1, 1000);
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        int64_t expected = tails[i] < 1000 ? tails[i] : 1000;
        char *text;

        q.tail = tails[i];
        text = all_of(1, &q);
        cr_expect_eq(lines_in(text), expected, "tail %lld: %d", (long long)tails[i],
                     lines_in(text));
        if (expected > 0)
            cr_expect_eq(event_seq(text, strlen(text)), 1000 - expected + 1);
        free(text);
    }
}

static struct logstream *mixed_log(void)
{
    struct logstream *l = open_log(1);

    for (int i = 0; i < 300; i++) {
        log_info(logstream_log(l, "source"), .message = "info",
                 .fields = {log_text("stream", i % 2 ? "odd" : "even")});
        if (i % 10 == 0)
            log_warn(logstream_log(l, "destination"), .message = "warn");
        if (i % 100 == 0)
            logstream_event(l, "progress", "\"stream\":\"odd\"");
    }
    logstream_event(l, "end", "\"status\":\"failed\"");
    return l;
}

Test(logstream, filters_leave_out_lines_but_never_the_end)
{
    static const struct {
        struct log_query q;
        int lines;
    } cases[] = {
        {{.tail = -1, .level = LOG_INFO}, 334},
        {{.tail = -1, .level = LOG_WARN}, 34},
        {{.tail = -1, .level = LOG_ERROR}, 4},
        {{.tail = -1, .stream = "odd"}, 154},
        {{.tail = -1, .origin = "destination"}, 31},
        {{.tail = -1, .type = "progress"}, 4},
        {{.tail = -1, .type = "progress,log"}, 334},
        {{.tail = -1, .type = "prog"}, 1},
        {{.tail = 5, .origin = "destination"}, 5},
        {{.tail = -1, .limit = 7}, 7},
        {{.tail = -1, .limit = 7, .origin = "source"}, 7},
        {{.tail = -1, .since_us = 1}, 334},
        {{.tail = -1, .until_us = 1}, 1},
    };

    logstream_close(mixed_log());
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = all_of(1, &cases[i].q);

        cr_expect_eq(lines_in(text), cases[i].lines, "case %zu: %d", i, lines_in(text));
        free(text);
    }
}

Test(logstream, text_is_for_people_and_cannot_drive_a_terminal)
{
    struct log_query q = everything;
    struct logstream *l = open_log(1);
    char *text;

    q.format = LOG_FORMAT_TEXT;
    q.timestamps = false;
    log_warn(logstream_log(l, "source"), .message = "odd \x1b[31m cell \xc2\x9b",
             .fields = {log_text("stream", "users"), log_int("row", 7)});
    logstream_event(l, "progress", "\"stream\":\"users\",\"records_read\":5,\"error\":null");
    logstream_event(
        l, "end",
        "\"status\":\"failed\",\"error\":{\"code\":\"worker_lost\",\"message\":\"gone\"}");
    logstream_close(l);
    text = all_of(1, &q);
    cr_expect_str_eq(text, "warn  source/users: odd \\x1b[31m cell \\x9b row=7\n"
                           "progress users, 5 read\n"
                           "end failed, 0 ms: gone (worker_lost)\n");
    free(text);
    q.timestamps = true;
    text = all_of(1, &q);
    cr_expect_eq(text[10], 'T');
    free(text);
}

Test(logstream, server_sent_events_carry_the_number)
{
    struct log_query q = everything;
    char *text;

    write_log(1, 2);
    q.format = LOG_FORMAT_SSE;
    text = all_of(1, &q);
    cr_expect(!strncmp(text, "id: 1\ndata: {\"seq\":1,", 21), "%s", text);
    cr_expect(strstr(text, "}\n\nid: 2\ndata: {\"seq\":2,"));
    free(text);
}

static int64_t fake_now_us;

static int64_t fake_clock(void)
{
    return fake_now_us;
}

Test(logstream, says_that_it_lives_after_a_silence)
{
    struct log_query q = everything;
    struct logstream *l;
    struct log_follower *f;
    int64_t status, wake = 0;
    char *text, c;

    fake_now_us = 1000000000;
    clock_fake(fake_clock);
    l = open_log(1);
    logstream_event(l, "progress", "");
    q.follow = true;
    q.heartbeat_us = 15000000;
    f = follow(1, &q);
    free(drain(f, 1000, &status));
    cr_expect_eq(log_follower_read(f, &c, 1, &wake), 0);
    cr_expect_eq(wake, 1015000000);
    fake_now_us = 1014999999;
    cr_expect_eq(log_follower_read(f, &c, 1, &wake), 0);
    fake_now_us = 1015000000;
    text = drain(f, 1000, &status);
    cr_expect(strstr(text, "\"type\":\"heartbeat\",\"status\":\"running\",\"last_seq\":1}\n"), "%s",
              text);
    cr_expect_eq(lines_in(text), 1);
    free(text);
    cr_expect_eq(log_follower_read(f, &c, 1, &wake), 0);
    cr_expect_eq(wake, 1030000000);
    log_follower_free(f);
    q.format = LOG_FORMAT_SSE;
    f = follow(1, &q);
    free(drain(f, 1000, &status));
    fake_now_us += 15000000;
    text = drain(f, 2, &status);
    cr_expect_str_eq(text, ": hb\n\n");
    free(text);
    log_follower_free(f);
    logstream_close(l);
    clock_fake(NULL);
}

Test(logstream, says_goodbye_when_draining)
{
    struct log_query q = everything;
    struct logstream *l = open_log(1);
    struct log_follower *f, *without;
    int64_t status;
    char *text;

    logstream_event(l, "progress", "");
    q.follow = true;
    f = follow(1, &q);
    without = follow(1, &everything);
    free(drain(f, 1000, &status));
    logstreams_drain(all);
    cr_expect(log_follower_ready(f));
    text = drain(f, 10, &status);
    cr_expect_str_eq(text, "{\"type\":\"bye\",\"reason\":\"draining\",\"after\":1}\n");
    cr_expect_eq(status, -1);
    free(text);
    text = drain(without, 1000, &status);
    cr_expect_eq(lines_in(text), 1);
    cr_expect_not(strstr(text, "bye"));
    free(text);
    log_follower_free(f);
    log_follower_free(without);
    logstream_close(l);
}

Test(logstream, limits_the_number_of_followers)
{
    enum { MOST = 10000 };
    static struct log_follower *f[MOST];
    struct log_follower *more;

    write_log(1, 1);
    for (size_t i = 0; i < MOST; i++)
        f[i] = follow(1, &everything);
    cr_expect_eq(logstreams_followers(all), MOST);
    cr_expect_eq(log_follow(all, 1, &everything, &more, &err), -1);
    cr_expect_eq(err.code, ERR_RATE_LIMITED);
    cr_expect_str_eq(error_reason(&err), "too_many_followers");
    for (size_t i = 0; i < MOST; i++)
        log_follower_free(f[i]);
    cr_expect_eq(logstreams_followers(all), 0);
}

Test(logstream, keeps_young_logs_and_drops_old_ones)
{
    struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    struct log_follower *f;
    char path[128];

    for (int64_t run = 1; run <= 3; run++)
        write_log(run, 10);
    cr_assert_eq(utimensat(AT_FDCWD, path_of(2, path), old, 0), 0);
    cr_assert_eq(logstreams_retain(all, 3600, 0, &err), 0);
    cr_expect_eq(log_follow(all, 2, &everything, &f, &err), -1);
    err = ERROR_INIT;
    log_follower_free(follow(1, &everything));
    log_follower_free(follow(3, &everything));
}

Test(logstream, drops_the_oldest_beyond_the_size_but_none_in_use)
{
    struct log_follower *f, *reader;
    struct stat st;
    char path[128];

    for (int64_t run = 1; run <= 4; run++)
        write_log(run, 10);
    cr_assert_eq(stat(path_of(1, path), &st), 0);
    reader = follow(1, &everything);
    cr_assert_eq(logstreams_retain(all, 0, 2 * st.st_size, &err), 0);
    log_follower_free(reader);
    log_follower_free(follow(1, &everything));
    log_follower_free(follow(4, &everything));
    for (int64_t run = 2; run <= 3; run++) {
        cr_expect_eq(log_follow(all, run, &everything, &f, &err), -1);
        err = ERROR_INIT;
    }
    logstreams_remove(all, 4);
    cr_expect_eq(log_follow(all, 4, &everything, &f, &err), -1);
}
