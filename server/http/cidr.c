#include "server/http/cidr.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

#include "connectors/base/text.h"

bool cidr_parse(const char *text, size_t n, struct cidr *out)
{
    static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    const char *slash = memchr(text, '/', n);
    size_t host = slash ? (size_t)(slash - text) : n;
    char copy[INET6_ADDRSTRLEN + 1];
    int64_t bits, most = 128;

    if (host >= sizeof copy)
        return false;
    memcpy(copy, text, host);
    copy[host] = '\0';
    *out = (struct cidr){.bits = 128};
    if (inet_pton(AF_INET, copy, out->bytes + sizeof mapped) == 1) {
        memcpy(out->bytes, mapped, sizeof mapped);
        most = 32;
    } else if (inet_pton(AF_INET6, copy, out->bytes) != 1) {
        return false;
    }
    if (!slash)
        return true;
    if (!text_to_int64(slash + 1, n - host - 1, &bits) || bits < 0 || bits > most)
        return false;
    out->bits = (unsigned)(128 - most + bits);
    return true;
}

bool cidr_holds(const struct cidr *range, const struct cidr *address)
{
    size_t whole = range->bits / 8;
    unsigned char mask = (unsigned char)(0xff00 >> range->bits % 8);

    return !memcmp(range->bytes, address->bytes, whole) &&
           (whole == 16 || !((range->bytes[whole] ^ address->bytes[whole]) & mask));
}
