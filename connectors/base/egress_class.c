#include "connectors/base/egress_class.h"

#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

#define V4(a, b, c, d)                                       \
    {                                                        \
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d \
    }
#define V4_BITS(n) (96 + (n))

static const unsigned char v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/* The longest prefix decides. What is not listed of IPv6 is reserved. */
/* clang-format off */
static const struct {
    unsigned char net[16];
    int bits;
    enum egress_class class;
    const char *name;
} kinds[] = {
    {V4(0, 0, 0, 0),         V4_BITS(0),  EGRESS_PUBLIC,    "public"},
    {V4(0, 0, 0, 0),         V4_BITS(8),  EGRESS_FORBIDDEN, "unspecified"},
    {V4(10, 0, 0, 0),        V4_BITS(8),  EGRESS_PRIVATE,   "private"},
    {V4(100, 64, 0, 0),      V4_BITS(10), EGRESS_PRIVATE,   "private"},
    {V4(100, 100, 100, 200), V4_BITS(32), EGRESS_FORBIDDEN, "cloud metadata"},
    {V4(127, 0, 0, 0),       V4_BITS(8),  EGRESS_LOOPBACK,  "loopback"},
    {V4(168, 63, 129, 16),   V4_BITS(32), EGRESS_FORBIDDEN, "cloud metadata"},
    {V4(169, 254, 0, 0),     V4_BITS(16), EGRESS_FORBIDDEN, "link-local"},
    {V4(169, 254, 169, 254), V4_BITS(32), EGRESS_FORBIDDEN, "cloud metadata"},
    {V4(169, 254, 170, 2),   V4_BITS(32), EGRESS_FORBIDDEN, "cloud metadata"},
    {V4(172, 16, 0, 0),      V4_BITS(12), EGRESS_PRIVATE,   "private"},
    {V4(192, 0, 0, 0),       V4_BITS(24), EGRESS_FORBIDDEN, "reserved"},
    {V4(192, 0, 0, 192),     V4_BITS(32), EGRESS_FORBIDDEN, "cloud metadata"},
    {V4(192, 0, 2, 0),       V4_BITS(24), EGRESS_FORBIDDEN, "documentation"},
    {V4(192, 88, 99, 0),     V4_BITS(24), EGRESS_FORBIDDEN, "reserved"},
    {V4(192, 168, 0, 0),     V4_BITS(16), EGRESS_PRIVATE,   "private"},
    {V4(198, 18, 0, 0),      V4_BITS(15), EGRESS_FORBIDDEN, "reserved"},
    {V4(198, 51, 100, 0),    V4_BITS(24), EGRESS_FORBIDDEN, "documentation"},
    {V4(203, 0, 113, 0),     V4_BITS(24), EGRESS_FORBIDDEN, "documentation"},
    {V4(224, 0, 0, 0),       V4_BITS(4),  EGRESS_FORBIDDEN, "multicast"},
    {V4(240, 0, 0, 0),       V4_BITS(4),  EGRESS_FORBIDDEN, "reserved"},
    {V4(255, 255, 255, 255), V4_BITS(32), EGRESS_FORBIDDEN, "broadcast"},
    {{0},                                 0,   EGRESS_FORBIDDEN, "reserved"},
    {{0},                                 128, EGRESS_FORBIDDEN, "unspecified"},
    {{[15] = 1},                          128, EGRESS_LOOPBACK,  "loopback"},
    {{0, 0x64, 0xff, 0x9b},               96,  EGRESS_PUBLIC,    "translated"},
    {{0, 0x64, 0xff, 0x9b, 0, 1},         48,  EGRESS_PRIVATE,   "translated"},
    {{0x20},                              3,   EGRESS_PUBLIC,    "public"},
    {{0x20, 0x01},                        23,  EGRESS_FORBIDDEN, "reserved"},
    {{0x20, 0x01, 0, 0},                  32,  EGRESS_PUBLIC,    "tunnelled"}, /* Teredo */
    {{0x20, 0x01, 0x0d, 0xb8},            32,  EGRESS_FORBIDDEN, "documentation"},
    {{0x20, 0x02},                        16,  EGRESS_PUBLIC,    "tunnelled"}, /* 6to4 */
    {{0x3f, 0xff},                        20,  EGRESS_FORBIDDEN, "documentation"},
    {{0xfc},                              7,   EGRESS_PRIVATE,   "private"},
    {{0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, 0x54}, 128, EGRESS_FORBIDDEN, "cloud metadata"},
    {{0xfd, 0x20, 0x00, 0xce, [14] = 0x02, 0x54}, 128, EGRESS_FORBIDDEN, "cloud metadata"},
    {{0xfe, 0x80},                        10,  EGRESS_FORBIDDEN, "link-local"},
    {{0xfe, 0xc0},                        10,  EGRESS_FORBIDDEN, "site-local"},
    {{0xff},                              8,   EGRESS_FORBIDDEN, "multicast"},
};

/* Where IPv6 carries IPv4: the prefix, and where the four bytes are. */
static const struct {
    unsigned char net[16];
    int bits;
    unsigned char at[4];
    unsigned char mask; /* they are kept inverted */
} carriers[] = {
    {{0, 0x64, 0xff, 0x9b},       96, {12, 13, 14, 15}, 0},    /* NAT64 */
    {{0, 0x64, 0xff, 0x9b, 0, 1}, 48, {6, 7, 9, 10},    0},    /* NAT64, local use: /48 */
    {{0x20, 0x02},                16, {2, 3, 4, 5},     0},    /* 6to4 */
    {{0x20, 0x01, 0, 0},          32, {12, 13, 14, 15}, 0xff}, /* Teredo */
};
/* clang-format on */

bool egress_in_network(const unsigned char address[static 16], const unsigned char net[static 16],
                       int bits)
{
    size_t whole = (size_t)bits / 8;
    unsigned rest = (unsigned)bits % 8;

    if (memcmp(address, net, whole) != 0)
        return false;
    return rest == 0 || (address[whole] ^ net[whole]) >> (8 - rest) == 0;
}

bool egress_bytes(const struct sockaddr *to, unsigned char out[static 16], int *out_port)
{
    if (to->sa_family == AF_INET) {
        struct sockaddr_in v4;

        memcpy(&v4, to, sizeof v4);
        memcpy(out, v4_prefix, sizeof v4_prefix);
        memcpy(out + 12, &v4.sin_addr, 4);
        *out_port = ntohs(v4.sin_port);
        return true;
    }
    if (to->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;

        memcpy(&v6, to, sizeof v6);
        memcpy(out, &v6.sin6_addr, 16);
        *out_port = ntohs(v6.sin6_port);
        return true;
    }
    return false;
}

/* An interface identifier that says "the IPv4 address behind me", below any prefix. */
static bool is_isatap(const unsigned char a[static 16])
{
    return (a[8] & 0xfc) == 0 && a[9] == 0 && a[10] == 0x5e && a[11] == 0xfe;
}

bool egress_embedded(const unsigned char outer[static 16], unsigned char out[static 16])
{
    static const unsigned char itself[4] = {12, 13, 14, 15};
    const unsigned char *at = is_isatap(outer) ? itself : NULL;
    unsigned char mask = 0;

    for (size_t i = 0; i < sizeof carriers / sizeof carriers[0]; i++) {
        if (egress_in_network(outer, carriers[i].net, carriers[i].bits)) {
            at = carriers[i].at;
            mask = carriers[i].mask;
        }
    }
    if (!at)
        return false;
    memcpy(out, v4_prefix, sizeof v4_prefix);
    for (size_t i = 0; i < 4; i++)
        out[12 + i] = outer[at[i]] ^ mask;
    return true;
}

static struct egress_kind kind_of(const unsigned char address[static 16])
{
    struct egress_kind found = {EGRESS_FORBIDDEN, "reserved"};
    int bits = -1;

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (kinds[i].bits > bits && egress_in_network(address, kinds[i].net, kinds[i].bits)) {
            found = (struct egress_kind){kinds[i].class, kinds[i].name};
            bits = kinds[i].bits;
        }
    }
    return found;
}

struct egress_kind egress_classify(const unsigned char address[static 16])
{
    struct egress_kind outer = kind_of(address), inner;
    unsigned char embedded[16];

    if (!egress_embedded(address, embedded))
        return outer;
    inner = kind_of(embedded);
    return inner.class > outer.class ? inner : outer;
}
