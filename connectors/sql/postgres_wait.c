/* Statements and rows without libpq's own waiting: see postgres_internal.h for why. */
#include <errno.h>
#include <poll.h>

#include "connectors/sql/postgres_internal.h"

void postgres_drain(struct postgres_conn *c)
{
    for (PGnotify *n = PQnotifies(c->pg); n; n = PQnotifies(c->pg))
        PQfreemem(n);
}

/* Takes in what has arrived, as much as libpq has room for, and what of it nobody asked for. */
static bool take_in(struct postgres_conn *c)
{
    bool lives = PQconsumeInput(c->pg);

    c->spoke = true;
    (void)PQisBusy(c->pg); /* looks through it */
    postgres_drain(c);
    return lives;
}

/* What of `events` the socket is ready for, and whether it is broken. */
static short wait_for(const struct postgres_conn *c, short events, int patience_ms)
{
    struct pollfd p = {.fd = PQsocket(c->pg), .events = events};

    while (poll(&p, 1, patience_ms) < 0 && errno == EINTR)
        ;
    return p.revents;
}

/* All that libpq holds back goes out. A server may speak meanwhile, and wait to be heard. */
static bool flush(struct postgres_conn *c)
{
    int rc;

    while ((rc = PQflush(c->pg)) == 1) {
        if ((wait_for(c, POLLIN | POLLOUT, -1) & ~POLLOUT) && !take_in(c))
            return false;
    }
    return rc == 0;
}

PGresult *postgres_next_result(struct postgres_conn *c)
{
    postgres_drain(c);
    while (PQisBusy(c->pg)) {
        if (!flush(c))
            break;
        wait_for(c, POLLIN, -1);
        if (!take_in(c))
            break; /* PQgetResult says so, and does not wait */
    }
    return PQgetResult(c->pg);
}

int postgres_next_row(struct postgres_conn *c, char **out)
{
    int n;

    while ((n = PQgetCopyData(c->pg, out, 1)) == 0) {
        wait_for(c, POLLIN, -1);
        if (!take_in(c))
            return -2;
    }
    return n;
}

bool postgres_put(struct postgres_conn *c, const char *bytes, size_t n)
{
    if (PQputCopyData(c->pg, bytes, (int)n) != 1)
        return false;
    /* It has sent all but what it keeps for the next packet, unless the socket is full. */
    return wait_for(c, POLLOUT, 0) == POLLOUT || flush(c);
}

bool postgres_put_end(struct postgres_conn *c, const char *why)
{
    return PQputCopyEnd(c->pg, why) == 1 && flush(c);
}

static bool is_copy(const PGresult *r)
{
    ExecStatusType status = PQresultStatus(r);

    return status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH;
}

PGresult *postgres_last_result(struct postgres_conn *c)
{
    PGresult *last = NULL;

    for (PGresult *r = postgres_next_result(c); r; r = postgres_next_result(c)) {
        PQclear(last);
        last = r;
        if (is_copy(r) || PQstatus(c->pg) == CONNECTION_BAD)
            break;
    }
    return last;
}
