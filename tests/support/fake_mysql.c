#include "tests/support/fake_mysql.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define KEPT  ((size_t)1 << 20)
#define WISH  "\xfb/etc/passwd"
#define OK    "\0\0\0\2\0\0\0"
#define PLAIN 0x000fa28fu /* capabilities; TLS is 0x800 */
#define TLS   0x800u

struct fake_mysql {
    pthread_mutex_t lock;
    pthread_t thread;
    int listener, client;
    int64_t port;
    enum fake_mysql_way way;
    char *kept, *file;
    size_t n_kept, n_file, n_wishes;
    unsigned char sequence;
    bool session_done;
};

static bool send_all(struct fake_mysql *s, const void *bytes, size_t n)
{
    const char *at = bytes;

    while (n > 0) {
        ssize_t done = send(s->client, at, n, MSG_NOSIGNAL);

        if (done <= 0)
            return false;
        at += done;
        n -= (size_t)done;
    }
    return true;
}

static bool put_packet(struct fake_mysql *s, const void *bytes, size_t n)
{
    unsigned char head[4] = {(unsigned char)n, (unsigned char)(n >> 8), (unsigned char)(n >> 16),
                             s->sequence++};

    return send_all(s, head, 4) && send_all(s, bytes, n);
}

static bool read_all(struct fake_mysql *s, char *out, size_t n)
{
    while (n > 0) {
        ssize_t done = recv(s->client, out, n, 0);

        if (done <= 0)
            return false;
        pthread_mutex_lock(&s->lock);
        if (s->n_kept + (size_t)done <= KEPT) {
            memcpy(s->kept + s->n_kept, out, (size_t)done);
            s->n_kept += (size_t)done;
        }
        pthread_mutex_unlock(&s->lock);
        out += done;
        n -= (size_t)done;
    }
    return true;
}

/* One packet of at most KEPT bytes; its length, or -1 at the end of the connection. */
static long take_packet(struct fake_mysql *s, char *out)
{
    unsigned char head[4];
    size_t n;

    if (!read_all(s, (char *)head, 4))
        return -1;
    n = head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16;
    s->sequence = (unsigned char)(head[3] + 1);
    return n < KEPT && read_all(s, out, n) ? (long)n : -1;
}

static bool greet(struct fake_mysql *s, unsigned capabilities)
{
    static const char version[] = "8.0.33";
    unsigned char b[128] = {10};
    size_t n = 1;

    memcpy(b + n, version, sizeof version);
    n += sizeof version;
    b[n] = 7; /* number of the session */
    n += 4;
    memcpy(b + n, "12345678", 8);
    n += 9;
    b[n++] = (unsigned char)capabilities;
    b[n++] = (unsigned char)(capabilities >> 8);
    b[n++] = 45;
    b[n++] = 2;
    b[n++] = 0;
    b[n++] = (unsigned char)(capabilities >> 16);
    b[n++] = (unsigned char)(capabilities >> 24);
    b[n++] = 21;
    n += 10;
    memcpy(b + n, "123456789012", 12);
    n += 13;
    memcpy(b + n, "mysql_native_password", 22);
    n += 22;
    s->sequence = 0;
    return put_packet(s, b, n);
}

static bool put_end(struct fake_mysql *s)
{
    return put_packet(s, "\xfe\0\0\2\0", 5);
}

/* Four columns, one row: "7", "16777216", "1", "0". */
static bool answer_session(struct fake_mysql *s)
{
    static const char column[] = "\3def\0\0\0\1x\0\x0c\x2d\0\x14\0\0\0\x08\0\0\0\0\0";

    if (!put_packet(s, "\4", 1))
        return false;
    for (int i = 0; i < 4; i++) {
        if (!put_packet(s, column, sizeof column - 1))
            return false;
    }
    s->session_done = true;
    return put_end(s) &&
           put_packet(s,
                      "\1"
                      "7"
                      "\x08"
                      "16777216"
                      "\1"
                      "1"
                      "\1"
                      "0",
                      15) &&
           put_end(s);
}

static bool wish_file(struct fake_mysql *s, char *packet)
{
    long n;

    pthread_mutex_lock(&s->lock);
    s->n_wishes++;
    pthread_mutex_unlock(&s->lock);
    if (!put_packet(s, WISH, sizeof WISH - 1))
        return false;
    while ((n = take_packet(s, packet)) > 0) {
        pthread_mutex_lock(&s->lock);
        if (s->n_file + (size_t)n <= KEPT) {
            memcpy(s->file + s->n_file, packet, (size_t)n);
            s->n_file += (size_t)n;
        }
        pthread_mutex_unlock(&s->lock);
    }
    return n == 0 && put_packet(s, OK, sizeof OK - 1);
}

static bool answer(struct fake_mysql *s, char *packet, long n)
{
    static const char session[] = "\3SELECT connection_id()";
    bool asks_session =
        n >= (long)sizeof session - 1 && memcmp(packet, session, sizeof session - 1) == 0;
    enum fake_mysql_way way;

    pthread_mutex_lock(&s->lock);
    way = s->way;
    pthread_mutex_unlock(&s->lock);
    if (way == FAKE_MYSQL_ASKS_FILE || (way == FAKE_MYSQL_ASKS_FILE_LATE && s->session_done))
        return wish_file(s, packet);
    if (way == FAKE_MYSQL_SLOW && s->session_done)
        sleep(1);
    return asks_session ? answer_session(s) : put_packet(s, OK, sizeof OK - 1);
}

static void serve(struct fake_mysql *s, char *packet)
{
    long n;

    s->session_done = false;
    if (s->way == FAKE_MYSQL_SILENT) {
        (void)read_all(s, packet, 1);
        return;
    }
    if (!greet(s, s->way == FAKE_MYSQL_SILENT_TLS ? PLAIN | TLS : PLAIN) ||
        take_packet(s, packet) < 0)
        return;
    if (s->way == FAKE_MYSQL_SILENT_TLS) {
        while (read_all(s, packet, 1))
            continue;
        return;
    }
    if (s->way == FAKE_MYSQL_ASKS_PASSWORD &&
        (!put_packet(s, "\xfemysql_clear_password\0", 23) || take_packet(s, packet) < 0))
        return;
    if (!put_packet(s, OK, sizeof OK - 1))
        return;
    while ((n = take_packet(s, packet)) > 0 && packet[0] != 1) {
        if (!answer(s, packet, n))
            return;
    }
}

static void *run(void *arg)
{
    struct fake_mysql *s = arg;
    char *packet = malloc(KEPT);

    while ((s->client = accept(s->listener, NULL, NULL)) >= 0) {
        serve(s, packet);
        close(s->client);
    }
    free(packet);
    return NULL;
}

struct fake_mysql *fake_mysql_start(enum fake_mysql_way way)
{
    struct fake_mysql *s = calloc(1, sizeof *s);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;

    s->kept = malloc(KEPT);
    s->file = malloc(KEPT);
    s->way = way;
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(s->listener, (struct sockaddr *)&at, size) < 0 || listen(s->listener, 8) < 0 ||
        getsockname(s->listener, (struct sockaddr *)&at, &size) < 0)
        abort();
    s->port = ntohs(at.sin_port);
    pthread_mutex_init(&s->lock, NULL);
    pthread_create(&s->thread, NULL, run, s);
    return s;
}

int64_t fake_mysql_port(const struct fake_mysql *s)
{
    return s->port;
}

void fake_mysql_change(struct fake_mysql *s, enum fake_mysql_way way)
{
    pthread_mutex_lock(&s->lock);
    s->way = way;
    pthread_mutex_unlock(&s->lock);
}

bool fake_mysql_saw(struct fake_mysql *s, const char *bytes, size_t n)
{
    bool found;

    pthread_mutex_lock(&s->lock);
    found = memmem(s->kept, s->n_kept, bytes, n) != NULL;
    pthread_mutex_unlock(&s->lock);
    return found;
}

size_t fake_mysql_received(struct fake_mysql *s)
{
    size_t n;

    pthread_mutex_lock(&s->lock);
    n = s->n_kept;
    pthread_mutex_unlock(&s->lock);
    return n;
}

size_t fake_mysql_file(struct fake_mysql *s, char *out, size_t size)
{
    size_t n;

    pthread_mutex_lock(&s->lock);
    n = s->n_file < size ? s->n_file : size;
    memcpy(out, s->file, n);
    s->n_file = 0;
    pthread_mutex_unlock(&s->lock);
    return n;
}

size_t fake_mysql_wishes(struct fake_mysql *s)
{
    size_t n;

    pthread_mutex_lock(&s->lock);
    n = s->n_wishes;
    pthread_mutex_unlock(&s->lock);
    return n;
}

void fake_mysql_stop(struct fake_mysql *s)
{
    shutdown(s->listener, SHUT_RDWR);
    shutdown(s->client, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->listener);
    pthread_mutex_destroy(&s->lock);
    free(s->kept);
    free(s->file);
    free(s);
}
