/*
 * A connection to MariaDB or MySQL: TLS, the session, and how it ends.
 *
 * What the client library does by itself and we do not want: it reads the environment for a
 * password that is NULL, takes a host with ';' or "://" for something else than a name, goes on in
 * clear when a server knows no TLS although encryption was asked for (a fingerprint that is set,
 * even an empty one, forbids that before anything secret is sent), and gives a password in clear
 * to a server that asks for it. Connecting waits in our own poll, so a cancelled run ends it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "connectors/base/clock.h"
#include "connectors/base/egress.h"
#include "connectors/base/resolve.h"
#include "connectors/sql/mysql_internal.h"

#define SYSTEM_AUTHORITIES "/etc/ssl/certs/ca-certificates.crt"
#define MAX_PACKET         (256ul << 20) /* what we accept; the server's own limit is for sending */
#define CONNECT_STACK                                                           \
    ((size_t)256 << 10) /* of the library's coroutine; OpenSSL needs most of it \
                         */
#define KILL_TIMEOUT_S 2
/* An unanswered packet or probe ends the connection after about a minute. */
#define DEAD_AFTER_S 60

/* Neither asks for the password itself; the second needs TLS, or gives it encrypted by a key that
 * the server shows. */
#define AUTH_PLAIN "mysql_native_password,client_ed25519,caching_sha2_password"
#define AUTH_TLS   AUTH_PLAIN ",sha256_password,mysql_clear_password"

/* Of the library: these have their say in what it loads and sends. */
static const char *const variables[] = {"LIBMYSQL_PLUGINS", "MARIADB_PLUGIN_DIR", "MYSQL_PWD",
                                        "MARIADB_HOME",     "MYSQL_HOME",         "MYSQL_TCP_PORT",
                                        "MYSQL_UNIX_PORT"};

const char *const mysql_ssl_modes[] = {"disable", "require", "verify-ca", "verify-full", NULL};

void mysql_forget_environment(void)
{
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        unsetenv(variables[i]);
}

/* The PEM text as a file that only this process sees; its descriptor is closed by the caller. */
static int put_authorities(const char *pem, int *out_fd, struct error *err)
{
    int fd = memfd_create("authorities", MFD_CLOEXEC);
    size_t n = strlen(pem);

    if (fd < 0)
        return error_set_errno(err, errno, "cannot hold the certificates of the authorities");
    for (size_t at = 0; at < n;) {
        ssize_t done = write(fd, pem + at, n - at);

        if (done < 0) {
            error_set_errno(err, errno, "cannot hold the certificates of the authorities");
            close(fd);
            return -1;
        }
        at += (size_t)done;
    }
    *out_fd = fd;
    return 0;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* `fd` receives the descriptor of the authorities, to be closed when connected. */
static int set_tls(struct mysql_conn *c, const struct mysql_server *to, int *fd, struct error *err)
{
    bool verify = strncmp(to->ssl_mode, "verify-", 7) == 0;
    bool full = strcmp(to->ssl_mode, "verify-full") == 0;
    my_bool on = 1, off = 0;
    char path[32];

    if (strcmp(to->ssl_mode, "disable") == 0) {
        mysql_optionsv(c->my, MYSQL_OPT_SSL_ENFORCE, &off);
        mysql_optionsv(c->my, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &off);
        mysql_optionsv(c->my, MARIADB_OPT_RESTRICTED_AUTH, AUTH_PLAIN);
        return 0;
    }
    mysql_optionsv(c->my, MYSQL_OPT_SSL_ENFORCE, &on);
    mysql_optionsv(c->my, MARIADB_OPT_TLS_PEER_FP, "");
    mysql_optionsv(c->my, MARIADB_OPT_TLS_VERSION, "TLSv1.2,TLSv1.3");
    mysql_optionsv(c->my, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, full ? &on : &off);
    mysql_optionsv(c->my, MARIADB_OPT_RESTRICTED_AUTH, AUTH_TLS);
    if (!verify)
        return 0;
    if (!to->ssl_root_cert || *to->ssl_root_cert == '\0') {
        mysql_optionsv(c->my, MYSQL_OPT_SSL_CA, SYSTEM_AUTHORITIES);
        return 0;
    }
    if (put_authorities(to->ssl_root_cert, fd, err) < 0)
        return -1;
    snprintf(path, sizeof path, "/proc/self/fd/%d", *fd);
    mysql_optionsv(c->my, MYSQL_OPT_SSL_CA, path);
    return 0;
}

static void set_options(struct mysql_conn *c, const struct mysql_server *to, bool read_only)
{
    unsigned timeout = (unsigned)to->connect_timeout_s;
    unsigned protocol = MYSQL_PROTOCOL_TCP, local = read_only ? 0 : 1;
    unsigned long packet = MAX_PACKET;
    size_t stack = CONNECT_STACK;
    my_bool off = 0;

    mysql_optionsv(c->my, MYSQL_OPT_NONBLOCK, &stack);
    mysql_optionsv(c->my, MYSQL_OPT_PROTOCOL, &protocol);
    mysql_optionsv(c->my, MYSQL_OPT_CONNECT_TIMEOUT, &timeout);
    mysql_optionsv(c->my, MYSQL_OPT_RECONNECT, &off);
    mysql_optionsv(c->my, MYSQL_OPT_MAX_ALLOWED_PACKET, &packet);
    mysql_optionsv(c->my, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    mysql_optionsv(c->my, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", "connectord");
    /* Said to the server when connecting; what may be sent is decided by the handler. */
    mysql_optionsv(c->my, MYSQL_OPT_LOCAL_INFILE, &local);
    mysql_bulk_guard(c);
}

static void stop_watching(struct mysql_conn *c)
{
    cancel_unwatch(&c->watch);
    if (c->watched_fd >= 0)
        close(c->watched_fd);
    c->watched_fd = -1;
}

void mysql_watch(struct mysql_conn *c)
{
    my_socket fd = mysql_get_socket(c->my);

    stop_watching(c);
    if (fd == (my_socket)-1)
        return;
    /* The library closes its descriptor whenever it likes; ours stays the same socket. */
    c->watched_fd = fcntl((int)fd, F_DUPFD_CLOEXEC, 3);
    if (c->watched_fd >= 0)
        cancel_watch_socket(c->run->cancel, &c->watch, c->watched_fd);
}

void mysql_unwatch(struct mysql_conn *c)
{
    stop_watching(c);
}

static int64_t left_ms(int64_t end_us)
{
    int64_t ms = (end_us - clock_monotonic_us()) / 1000;

    return ms < INT_MAX ? ms : INT_MAX;
}

int mysql_wait(struct mysql_conn *c, int events, int64_t end_us)
{
    int64_t left = left_ms(end_us);
    struct pollfd p = {.fd = mysql_get_socket(c->my)};
    int happened = 0;

    p.events = (short)((events & MYSQL_WAIT_READ ? POLLIN : 0) |
                       (events & MYSQL_WAIT_WRITE ? POLLOUT : 0));
    while (left > 0 && poll(&p, 1, (int)left) < 0 && errno == EINTR)
        left = left_ms(end_us);
    if (left <= 0 || p.revents == 0)
        return MYSQL_WAIT_TIMEOUT;
    happened |= p.revents & POLLIN ? MYSQL_WAIT_READ : 0;
    happened |= p.revents & POLLOUT ? MYSQL_WAIT_WRITE : 0;
    /* A socket that failed tells so by the next call on it. */
    return happened & events ? happened & events : events & (MYSQL_WAIT_READ | MYSQL_WAIT_WRITE);
}

static int connect_within(struct mysql_conn *c, const struct mysql_server *to, struct error *err)
{
    int64_t end = clock_monotonic_us() + to->connect_timeout_s * 1000000;
    const char *password = to->password ? to->password : "";
    struct resolved found;
    MYSQL *done = NULL;
    int events;

    /* The library is given the name, which it compares with the certificate, and so resolves it
     * once more. Whatever the answer is this time, its sockets pass the gate of egress.h. */
    if (resolve_host(to->host, to->port, end, c->run->cancel, c->run->mem, &found, err) < 0)
        return -1;
    events = mysql_real_connect_start(&done, c->my, to->host, to->username, password, to->database,
                                      (unsigned)to->port, NULL, CLIENT_FOUND_ROWS);
    while (events) {
        mysql_watch(c);
        events = mysql_real_connect_cont(&done, c->my, mysql_wait(c, events, end));
    }
    if (!done) {
        stop_watching(c);
        if (egress_refused(to->host, err))
            return -1;
        if (clock_monotonic_us() < end)
            return mysql_fail(c, NULL, "connecting", err);
        if (cancel_check(c->run->cancel, err) < 0)
            return -1;
        return error_set_reason(err, ERR_TRANSIENT, "host_unreachable",
                                "cannot connect to %s: no answer in time", c->server_name);
    }
    mysql_watch(c);
    if (strcmp(to->ssl_mode, "disable") != 0 && !mysql_get_ssl_cipher(c->my))
        return error_set_reason(err, ERR_CONFIG, "tls_failed", "%s: the connection has no TLS",
                                c->server_name);
    return 0;
}

/* A peer that is gone is noticed, also while a statement takes hours. */
static void keep_alive(struct mysql_conn *c)
{
    int fd = (int)mysql_get_socket(c->my), on = 1, idle = 30, every = 10, probes = 3;
    unsigned dead_ms = DEAD_AFTER_S * 1000;

    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof every);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead_ms, sizeof dead_ms);
}

/*
 * The session is ours whatever the server's defaults are: one that limits results
 * (sql_select_limit), ends transactions in chains or makes tables that know no
 * transactions would lose rows in silence. Timeouts of the
 * network are long because the other side of a run may be slow; a dead peer is noticed by the
 * socket.
 */
#define SESSION                                                                              \
    "SET NAMES utf8mb4 COLLATE utf8mb4_bin, time_zone = '+00:00', autocommit = 1,"           \
    " completion_type = 0, sql_auto_is_null = 0, sql_safe_updates = 0, sql_big_selects = 1," \
    " sql_select_limit = 18446744073709551615, sql_notes = 1, max_error_count = 64,"         \
    " net_read_timeout = 3600, net_write_timeout = 86400, innodb_lock_wait_timeout = 30,"    \
    " lock_wait_timeout = 30, lc_messages = 'en_US', sql_mode = "
#define MODE_WRITE                                                                              \
    "'STRICT_ALL_TABLES,STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION," \
    "NO_AUTO_VALUE_ON_ZERO,NO_BACKSLASH_ESCAPES,NO_ZERO_DATE,NO_ZERO_IN_DATE',"                 \
    " default_storage_engine = InnoDB, default_tmp_storage_engine = InnoDB"
#define MODE_READ "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,NO_BACKSLASH_ESCAPES'"

static int run_plain(struct mysql_conn *c, const char *sql, struct error *err)
{
    if (mysql_real_query(c->my, sql, strlen(sql)) != 0)
        return mysql_fail(c, NULL, "preparing the session", err);
    return 0;
}

/* A statement's limit is in seconds with one server and in milliseconds with the other, where it
 * holds for SELECT alone. A transaction that nobody goes on with must end by itself. */
static int limit_session(struct mysql_conn *c, const struct mysql_server *to, struct error *err)
{
    char sql[200];

    if (c->is_mariadb)
        snprintf(sql, sizeof sql,
                 "SET max_statement_time = %lld, wait_timeout = 86400,"
                 " idle_write_transaction_timeout = 300, innodb_strict_mode = 1",
                 (long long)to->statement_timeout_s);
    else
        snprintf(sql, sizeof sql, "SET max_execution_time = %lld, wait_timeout = 3600",
                 (long long)to->statement_timeout_s * 1000);
    return run_plain(c, sql, err);
}

static bool takes_arrays(const struct mysql_conn *c)
{
    unsigned long can = 0;

    return c->is_mariadb &&
           mariadb_get_infov(c->my, MARIADB_CONNECTION_EXTENDED_SERVER_CAPABILITIES, &can) == 0 &&
           can & (unsigned long)(MARIADB_CLIENT_STMT_BULK_OPERATIONS >> 32);
}

/* The server's number of this session, unless something in between gave us another. */
static int ask_session(struct mysql_conn *c, struct error *err)
{
    MYSQL_RES *rows;
    MYSQL_ROW row;
    int64_t thread = 0, packet = 0;

    if (run_plain(c,
                  "SELECT connection_id(), @@max_allowed_packet, @@local_infile,"
                  " @@log_bin AND @@binlog_format = 'STATEMENT'",
                  err) < 0)
        return -1;
    rows = mysql_store_result(c->my);
    row = rows ? mysql_fetch_row(rows) : NULL;
    if (row && row[0] && row[1] && row[2] && row[3]) {
        (void)text_to_int64(row[0], strlen(row[0]), &thread);
        (void)text_to_int64(row[1], strlen(row[1]), &packet);
        c->server_loads = row[2][0] == '1';
        c->server_binds = takes_arrays(c);
        c->server_logs_statements = row[3][0] == '1';
    }
    mysql_free_result(rows);
    if (thread <= 0 || packet <= 0)
        return mysql_fail(c, NULL, "asking for the session", err);
    c->thread = (unsigned long)thread == mysql_thread_id(c->my) ? (unsigned long)thread : 0;
    c->max_packet = (size_t)packet;
    return 0;
}

/* What others changed meanwhile is seen (READ COMMITTED) and rows come in arrays: a log of
 * statements holds neither, and the server would refuse to write. */
static int log_rows(struct mysql_conn *c, struct error *err)
{
    if (c->server_logs_statements && run_plain(c, "SET SESSION binlog_format = 'ROW'", err) < 0)
        return error_wrap(err, "the server's binlog_format is STATEMENT, and must be another one");
    return 0;
}

static int set_session(struct mysql_conn *c, const struct mysql_server *to, bool read_only,
                       struct error *err)
{
    if (run_plain(c, read_only ? SESSION MODE_READ : SESSION MODE_WRITE, err) < 0 ||
        run_plain(c, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", err) < 0 ||
        limit_session(c, to, err) < 0 || ask_session(c, err) < 0)
        return -1;
    return read_only ? run_plain(c, "SET SESSION TRANSACTION READ ONLY", err) : log_rows(c, err);
}

static struct mysql_conn *new_conn(const struct mysql_server *to, struct run *run)
{
    struct mysql_conn *c = xalloc(sizeof *c);

    c->run = run;
    c->server = to;
    c->watched_fd = -1;
    c->base.driver = &mysql_driver;
    c->base.dialect = &sql_mysql;
    snprintf(c->server_name, sizeof c->server_name, "%s:%lld/%s", to->host, (long long)to->port,
             to->database);
    c->my = mysql_init(NULL);
    if (!c->my)
        abort(); /* out of memory */
    return c;
}

static int open_conn(struct mysql_conn *c, const struct mysql_server *to, bool read_only,
                     struct error *err)
{
    CLEANUP(close_fd) int authorities = -1;

    if (cancel_check(c->run->cancel, err) < 0)
        return -1;
    set_options(c, to, read_only);
    if (set_tls(c, to, &authorities, err) < 0 || connect_within(c, to, err) < 0)
        return -1;
    c->connected = true;
    keep_alive(c);
    c->is_mariadb = mariadb_connection(c->my);
    c->version = (long)mysql_get_server_version(c->my);
    c->base.version = c->version;
    return 0;
}

static void free_conn(struct mysql_conn *c)
{
    stop_watching(c);
    mysql_bulk_free(c);
    mysql_close(c->my);
    free(c);
}

int mysql_connect_to(const struct mysql_server *to, bool read_only, struct run *run,
                     struct mysql_conn **out, struct error *err)
{
    struct mysql_conn *c = new_conn(to, run);

    if (open_conn(c, to, read_only, err) < 0 || set_session(c, to, read_only, err) < 0) {
        free_conn(c);
        return -1;
    }
    *out = c;
    return 0;
}

/* Ends what the server is still doing for this session; whether it worked does not matter. The run
 * is cancelled, so this goes by a token of its own, and by the clock. */
static void kill_statement(const struct mysql_conn *c)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    struct run alone = {.mem = mem, .log = c->run->log};
    struct mysql_server to = *c->server;
    struct mysql_conn *second;
    struct error ignored = ERROR_INIT;
    unsigned patience = KILL_TIMEOUT_S;
    char sql[40];

    if (cancel_new(&alone.cancel, &ignored) < 0)
        return;
    if (to.connect_timeout_s > KILL_TIMEOUT_S)
        to.connect_timeout_s = KILL_TIMEOUT_S;
    second = new_conn(&to, &alone);
    mysql_optionsv(second->my, MYSQL_OPT_READ_TIMEOUT, &patience);
    if (open_conn(second, &to, true, &ignored) == 0) {
        snprintf(sql, sizeof sql, "KILL QUERY %lu", c->thread);
        mysql_real_query(second->my, sql, strlen(sql));
    }
    free_conn(second);
    cancel_free(alone.cancel);
}

void mysql_disconnect(struct mysql_conn *c)
{
    if (!c)
        return;
    if (c->connected && c->thread && cancel_requested(c->run->cancel) != CANCEL_NONE)
        kill_statement(c);
    free_conn(c);
}
