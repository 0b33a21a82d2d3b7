#include "connectors/sql/postgres.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "connectors/base/text.h"
#include "connectors/sql/postgres_internal.h"
#include "connectors/sql/postgres_oid.h"

/* How long the server may take to show that it lives, before it is asked to cancel. */
#define ALIVE_MS 2000

void postgres_bind(struct arena *mem, const struct sql_value *params, size_t n,
                   struct postgres_params *out)
{
    out->values = arena_array(mem, n + 1, sizeof *out->values);
    out->lengths = arena_array(mem, n + 1, sizeof *out->lengths);
    out->formats = arena_array(mem, n + 1, sizeof *out->formats);
    out->types = arena_array(mem, n + 1, sizeof *out->types);
    for (size_t i = 0; i < n; i++) {
        const struct sql_value *v = &params[i];
        char digits[32];

        switch (v->kind) {
        case SQL_NULL:
            break;
        case SQL_INT:
            out->values[i] = arena_memdup(mem, digits, text_from_int64(v->number, digits));
            break;
        case SQL_REAL: {
            char text[VALUE_TEXT_BYTES];

            out->values[i] = arena_memdup(mem, text, value_format_float(v->real, 64, text));
            break;
        }
        case SQL_TEXT:
            /* Text is of no type, so the server reads it as what stands there. A NUL would cut it;
             * sent as binary it is refused. */
            out->values[i] = arena_memdup(mem, v->bytes.ptr ? v->bytes.ptr : "", v->bytes.len);
            out->formats[i] = memchr(out->values[i], '\0', v->bytes.len) != NULL;
            out->lengths[i] = (int)v->bytes.len;
            break;
        case SQL_BLOB:
            out->values[i] = arena_memdup(mem, v->bytes.ptr ? v->bytes.ptr : "", v->bytes.len);
            out->formats[i] = 1;
            out->lengths[i] = (int)v->bytes.len;
            out->types[i] = POSTGRES_BYTEA;
            break;
        }
    }
}

bool postgres_is_good(const PGresult *r)
{
    ExecStatusType status = PQresultStatus(r);

    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_SINGLE_TUPLE;
}

int postgres_query(struct postgres_conn *c, const char *sql, const struct sql_value *params,
                   size_t n, bool binary, PGresult **out, struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    struct postgres_params p;

    *out = NULL;
    if (cancel_check(c->run->cancel, err) < 0)
        return -1;
    postgres_bind(mem, params, n, &p);
    if (PQsendQueryParams(c->pg, sql, (int)n, p.types, p.values, p.lengths, p.formats, binary))
        *out = postgres_last_result(c);
    if (postgres_is_good(*out))
        return 0;
    postgres_fail(c, *out, "the statement failed", err);
    if (PQresultStatus(*out) == PGRES_COPY_IN || PQresultStatus(*out) == PGRES_COPY_OUT)
        postgres_stop(c);
    PQclear(TAKE(*out));
    return -1;
}

/* ------------------------------------------------------------- stopping */

/* Connects to the server and sees whether it answers, which the library's request to cancel, a
 * blocking call, takes for granted. */
static bool server_lives(const struct postgres_conn *c)
{
    static const unsigned char request[8] = {0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f}; /* SSLRequest */
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM}, *to;
    char port[24], answer;
    bool lives = false;
    int fd;

    port[text_from_int64(c->port, port)] = '\0';
    if (getaddrinfo(c->address, port, &hints, &to) != 0)
        return false;
    fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0) {
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        int rc = connect(fd, to->ai_addr, to->ai_addrlen);

        if ((rc == 0 || errno == EINPROGRESS) && poll(&p, 1, ALIVE_MS) == 1 &&
            send(fd, request, sizeof request, MSG_NOSIGNAL) == (ssize_t)sizeof request) {
            p.events = POLLIN;
            lives = poll(&p, 1, ALIVE_MS) == 1 && recv(fd, &answer, 1, 0) == 1;
        }
        close(fd);
    }
    freeaddrinfo(to);
    return lives;
}

static void ask_to_cancel(struct postgres_conn *c)
{
    char why[256] = "the server does not answer";

    if (c->stop && server_lives(c) && PQcancel(c->stop, why, sizeof why))
        return;
    log_debug(c->run->log, .message = "the server was not told to cancel",
              .fields = {log_text("error", why)});
}

void postgres_stop(struct postgres_conn *c)
{
    ask_to_cancel(c);
    for (PGresult *r = postgres_next_result(c); r; r = postgres_next_result(c)) {
        ExecStatusType status = PQresultStatus(r);
        char *bytes;

        PQclear(r);
        while (status == PGRES_COPY_OUT && postgres_next_row(c, &bytes) > 0)
            PQfreemem(bytes);
        if (status == PGRES_COPY_IN)
            postgres_put_end(c, "no longer wanted");
        if (PQstatus(c->pg) == CONNECTION_BAD)
            return;
    }
}

void postgres_reset_on_close(struct postgres_conn *c, bool on)
{
    struct linger how = {.l_onoff = on};

    /* It is a TCP socket, always: a host is never a path. */
    setsockopt(PQsocket(c->pg), SOL_SOCKET, SO_LINGER, &how, sizeof how);
}

void postgres_disconnect(struct postgres_conn *c)
{
    bool cancelled;

    if (!c)
        return;
    cancelled = cancel_requested(c->run->cancel) != CANCEL_NONE;
    /* Closing alone does not end a statement: the server notices when it wants to answer. */
    if (c->stop && (PQtransactionStatus(c->pg) == PQTRANS_ACTIVE ||
                    (cancelled && PQstatus(c->pg) == CONNECTION_BAD)))
        ask_to_cancel(c);
    else if (!cancelled && PQstatus(c->pg) == CONNECTION_OK)
        postgres_reset_on_close(c, false); /* so that the server takes it for a farewell */
    cancel_unwatch(&c->watch);
    PQfreeCancel(c->stop);
    PQfinish(c->pg);
    free(c);
}
