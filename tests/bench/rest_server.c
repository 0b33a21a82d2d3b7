/*
 * An API that answers from memory: pages of records of 12 fields, rendered once.
 *
 *   rest_server ROWS PAGE CSV     writes the same rows to CSV, then prints its port and serves
 *
 * GET /items?page=N, from 1; behind the last page the list is empty.
 */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct text {
    char *bytes;
    size_t n;
};
struct pages {
    struct text *items;
    unsigned long n;
    struct text empty;
};

static const char *const words[] = {"quick", "pending", "final", "unusual", "brave", "regular"};

/* One row: {"id":..} into `json`, the same values into `csv`. */
static void put_row(FILE *json, FILE *csv, unsigned long id)
{
    unsigned long v = id * 2654435761ul % 1000003ul;
    char stamp[32];

    snprintf(stamp, sizeof stamp, "2024-%02lu-%02luT%02lu:%02lu:%02luZ", 1 + v % 12, 1 + v % 28,
             v % 24, v % 60, id % 60);
    fprintf(
        json,
        "{\"id\":%lu,\"customer\":%lu,\"sku\":\"SKU-%06lu\",\"quantity\":%lu,\"price\":%lu.%02lu,"
        "\"discount\":0.%02lu,\"status\":\"%s\",\"paid\":%s,\"created_at\":\"%s\","
        "\"email\":\"user%lu@example.com\",\"comment\":\"%s requests sleep %s across the %s "
        "deposits\","
        "\"weight\":%lu}",
        id, v, v % 999983, 1 + v % 50, v % 9000, v % 100, v % 10, words[v % 6],
        v % 2 ? "true" : "false", stamp, v, words[v % 5], words[id % 6], words[v % 3], v * 7);
    fprintf(csv,
            "%lu,%lu,SKU-%06lu,%lu,%lu.%02lu,0.%02lu,%s,%s,%s,user%lu@example.com,"
            "%s requests sleep %s across the %s deposits,%lu\n",
            id, v, v % 999983, 1 + v % 50, v % 9000, v % 100, v % 10, words[v % 6],
            v % 2 ? "true" : "false", stamp, v, words[v % 5], words[id % 6], words[v % 3], v * 7);
}

static struct text render(FILE *csv, unsigned long first, unsigned long n)
{
    struct text t;
    FILE *json = open_memstream(&t.bytes, &t.n);

    fputs("{\"data\":[", json);
    for (unsigned long i = 0; i < n; i++) {
        if (i > 0)
            putc(',', json);
        put_row(json, csv, first + i);
    }
    fprintf(json, "],\"count\":%lu}", n);
    fclose(json);
    return t;
}

static enum MHD_Result answer(void *arg, struct MHD_Connection *c, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *n_upload, void **state)
{
    const struct pages *p = arg;
    const char *page = MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, "page");
    unsigned long n = page ? strtoul(page, NULL, 10) : 1;
    const struct text *t = n >= 1 && n <= p->n ? &p->items[n - 1] : &p->empty;
    struct MHD_Response *r =
        MHD_create_response_from_buffer(t->n, t->bytes, MHD_RESPMEM_PERSISTENT);
    enum MHD_Result rc;

    (void)url, (void)method, (void)version, (void)upload, (void)n_upload, (void)state;
    MHD_add_response_header(r, "Content-Type", "application/json");
    rc = MHD_queue_response(c, 200, r);
    MHD_destroy_response(r);
    return rc;
}

int main(int argc, char **argv)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct pages p = {0};
    struct MHD_Daemon *d;
    unsigned long rows, size;
    FILE *csv;

    if (argc != 4 || !(csv = fopen(argv[3], "w")))
        return 2;
    rows = strtoul(argv[1], NULL, 10);
    size = strtoul(argv[2], NULL, 10);
    p.n = (rows + size - 1) / size;
    p.items = calloc(p.n, sizeof *p.items);
    for (unsigned long i = 0; i < p.n; i++)
        p.items[i] = render(csv, i * size + 1, rows - i * size < size ? rows - i * size : size);
    p.empty = render(csv, 0, 0);
    fclose(csv);
    d = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, answer, &p,
                         MHD_OPTION_SOCK_ADDR, &any, MHD_OPTION_END);
    if (!d)
        return 1;
    printf("%u\n", MHD_get_daemon_info(d, MHD_DAEMON_INFO_BIND_PORT)->port);
    fflush(stdout);
    while (getchar() != EOF) /* until whoever started it is gone */
        ;
    MHD_stop_daemon(d);
    return 0;
}
