#include "server/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "connectors/base/text.h"

static struct sockaddr_un address;
static socklen_t address_bytes;
static int64_t watchdog_us;

static int64_t number_of(const char *variable)
{
    const char *text = getenv(variable);
    int64_t n;

    return text && text_to_int64(text, strlen(text), &n) && n > 0 ? n : 0;
}

void notify_init(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    size_t n = path ? strlen(path) : 0;
    int64_t pid = number_of("WATCHDOG_PID");

    if (n > 1 && n < sizeof address.sun_path && (*path == '/' || *path == '@')) {
        address.sun_family = AF_UNIX;
        memcpy(address.sun_path, path, n);
        if (*path == '@')
            address.sun_path[0] = '\0'; /* a name of the abstract space */
        address_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
        if (pid == 0 || pid == getpid())
            watchdog_us = number_of("WATCHDOG_USEC") / 2;
    }
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

void notify_send(const char *state)
{
    int fd;

    if (address_bytes == 0)
        return;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    (void)!sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&address,
                  address_bytes);
    close(fd);
}

int64_t notify_watchdog_us(void)
{
    return watchdog_us;
}
