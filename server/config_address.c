#include "server/config.h"

#include <arpa/inet.h>
#include <string.h>

#include "connectors/base/text.h"

/* An address to listen at; "" before the colon is every address. */
struct place {
    bool is_v6;
    struct in6_addr v6;
    struct in_addr v4;
};

static bool read_place(const char *listen, struct place *out)
{
    const char *colon = strrchr(listen, ':');
    char host[INET6_ADDRSTRLEN + 2];
    int64_t port;
    size_t n;

    *out = (struct place){0};
    if (!colon || (size_t)(colon - listen) >= sizeof host)
        return false;
    n = (size_t)(colon - listen);
    memcpy(host, listen, n);
    host[n] = '\0';
    if (!text_to_int64(colon + 1, strlen(colon + 1), &port) || port < 0 || port > 65535)
        return false;
    if (n > 2 && host[0] == '[' && host[n - 1] == ']') {
        host[n - 1] = '\0';
        out->is_v6 = true;
        return inet_pton(AF_INET6, host + 1, &out->v6) == 1;
    }
    return n == 0 || inet_pton(AF_INET, host, &out->v4) == 1;
}

bool config_is_address(const char *listen)
{
    struct place p;

    return read_place(listen, &p);
}

bool config_is_loopback(const char *listen)
{
    struct place p;

    if (!read_place(listen, &p))
        return false;
    return p.is_v6 ? IN6_IS_ADDR_LOOPBACK(&p.v6) : ntohl(p.v4.s_addr) >> 24 == 127;
}
