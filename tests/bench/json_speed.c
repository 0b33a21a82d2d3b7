/*
 * The streaming JSON reader and writer beside jansson: NDJSON of 12 fields, a thousand records over
 * and over. Prints nanoseconds of processor time per record, the median of several passes taken in
 * turn: {"read":..,"loadb":..,"write":..,"dumps":..}
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "connectors/base/jsonread.h"
#include "connectors/base/jsonwrite.h"

#define RECORDS 1000
#define TIMES   40 /* over all records, in one pass */
#define PASSES  15

static char *lines[RECORDS];
static size_t lengths[RECORDS];
static json_t *trees[RECORDS];

static void make_lines(void)
{
    static const char *const words[] = {"quick", "pending", "final", "unusual", "brave", "regular"};

    for (unsigned long id = 0; id < RECORDS; id++) {
        unsigned long v = id * 2654435761ul % 1000003ul;
        int n = asprintf(
            &lines[id],
            "{\"id\":%lu,\"customer\":%lu,\"sku\":\"SKU-%06lu\",\"quantity\":%lu,"
            "\"price\":%lu.%02lu,\"discount\":0.%02lu,\"status\":\"%s\",\"paid\":%s,"
            "\"created_at\":\"2024-%02lu-%02luT%02lu:00:00Z\",\"email\":\"user%lu@example.com\","
            "\"comment\":\"%s requests sleep %s\",\"weight\":%lu}",
            id, v, v % 999983, 1 + v % 50, v % 9000, v % 100, v % 10, words[v % 6],
            v % 2 ? "true" : "false", 1 + v % 12, 1 + v % 28, v % 24, v, words[v % 5],
            words[id % 6], v * 7);

        if (n < 0)
            abort();
        lengths[id] = (size_t)n;
        trees[id] = json_loadb(lines[id], lengths[id], 0, NULL);
    }
}

static double cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static unsigned long sink; /* what was read is used, or nothing would be */

static void read_all(void)
{
    struct jsonread r;

    jsonread_init(&r);
    for (int k = 0; k < TIMES * RECORDS; k++) {
        struct error err = ERROR_INIT;
        enum jsonread_token t;

        jsonread_start(&r, lines[k % RECORDS], lengths[k % RECORDS]);
        do {
            if (jsonread_next(&r, &t, &err) < 0)
                abort();
            sink += r.text.len;
        } while (t != JSONREAD_END);
    }
    jsonread_release(&r);
}

static void load_all(void)
{
    for (int k = 0; k < TIMES * RECORDS; k++) {
        json_t *tree = json_loadb(lines[k % RECORDS], lengths[k % RECORDS], 0, NULL);

        sink += json_object_size(tree);
        json_decref(tree);
    }
}

/* The values of a row as they lie in a batch: integers, and text of everything else. */
static void write_all(void)
{
    struct buf out = BUF_INIT(1 << 20);

    for (int k = 0; k < TIMES * RECORDS; k++) {
        struct jsonw w = JSONW_INIT(&out);

        buf_clear(&out);
        jsonw_object(&w);
        jsonw_put_int(&w, "id", k);
        jsonw_put_int(&w, "customer", 3L * k);
        jsonw_put_string(&w, "sku", "SKU-012345");
        jsonw_put_int(&w, "quantity", k % 50);
        jsonw_put_raw(&w, "price", "1234.56");
        jsonw_put_raw(&w, "discount", "0.07");
        jsonw_put_string(&w, "status", "pending");
        jsonw_put_bool(&w, "paid", k % 2);
        jsonw_put_string(&w, "created_at", "2024-02-29T12:00:00Z");
        jsonw_put_string(&w, "email", "user123456@example.com");
        jsonw_put_string(&w, "comment", "quick requests sleep pending");
        jsonw_put_int(&w, "weight", 7L * k);
        jsonw_object_end(&w);
        sink += out.len;
    }
    buf_release(&out);
}

static void dump_all(void)
{
    for (int k = 0; k < TIMES * RECORDS; k++) {
        char *text = json_dumps(trees[k % RECORDS], JSON_COMPACT);

        sink += strlen(text);
        free(text);
    }
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

int main(void)
{
    static void (*const work[])(void) = {read_all, load_all, write_all, dump_all};
    static const char *const names[] = {"read", "loadb", "write", "dumps"};
    double ns[4][PASSES];

    make_lines();
    for (int pass = 0; pass < PASSES; pass++) {
        for (int i = 0; i < 4; i++) {
            double began = cpu_ns();

            work[i]();
            ns[i][pass] = (cpu_ns() - began) / (TIMES * RECORDS);
        }
    }
    for (int i = 0; i < 4; i++) {
        qsort(ns[i], PASSES, sizeof ns[i][0], compare);
        printf("%c\"%s\":%.1f", i ? ',' : '{', names[i], ns[i][PASSES / 2]);
    }
    printf(",\"seen\":%lu}\n", sink % 10);
    return 0;
}
