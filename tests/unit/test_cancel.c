#include <criterion/criterion.h>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "connectors/base/cancel.h"
#include "connectors/base/clock.h"

static bool readable(const struct cancel *c)
{
    struct pollfd p = {.fd = cancel_fd(c), .events = POLLIN};

    return poll(&p, 1, 0) == 1;
}

Test(cancel, says_nothing_until_it_is_asked_to_stop)
{
    struct error err = ERROR_INIT;
    struct cancel *c;

    cr_assert_eq(cancel_new(&c, &err), 0);
    cr_assert_eq(cancel_requested(c), CANCEL_NONE);
    cr_assert_eq(cancel_check(c, &err), 0);
    cr_assert_not(readable(c));
    cancel_free(c);
}

Test(cancel, keeps_the_first_reason)
{
    struct error err = ERROR_INIT;
    struct cancel *c;

    cr_assert_eq(cancel_new(&c, &err), 0);
    cancel_request(c, CANCEL_SHUTDOWN);
    cancel_request(c, CANCEL_USER);
    cr_assert_eq(cancel_requested(c), CANCEL_SHUTDOWN);
    cr_assert(readable(c));
    cr_assert(readable(c), "it stays readable");
    cr_assert_eq(cancel_check(c, &err), -1);
    cr_assert_eq(err.code, ERR_CANCELLED);
    cr_assert_str_eq(err.message, "stopped (shutdown)");
    cancel_free(c);
}

Test(cancel, ends_a_sleep_at_once)
{
    struct error err = ERROR_INIT;
    struct cancel *c;
    int64_t before = clock_monotonic_us();

    cr_assert_eq(cancel_new(&c, &err), 0);
    cancel_request(c, CANCEL_TIMEOUT);
    cr_assert_eq(cancel_sleep_ms(c, 60000, &err), -1);
    cr_assert_eq(err.code, ERR_CANCELLED);
    cr_assert_lt(clock_monotonic_us() - before, 30000000);
    cancel_free(c);
}

Test(cancel, sleeps_at_least_as_long_as_asked)
{
    struct error err = ERROR_INIT;
    struct cancel *c;
    int64_t before = clock_monotonic_us();

    cr_assert_eq(cancel_new(&c, &err), 0);
    cr_assert_eq(cancel_sleep_ms(c, 0, &err), 0);
    cr_assert_eq(cancel_sleep_ms(c, 20, &err), 0);
    cr_assert_geq(clock_monotonic_us() - before, 20000);
    cancel_free(c);
}

Test(cancel, has_a_name_for_every_reason)
{
    for (int why = CANCEL_NONE; why <= CANCEL_SUPERSEDED; why++)
        cr_assert_not_null(cancel_reason_name((enum cancel_reason)why));
    cr_assert_str_eq(cancel_reason_name(CANCEL_IDLE_TIMEOUT), "idle_timeout");
}

Test(cancel, accepts_null_when_freed)
{
    cancel_free(NULL);
}

static bool ended(int fd)
{
    char byte;

    return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

Test(cancel, shuts_down_the_sockets_it_watches)
{
    struct cancel_watch early = {0}, gone = {0}, late = {0}, never = {0};
    struct error err = ERROR_INIT;
    int a[2], b[2], d[2];
    struct cancel *c;

    cr_assert_eq(cancel_new(&c, &err), 0);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, a), 0);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, b), 0);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, d), 0);
    cancel_watch_socket(c, &early, a[0]);
    cancel_watch_socket(c, &gone, b[0]);
    cancel_unwatch(&gone);
    cancel_unwatch(&never);
    cr_assert_not(ended(a[1]));
    cancel_request(c, CANCEL_USER);
    cancel_watch_socket(c, &late, d[0]);
    cr_assert(ended(a[1]));
    cr_assert(ended(d[1]));
    cr_assert_not(ended(b[1]), "no longer watched");
    cancel_unwatch(&early);
    cancel_unwatch(&late);
    cancel_free(c);
    for (int i = 0; i < 2; i++) {
        close(a[i]);
        close(b[i]);
        close(d[i]);
    }
}
