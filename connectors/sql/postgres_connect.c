/*
 * From typed options to a session.
 *
 * libpq takes what it is not told from the environment, from files below the home directory and
 * from a service file. Each of those has been used to send a password elsewhere, so every keyword
 * that has such a source is given here, with a value that names nothing.
 */
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "connectors/base/clock.h"
#include "connectors/base/resolve.h"
#include "connectors/base/text.h"
#include "connectors/sql/postgres_internal.h"

#define NOWHERE "/nonexistent/postgresql/"
/* The package ca-certificates keeps those of the system here. */
#define SYSTEM_AUTHORITIES "/etc/ssl/certs/ca-certificates.crt"

/* How long sent bytes may stay unacknowledged before a connection counts as dead; shorter for the
 * one that only carries the request to cancel. */
#define DEAD_AFTER_MS        60000
#define CANCEL_DEAD_AFTER_MS "5000"

const char *const postgres_ssl_modes[] = {"disable", "require", "verify-ca", "verify-full", NULL};

void postgres_forget_environment(void)
{
    char **at = environ; /* NULL after clearenv */

    while (at && *at) {
        CLEANUP(free_cleanup) char *name = xstrdup(*at);

        name[strcspn(name, "=")] = '\0';
        if (text_starts_with(name, "PG"))
            unsetenv(name); /* the next one moves here */
        else
            at++;
    }
    setenv("HOME", "/nonexistent", 1);
}

void postgres_list_keywords(const struct postgres_server *to, const char *address,
                            const char *root_cert, struct arena *mem, struct postgres_keywords *out)
{
    const char *port = arena_printf(mem, "%lld", (long long)to->port);
    const char *timeout = arena_printf(mem, "%lld", (long long)to->connect_timeout_s);
    /* clang-format off */
    const char *const pairs[][2] = {
        {"host", to->host}, /* what a certificate is compared with */
        {"hostaddr", address},
        {"port", port},
        {"dbname", to->database},
        {"user", to->username},
        {"password", to->password ? to->password : ""},
        {"passfile", NOWHERE "pgpass"},
        {"connect_timeout", timeout},
        {"client_encoding", "UTF8"},
        {"application_name", "connectord"},
        {"sslmode", to->ssl_mode},
        {"sslrootcert", root_cert},
        {"sslcert", NOWHERE "client.crt"},
        {"sslkey", NOWHERE "client.key"},
        {"sslcrl", NOWHERE "crl"},
        {"sslcrldir", NOWHERE "crls"},
        {"sslcompression", "0"},
        {"sslsni", "1"},
        {"ssl_min_protocol_version", "TLSv1.2"},
        {"ssl_max_protocol_version", "TLSv1.3"},
        {"channel_binding", "prefer"},
        {"gssencmode", "disable"},
        {"krbsrvname", "postgres"},
        {"target_session_attrs", "any"},
        {"keepalives", "1"},
        {"keepalives_idle", "30"},
        {"keepalives_interval", "10"},
        {"keepalives_count", "3"},
        {"tcp_user_timeout", CANCEL_DEAD_AFTER_MS},
    };
    /* clang-format on */

    *out = (struct postgres_keywords){.n = sizeof pairs / sizeof pairs[0]};
    for (size_t i = 0; i < out->n; i++) {
        out->names[i] = pairs[i][0];
        out->values[i] = pairs[i][1];
    }
}

/* The authorities as a path: libpq reads them from a file and nothing else. */
static int make_root_cert(const struct postgres_server *to, struct arena *mem, int *out_fd,
                          const char **out_path, struct error *err)
{
    size_t n = to->ssl_root_cert ? strlen(to->ssl_root_cert) : 0, done = 0;

    *out_path = text_starts_with(to->ssl_mode, "verify") ? SYSTEM_AUTHORITIES : NOWHERE "root.crt";
    if (n == 0 || strcmp(to->ssl_mode, "disable") == 0)
        return 0;
    if (!strstr(to->ssl_root_cert, "-----BEGIN CERTIFICATE-----"))
        return error_set(err, ERR_CONFIG,
                         "ssl_root_cert is not PEM text: it holds no line "
                         "\"-----BEGIN CERTIFICATE-----\"");
    *out_fd = memfd_create("authorities", MFD_CLOEXEC);
    if (*out_fd < 0)
        return error_set_errno(err, errno, "keeping the certificate authorities");
    while (done < n) {
        ssize_t wrote = write(*out_fd, to->ssl_root_cert + done, n - done);

        if (wrote < 0)
            return error_set_errno(err, errno, "keeping the certificate authorities");
        done += (size_t)wrote;
    }
    *out_path = arena_printf(mem, "/proc/self/fd/%d", *out_fd);
    return 0;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* Notices come when the server likes, as many as it likes: they are worth a line for debugging. */
static void on_notice(void *arg, const PGresult *notice)
{
    const struct postgres_conn *c = arg;
    const char *said = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);

    log_debug(c->run->log, .message = "notice of the server", .fields = {log_text("notice", said)});
}

/* libpq has set the short time for this socket as well; only the one that cancels keeps it. */
static void allow_silence(int fd)
{
    unsigned ms = DEAD_AFTER_MS;

    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
}

/*
 * libpq answers whatever a server asks, the password in clear included, and no keyword forbids it.
 * Without TLS, then, what it is about to read is looked at first. (A server that hides its question
 * behind much else is malicious, and would have to know the password's hash to be more.)
 */
static bool asks_in_clear(const PGconn *pg, bool *out_more)
{
    enum { CLEARTEXT = 3 };
    unsigned char seen[4096];
    ssize_t n = recv(PQsocket(pg), seen, sizeof seen, MSG_PEEK | MSG_DONTWAIT);

    *out_more = n > 0 && n < 9 && seen[0] == 'R';
    /* Messages: a letter, the length of the rest with itself, for 'R' the kind of the question. */
    for (size_t at = 0, end = n > 0 ? (size_t)n : 0; at + 9 <= end;) {
        uint32_t length, kind;

        memcpy(&length, seen + at + 1, sizeof length);
        memcpy(&kind, seen + at + 5, sizeof kind);
        if (seen[at] == 'R' && be32toh(kind) == CLEARTEXT)
            return true;
        at += 1 + (size_t)be32toh(length);
    }
    return false;
}

/* What has to be seen of the server's answer before libpq may read it. */
static int look_ahead(struct postgres_conn *c, bool *out_wait, struct error *err)
{
    *out_wait = false;
    if (PQsslInUse(c->pg) || PQstatus(c->pg) != CONNECTION_AWAITING_RESPONSE)
        return 0;
    if (asks_in_clear(c->pg, out_wait))
        return error_set_reason(err, ERR_UNAUTHORIZED, "insecure_auth",
                                "cannot connect to %s: the server wants the password in clear, "
                                "and nothing encrypts the connection; set ssl_mode",
                                c->server_name);
    return *out_wait ? cancel_sleep_ms(c->run->cancel, 5, err) : 0;
}

/* Drives one attempt. *out_stage is how far it came when it fails. */
static int drive(struct postgres_conn *c, int64_t deadline_us, ConnStatusType *out_stage,
                 struct error *err)
{
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;
    bool wait;

    *out_stage = CONNECTION_STARTED;
    while (next != PGRES_POLLING_OK) {
        int64_t left_ms = (deadline_us - clock_monotonic_us()) / 1000;
        struct pollfd p[] = {{.fd = PQsocket(c->pg)},
                             {.fd = cancel_fd(c->run->cancel), .events = POLLIN}};

        if (cancel_check(c->run->cancel, err) < 0)
            return -1;
        if (left_ms <= 0)
            return error_set_reason(err, ERR_TRANSIENT, "host_unreachable",
                                    "cannot connect to %s: no answer in time", c->server_name);
        p[0].events = next == PGRES_POLLING_READING ? POLLIN : POLLOUT;
        if (*out_stage == CONNECTION_STARTED)
            allow_silence(p[0].fd);
        poll(p, 2, left_ms > 60000 ? 60000 : (int)left_ms);
        if (!p[0].revents)
            continue;
        if (look_ahead(c, &wait, err) < 0)
            return -1;
        if (wait)
            continue;
        next = PQconnectPoll(c->pg);
        if (PQstatus(c->pg) == CONNECTION_AUTH_OK)
            postgres_drain(c);
        if (next == PGRES_POLLING_FAILED)
            return postgres_fail_connect(c->pg, *out_stage, c->server_name, err);
        if (PQstatus(c->pg) != CONNECTION_BAD)
            *out_stage = PQstatus(c->pg);
    }
    return 0;
}

static int attempt(struct postgres_conn *c, const struct postgres_server *to, const char *address,
                   const char *root_cert, int64_t deadline_us, ConnStatusType *out_stage,
                   struct error *err)
{
    struct postgres_keywords k;

    postgres_list_keywords(to, address, root_cert, c->run->mem, &k);
    PQfinish(c->pg);
    *out_stage = CONNECTION_STARTED;
    c->address = address;
    c->pg = PQconnectStartParams(k.names, k.values, 0);
    if (!c->pg)
        return error_set(err, ERR_RESOURCE, "no memory for a connection");
    if (PQstatus(c->pg) == CONNECTION_BAD)
        return postgres_fail_connect(c->pg, CONNECTION_STARTED, c->server_name, err);
    /* Tells the SQLSTATE, which a failed connection has no other way to give. */
    PQsetErrorVerbosity(c->pg, PQERRORS_VERBOSE);
    PQsetNoticeReceiver(c->pg, on_notice, c);
    return drive(c, deadline_us, out_stage, err);
}

/* One address after the other until one answers, whatever it answers. */
static int connect_any(struct postgres_conn *c, const struct postgres_server *to,
                       const char *root_cert, struct error *err)
{
    int64_t deadline_us = clock_monotonic_us() + to->connect_timeout_s * 1000000;
    ConnStatusType stage = CONNECTION_STARTED;
    struct resolved found;

    if (resolve_host(to->host, to->port, deadline_us, c->run->cancel, c->run->mem, &found, err) < 0)
        return -1;
    for (size_t i = 0; i < found.n; i++) {
        int64_t now = clock_monotonic_us(), share = (deadline_us - now) / (int64_t)(found.n - i);

        *err = ERROR_INIT;
        if (attempt(c, to, found.addresses[i], root_cert, now + share, &stage, err) == 0)
            return 0;
        if (stage != CONNECTION_STARTED || err->code == ERR_CANCELLED)
            break;
    }
    return -1;
}

/* ------------------------------------------------------------- the session */

static const struct {
    const char *name, *value; /* NULL = see set_session */
    bool reading, writing;
    int since; /* the server's version */
} settings[] = {
    /* clang-format off */
    {"DateStyle",                           "ISO",      true,  true,  0},
    {"IntervalStyle",                       "iso_8601", true,  true,  0},
    {"TimeZone",                            "UTC",      true,  true,  0},
    {"extra_float_digits",                  "3",        true,  true,  0},
    {"bytea_output",                        "hex",      true,  true,  0},
    {"standard_conforming_strings",         "on",       true,  true,  0},
    {"default_transaction_read_only",       "on",       true,  false, 0},
    {"default_transaction_deferrable",      "off",      true,  true,  0},
    {"default_transaction_isolation",       "read committed", true, true, 0},
    {"lock_timeout",                        "30s",      false, true,  0},
    /* A reader waits for a slow destination as long as that takes; the locks of a dead writer must
     * end, since others wait for them. */
    {"idle_in_transaction_session_timeout", "0",        true,  false, 0},
    {"idle_in_transaction_session_timeout", "5min",     false, true,  0},
    /* Whoever hung up wants no answer. */
    {"client_connection_check_interval",    "5s",       true,  true,  140000},
    /* A machine that is gone says nothing at all. */
    {"tcp_keepalives_idle",                 "30",       true,  true,  0},
    {"tcp_keepalives_interval",             "10",       true,  true,  0},
    {"tcp_keepalives_count",                "3",        true,  true,  0},
    {"idle_session_timeout",                "0",        true,  true,  140000},
    {"statement_timeout",                   NULL,       true,  true,  0},
    /* clang-format on */
};

static int set_session(struct postgres_conn *c, const struct postgres_server *to, bool read_only,
                       struct error *err)
{
    CLEANUP(postgres_clear) PGresult *result = NULL;
    CLEANUP(buf_release) struct buf sql = BUF_INIT(4096);
    int version = PQserverVersion(c->pg);

    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        if (!(read_only ? settings[i].reading : settings[i].writing) || version < settings[i].since)
            continue;
        buf_puts(&sql, sql.len == 0 ? "SELECT " : ", ");
        if (settings[i].value)
            buf_printf(&sql, "pg_catalog.set_config('%s', '%s', false)", settings[i].name,
                       settings[i].value);
        else
            buf_printf(&sql, "pg_catalog.set_config('%s', $1, false)", settings[i].name);
    }
    return postgres_query(
        c, buf_str(&sql),
        &(struct sql_value){.kind = SQL_INT, .number = to->statement_timeout_s * 1000}, 1, false,
        &result, err);
}

int postgres_connect(const struct postgres_server *to, bool read_only, struct run *run,
                     struct postgres_conn **out, struct error *err)
{
    CLEANUP(close_fd) int authorities = -1;
    struct postgres_conn *c;
    const char *root_cert;

    if (make_root_cert(to, run->mem, &authorities, &root_cert, err) < 0)
        return -1;
    c = xalloc(sizeof *c);
    c->base.dialect = &sql_postgres;
    c->run = run;
    c->port = to->port;
    c->server_name =
        arena_printf(run->mem, "%s:%lld/%s", to->host, (long long)to->port, to->database);
    if (connect_any(c, to, root_cert, err) < 0) {
        postgres_disconnect(c);
        return -1;
    }
    PQsetErrorVerbosity(c->pg, PQERRORS_DEFAULT);
    PQsetnonblocking(c->pg, 1);
    postgres_reset_on_close(c, true);
    c->stop = PQgetCancel(c->pg);
    cancel_watch_socket(run->cancel, &c->watch, PQsocket(c->pg));
    if (PQserverVersion(c->pg) < 110000) {
        error_set_at(err, ERR_UNSUPPORTED, "server_too_old", __FILE__, __LINE__,
                     "%s is PostgreSQL %d; version 11 is the oldest that works", c->server_name,
                     PQserverVersion(c->pg) / 10000);
        postgres_disconnect(c);
        return -1;
    }
    if (set_session(c, to, read_only, err) < 0) {
        postgres_disconnect(c);
        return -1;
    }
    *out = c;
    return 0;
}
