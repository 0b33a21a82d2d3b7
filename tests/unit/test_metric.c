#include <criterion/criterion.h>

#include <pthread.h>
#include <stdio.h>

#include "connectors/base/metric.h"

static struct buf text = {.max_bytes = 16 << 20};

/* The lines of one metric as they are written; every test has a process of its own. */
static const char *written(const char *name)
{
    static char line[4096];
    const char *at;

    buf_clear(&text);
    metric_write_all(NULL, NULL, &text);
    snprintf(line, sizeof line, "# HELP %s ", name);
    at = strstr(buf_str(&text), line);
    cr_assert_not_null(at, "%s is not there", name);
    at = strchr(strchr(at, '\n') + 1, '\n') + 1; /* behind HELP and TYPE */
    snprintf(line, sizeof line, "%.*s", (int)strcspn(at, "#"), at);
    return line;
}

static size_t count_samples(void)
{
    size_t n = 0;

    buf_clear(&text);
    metric_write_all(NULL, NULL, &text);
    for (const char *p = buf_str(&text); *p; p = strchr(p, '\n') + 1)
        n += *p != '#';
    return n;
}

Test(metric, counters_and_gauges)
{
    metric_add(METRIC_STORE_BUSY, 2);
    metric_add(METRIC_STORE_BUSY, 1);
    metric_set(METRIC_STORE_SIZE, 4096);
    metric_add(METRIC_STORE_SIZE, -96);
    cr_assert_str_eq(written("connectord_store_busy_total"), "connectord_store_busy_total 3\n");
    cr_assert_str_eq(written("connectord_store_size_bytes"), "connectord_store_size_bytes 4000\n");
    cr_assert_eq(metric_value(METRIC_STORE_SIZE, NULL), 4000);
}

Test(metric, seconds_are_given_in_microseconds)
{
    metric_set(METRIC_PROCESS_START, 1764547200123456);
    cr_assert_str_eq(written("process_start_time_seconds"),
                     "process_start_time_seconds 1764547200.123456\n");
    metric_set(METRIC_CHECKPOINT_AGE, -1500000);
    cr_assert_str_eq(written("connectord_run_checkpoint_age_seconds"),
                     "connectord_run_checkpoint_age_seconds -1.500000\n");
}

Test(metric, the_same_labels_are_the_same_series_wherever_their_text_is)
{
    char a[] = "GET", b[] = "GET";

    metric_add_for(METRIC_HTTP_REQUESTS, METRIC_LABELS(a, "/x", "200"), 1);
    metric_add_for(METRIC_HTTP_REQUESTS, METRIC_LABELS(b, "/x", "200"), 1);
    a[0] = b[0] = 'S'; /* copied */
    cr_assert_str_eq(
        written("connectord_http_requests_total"),
        "connectord_http_requests_total{method=\"GET\",route=\"/x\",code=\"200\"} 2\n");
    cr_assert_eq(metric_value(METRIC_HTTP_REQUESTS, METRIC_LABELS("GET", "/x", "404")), 0);
}

Test(metric, label_boundaries_count)
{
    metric_add_for(METRIC_RUN_ROWS, METRIC_LABELS("ab", "c"), 1);
    metric_add_for(METRIC_RUN_ROWS, METRIC_LABELS("a", "bc"), 2);
    metric_add_for(METRIC_RUN_ROWS, METRIC_LABELS(NULL, "abc"), 4);
    cr_assert_eq(metric_value(METRIC_RUN_ROWS, METRIC_LABELS("ab", "c")), 1);
    cr_assert_eq(metric_value(METRIC_RUN_ROWS, METRIC_LABELS("a", "bc")), 2);
    cr_assert_eq(metric_value(METRIC_RUN_ROWS, METRIC_LABELS("", "abc")), 4);
}

Test(metric, listed_values_are_there_from_the_start_and_others_are_one)
{
    metric_add_for(METRIC_LOG_LINES, METRIC_LABELS("warn"), 7);
    metric_add_for(METRIC_LOG_LINES, METRIC_LABELS("war"), 1);
    metric_add_for(METRIC_LOG_LINES, METRIC_LABELS("fatal"), 1);
    cr_assert_not_null(strstr(written("connectord_log_lines_total"),
                              "connectord_log_lines_total{level=\"error\"} 0\n"));
    cr_assert_not_null(strstr(written("connectord_log_lines_total"), "{level=\"warn\"} 7\n"));
    cr_assert_not_null(strstr(written("connectord_log_lines_total"), "{level=\"_OTHER\"} 2\n"));
}

Test(metric, values_of_labels_are_escaped)
{
    metric_add_for(METRIC_RUN_RETRIES, METRIC_LABELS("a\"b\\c\nd"), 1);
    cr_assert_str_eq(written("connectord_run_retries_total"),
                     "connectord_run_retries_total{code=\"a\\\"b\\\\c\\nd\"} 1\n");
}

static void put_three(void *arg, enum metric m, struct buf *out)
{
    (*(size_t *)arg)++;
    if (m == METRIC_CONNECTION_ROWS) {
        metric_write_sample(m, METRIC_LABELS("shop"), 7, out);
        metric_write_sample(m, METRIC_LABELS("a\"b\\c\nd"), -1, out);
    } else if (m == METRIC_CONNECTION_DURATION) {
        metric_write_sample(m, METRIC_LABELS("shop"), 1500000, out);
    }
}

Test(metric, what_is_kept_elsewhere_is_written_at_its_place)
{
    size_t called = 0;

    buf_clear(&text);
    metric_write_all(put_three, &called, &text);
    cr_expect_eq(called, METRIC_N);
    cr_expect_not_null(strstr(
        buf_str(&text), "# TYPE connectord_connection_rows_total counter\n"
                        "connectord_connection_rows_total{connection=\"shop\"} 7\n"
                        "connectord_connection_rows_total{connection=\"a\\\"b\\\\c\\nd\"} -1\n"
                        "# HELP connectord_connection_bytes_total "));
    cr_expect_not_null(
        strstr(buf_str(&text),
               "# TYPE connectord_connection_last_duration_seconds gauge\n"
               "connectord_connection_last_duration_seconds{connection=\"shop\"} 1.500000\n"
               "# HELP "));
    cr_expect_str_eq(written("connectord_connection_rows_total"), "", "it is kept nowhere here");
}

Test(metric, buckets_are_cumulative_and_include_their_bound)
{
    metric_observe(METRIC_RUN_QUEUE_WAIT, 1000000);
    metric_observe(METRIC_RUN_QUEUE_WAIT, 1000001);
    metric_observe(METRIC_RUN_QUEUE_WAIT, 20000000000);
    cr_assert_str_eq(written("connectord_run_queue_wait_seconds"),
                     "connectord_run_queue_wait_seconds_bucket{le=\"1\"} 1\n"
                     "connectord_run_queue_wait_seconds_bucket{le=\"5\"} 2\n"
                     "connectord_run_queue_wait_seconds_bucket{le=\"15\"} 2\n"
                     "connectord_run_queue_wait_seconds_bucket{le=\"60\"} 2\n"
                     "connectord_run_queue_wait_seconds_bucket{le=\"300\"} 2\n"
                     "connectord_run_queue_wait_seconds_bucket{le=\"900\"} 2\n"
                     "connectord_run_queue_wait_seconds_bucket{le=\"3600\"} 2\n"
                     "connectord_run_queue_wait_seconds_bucket{le=\"14400\"} 2\n"
                     "connectord_run_queue_wait_seconds_bucket{le=\"+Inf\"} 3\n"
                     "connectord_run_queue_wait_seconds_sum 20002.000001\n"
                     "connectord_run_queue_wait_seconds_count 3\n");
}

Test(metric, labels_that_never_repeat_do_not_grow_it_without_bound)
{
    size_t empty = count_samples();

    for (int i = 0; i < 20000; i++) {
        char name[32];

        snprintf(name, sizeof name, "c%d", i);
        metric_add_for(METRIC_RUN_ROWS, METRIC_LABELS(name, "read"), 1);
        metric_observe_for(METRIC_HTTP_TIMES, METRIC_LABELS("GET", name), 1);
    }
    cr_assert_gt(count_samples(), METRIC_MAX_LINES - 20, "what fits is told apart");
    cr_assert_leq(count_samples(), METRIC_MAX_LINES + empty + 40);
    cr_assert_lt(count_samples(), 3000);
    cr_assert_gt(metric_value(METRIC_RUN_ROWS, METRIC_LABELS("_OTHER", "_OTHER")), 10000,
                 "nothing is lost");
    metric_add_for(METRIC_RUN_ROWS, METRIC_LABELS("c0", "read"), 1);
    cr_assert_eq(metric_value(METRIC_RUN_ROWS, METRIC_LABELS("c0", "read")), 2,
                 "what was there goes on");
}

static void *count(void *arg)
{
    for (int i = 0; i < 20000; i++) {
        char name[8];

        snprintf(name, sizeof name, "%d", i % 50);
        metric_add_for(METRIC_RUN_ROWS, METRIC_LABELS(name, "read"), 1);
        metric_observe(METRIC_RUN_QUEUE_WAIT, i);
    }
    return arg;
}

Test(metric, threads_lose_nothing)
{
    pthread_t threads[4];
    int64_t sum = 0;

    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, count, NULL), 0);
    (void)count_samples(); /* while they count */
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 50; i++) {
        char name[8];

        snprintf(name, sizeof name, "%d", i);
        sum += metric_value(METRIC_RUN_ROWS, METRIC_LABELS(name, "read"));
    }
    cr_assert_eq(sum, 80000);
    cr_assert_not_null(strstr(written("connectord_run_queue_wait_seconds"), "_count 80000\n"));
}
