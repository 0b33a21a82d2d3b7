/*
 * Addresses and rules. The classification is held against a slow one that compares whole numbers
 * with ranges written as text; an address inside another is never less denied than by itself; a
 * rule that is taken decides the same when it stands in another list; and deny wins.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "connectors/base/egress.h"
#include "connectors/base/egress_class.h"
#include "tests/fuzz/fuzz.h"

__extension__ typedef unsigned __int128 number;

/* The last one that holds an address decides. */
static const struct {
    const char *first, *last;
    enum egress_class class;
} ranges[] = {
    {"::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", EGRESS_FORBIDDEN},
    {"::1", "::1", EGRESS_LOOPBACK},
    {"64:ff9b::", "64:ff9b::ffff:ffff", EGRESS_PUBLIC},
    {"64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", EGRESS_PRIVATE},
    {"2000::", "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", EGRESS_PUBLIC},
    {"2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", EGRESS_PUBLIC},
    {"2001:200::", "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", EGRESS_PUBLIC},
    {"2001:db9::", "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", EGRESS_PUBLIC},
    {"3fff:1000::", "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", EGRESS_PUBLIC},
    {"fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", EGRESS_PRIVATE},
    {"fd00:ec2::254", "fd00:ec2::254", EGRESS_FORBIDDEN},
    {"fd20:ce::254", "fd20:ce::254", EGRESS_FORBIDDEN},
    {"::ffff:1.0.0.0", "::ffff:223.255.255.255", EGRESS_PUBLIC},
    {"::ffff:10.0.0.0", "::ffff:10.255.255.255", EGRESS_PRIVATE},
    {"::ffff:100.64.0.0", "::ffff:100.127.255.255", EGRESS_PRIVATE},
    {"::ffff:100.100.100.200", "::ffff:100.100.100.200", EGRESS_FORBIDDEN},
    {"::ffff:127.0.0.0", "::ffff:127.255.255.255", EGRESS_LOOPBACK},
    {"::ffff:168.63.129.16", "::ffff:168.63.129.16", EGRESS_FORBIDDEN},
    {"::ffff:169.254.0.0", "::ffff:169.254.255.255", EGRESS_FORBIDDEN},
    {"::ffff:172.16.0.0", "::ffff:172.31.255.255", EGRESS_PRIVATE},
    {"::ffff:192.0.0.0", "::ffff:192.0.0.255", EGRESS_FORBIDDEN},
    {"::ffff:192.0.2.0", "::ffff:192.0.2.255", EGRESS_FORBIDDEN},
    {"::ffff:192.88.99.0", "::ffff:192.88.99.255", EGRESS_FORBIDDEN},
    {"::ffff:192.168.0.0", "::ffff:192.168.255.255", EGRESS_PRIVATE},
    {"::ffff:198.18.0.0", "::ffff:198.19.255.255", EGRESS_FORBIDDEN},
    {"::ffff:198.51.100.0", "::ffff:198.51.100.255", EGRESS_FORBIDDEN},
    {"::ffff:203.0.113.0", "::ffff:203.0.113.255", EGRESS_FORBIDDEN},
};

static number number_of(const unsigned char a[16])
{
    number n = 0;

    for (int i = 0; i < 16; i++)
        n = n << 8 | a[i];
    return n;
}

static number parse(const char *text)
{
    unsigned char a[16];

    MUST(inet_pton(AF_INET6, text, a) == 1);
    return number_of(a);
}

static enum egress_class slow_class(number n)
{
    static struct {
        number first, last;
    } parsed[sizeof ranges / sizeof ranges[0]];
    enum egress_class found = EGRESS_FORBIDDEN;

    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        if (parsed[i].last == 0) {
            parsed[i].first = parse(ranges[i].first);
            parsed[i].last = parse(ranges[i].last);
        }
        if (n >= parsed[i].first && n <= parsed[i].last)
            found = ranges[i].class;
    }
    return found;
}

static number mapped(uint32_t v4)
{
    return ((number)0xffff << 32) | v4;
}

/* The IPv4 address inside, by arithmetic. */
static bool slow_embedded(number n, number *out)
{
    uint64_t high = (uint64_t)(n >> 64), low = (uint64_t)n;
    bool found = false;

    if ((low >> 32 & 0xfcffffff) == 0x5efe) {
        *out = mapped((uint32_t)low);
        found = true;
    }
    if (n >> 32 == parse("64:ff9b::") >> 32) {
        *out = mapped((uint32_t)low);
        found = true;
    } else if (n >> 80 == parse("64:ff9b:1::") >> 80) {
        *out = mapped((uint32_t)((high & 0xffff) << 16 | (low >> 40 & 0xffff)));
        found = true;
    } else if (high >> 48 == 0x2002) {
        *out = mapped((uint32_t)(high >> 16));
        found = true;
    } else if (high >> 32 == 0x20010000) {
        *out = mapped(~(uint32_t)low);
        found = true;
    }
    return found;
}

static void check_class(const unsigned char a[16])
{
    number n = number_of(a), inner;
    enum egress_class want = slow_class(n);
    unsigned char embedded[16];

    MUST(egress_embedded(a, embedded) == slow_embedded(n, &inner));
    if (slow_embedded(n, &inner)) {
        MUST(number_of(embedded) == inner);
        if (slow_class(inner) > want)
            want = slow_class(inner);
    }
    MUST(egress_classify(a).class == want);
}

static bool allowed(const char *allow, const char *deny, const struct sockaddr_in6 *to)
{
    const struct egress_policy policy = {.allow = &allow,
                                         .n_allow = allow != NULL,
                                         .deny = &deny,
                                         .n_deny = deny != NULL,
                                         .loopback = true};
    struct error err = ERROR_INIT;
    struct egress_decision d;
    struct egress_rules *rules;

    MUST(egress_rules_new(&policy, &rules, &err) == 0);
    egress_decide_by(rules, "db.example.com", (const struct sockaddr *)to, &d);
    egress_rules_free(rules);
    return d.allowed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons(443)};
    struct error err = ERROR_INIT;
    char rule[128];
    bool alone;

    if (size < 16)
        return 0;
    check_class(data);
    memcpy(&to.sin6_addr, data, 16);
    data += 16;
    size -= 16;
    if (size >= sizeof rule || memchr(data, '\0', size))
        return 0;
    memcpy(rule, data, size);
    rule[size] = '\0';
    if (egress_check_rule(rule, &err) < 0)
        return 0;
    alone = allowed(NULL, NULL, &to);
    MUST(allowed(NULL, rule, &to) || !allowed(rule, rule, &to)); /* deny wins */
    MUST(alone || !allowed(rule, NULL, &to)); /* what is never allowed is not opened */
    if (egress_classify(to.sin6_addr.s6_addr).class != EGRESS_LOOPBACK) /* it matches or not */
        MUST(!alone || allowed(rule, NULL, &to) || allowed(NULL, rule, &to));
    return 0;
}
