/* E1 to E3: the address decides, in whatever spelling, and nothing gets past the decision. */
#include <criterion/criterion.h>

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "connectors/base/clock.h"
#include "connectors/base/egress.h"
#include "connectors/base/resolve.h"

#define N(a) (sizeof(a) / sizeof(a)[0])

static const struct sockaddr *at(const char *text, int port, struct sockaddr_storage *out)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};

    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        memcpy(out, &v4, sizeof v4);
    else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1)
        memcpy(out, &v6, sizeof v6);
    else
        cr_assert_fail("%s is no address", text);
    return (struct sockaddr *)out;
}

static struct egress_decision decide(const char *host, const char *address, int port)
{
    struct sockaddr_storage to;
    struct egress_decision d;

    egress_decide(host, at(address, port, &to), &d);
    return d;
}

static void configure(const char *allow, const char *deny, bool loopback)
{
    struct error err = ERROR_INIT;
    const char *lists[2][8] = {{NULL}};
    static char text[2][256];
    size_t n[2] = {0, 0};

    for (int i = 0; i < 2; i++) {
        snprintf(text[i], sizeof text[i], "%s", i == 0 ? allow : deny);
        for (char *s = text[i], *rest = text[i]; (s = strsep(&rest, " "));)
            if (*s)
                lists[i][n[i]++] = s;
    }
    cr_assert_eq(egress_configure(&(struct egress_policy){.allow = lists[0],
                                                          .n_allow = n[0],
                                                          .deny = lists[1],
                                                          .n_deny = n[1],
                                                          .loopback = loopback},
                                  &err),
                 0, "%s", err.message);
}

/* In one word, for who counts refusals. */
Test(egress, says_which_kind_of_rule_refused)
{
    configure("", "10.9.0.0/16", false);
    cr_assert_str_eq(decide(NULL, "169.254.1.1", 80).by, "never_allowed");
    cr_assert_str_eq(decide(NULL, "10.9.2.1", 80).by, "egress_deny");
    cr_assert_str_eq(decide(NULL, "127.0.0.1", 80).by, "loopback");
    cr_assert_str_eq(decide(NULL, "8.8.8.8", 80).by, "");
    egress_protect("10.0.0.1:8080");
    cr_assert_str_eq(decide(NULL, "10.0.0.1", 8080).by, "own_listener");
    configure("8.8.8.8", "", false);
    cr_assert_str_eq(decide(NULL, "8.8.8.8", 80).by, "");
    cr_assert_str_eq(decide(NULL, "8.8.4.4", 80).by, "egress_allow");
}

/* A reload. What was told by the old rules stays readable, and nothing that they opened is open. */
Test(egress, rules_are_replaced_while_they_are_in_use)
{
    struct error err = ERROR_INIT;
    struct sockaddr_storage to;
    struct egress_decision old;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    configure("127.0.0.0/8", "10.1.0.0/16", true);
    old = decide("db.example.com", "10.1.2.3", 5432);
    cr_assert_not(old.allowed);
    /* Allowed to this host, and remembered for connect(). */
    cr_assert_eq(egress_check("localhost", at("127.0.0.1", 9, &to), &err), 0);
    configure("192.0.2.0/24", "127.0.0.0/8", true);
    cr_assert_str_eq(old.rule, "10.1.0.0/16");
    cr_assert_lt(connect(fd, (struct sockaddr *)&to, sizeof(struct sockaddr_in)), 0);
    cr_assert_eq(errno, EACCES);
    cr_assert_lt(egress_check("localhost", at("127.0.0.1", 9, &to), &err), 0);
    cr_assert_str_eq(decide(NULL, "10.1.2.3", 5432).rule, "no rule allows it");
    close(fd);
}

Test(egress, a_wrong_rule_changes_nothing)
{
    struct error err = ERROR_INIT;
    struct egress_rules *rules = NULL;
    const char *deny[] = {"10.0.0.0/8", "10.0.0.0/99"};

    configure("", "192.168.0.0/16", true);
    cr_assert_lt(egress_rules_new(&(struct egress_policy){.deny = deny, .n_deny = 2}, &rules, &err),
                 0);
    cr_assert_null(rules);
    cr_assert(decide(NULL, "10.1.2.3", 5432).allowed);
    cr_assert_not(decide(NULL, "192.168.2.3", 5432).allowed);
    err = ERROR_INIT;
    cr_assert_eq(egress_rules_new(&(struct egress_policy){.deny = deny, .n_deny = 1}, &rules, &err),
                 0);
    cr_assert(decide(NULL, "10.1.2.3", 5432).allowed); /* not yet */
    egress_use(rules);
    cr_assert_not(decide(NULL, "10.1.2.3", 5432).allowed);
}

/* E2. Both ends of each range, and their neighbours. */
Test(egress, knows_every_kind_of_address)
{
    /* clang-format off */
    static const struct { const char *address, *kind; bool allowed; } rows[] = {
        {"0.0.0.0", "unspecified", false},        {"0.255.255.255", "unspecified", false},
        {"1.0.0.0", "public", true},              {"8.8.8.8", "public", true},
        {"9.255.255.255", "public", true},        {"10.0.0.0", "private", true},
        {"10.255.255.255", "private", true},      {"11.0.0.0", "public", true},
        {"100.63.255.255", "public", true},       {"100.64.0.0", "private", true},
        {"100.127.255.255", "private", true},     {"100.128.0.0", "public", true},
        {"100.100.100.199", "private", true},     {"100.100.100.200", "cloud metadata", false},
        {"100.100.100.201", "private", true},     {"126.255.255.255", "public", true},
        {"127.0.0.0", "loopback", false},         {"127.0.0.1", "loopback", false},
        {"127.255.255.255", "loopback", false},   {"128.0.0.0", "public", true},
        {"168.63.129.15", "public", true},        {"168.63.129.16", "cloud metadata", false},
        {"168.63.129.17", "public", true},        {"169.253.255.255", "public", true},
        {"169.254.0.0", "link-local", false},     {"169.254.169.254", "cloud metadata", false},
        {"169.254.170.2", "cloud metadata", false}, {"169.254.255.255", "link-local", false},
        {"169.255.0.0", "public", true},          {"172.15.255.255", "public", true},
        {"172.16.0.0", "private", true},          {"172.31.255.255", "private", true},
        {"172.32.0.0", "public", true},           {"191.255.255.255", "public", true},
        {"192.0.0.0", "reserved", false},         {"192.0.0.192", "cloud metadata", false},
        {"192.0.0.255", "reserved", false},       {"192.0.1.0", "public", true},
        {"192.0.2.0", "documentation", false},    {"192.0.2.255", "documentation", false},
        {"192.0.3.0", "public", true},            {"192.88.98.255", "public", true},
        {"192.88.99.1", "reserved", false},       {"192.88.100.0", "public", true},
        {"192.167.255.255", "public", true},      {"192.168.0.0", "private", true},
        {"192.168.255.255", "private", true},     {"192.169.0.0", "public", true},
        {"198.17.255.255", "public", true},       {"198.18.0.0", "reserved", false},
        {"198.19.255.255", "reserved", false},    {"198.20.0.0", "public", true},
        {"198.51.99.255", "public", true},        {"198.51.100.0", "documentation", false},
        {"198.51.100.255", "documentation", false}, {"198.51.101.0", "public", true},
        {"203.0.112.255", "public", true},        {"203.0.113.0", "documentation", false},
        {"203.0.113.255", "documentation", false}, {"203.0.114.0", "public", true},
        {"223.255.255.255", "public", true},      {"224.0.0.0", "multicast", false},
        {"239.255.255.255", "multicast", false},  {"240.0.0.0", "reserved", false},
        {"255.255.255.254", "reserved", false},   {"255.255.255.255", "broadcast", false},
        {"::", "unspecified", false},             {"::1", "loopback", false},
        {"::2", "reserved", false},               {"::ffff:8.8.8.8", "public", true},
        {"::ffff:127.0.0.1", "loopback", false},  {"::ffff:10.0.0.1", "private", true},
        {"::ffff:169.254.169.254", "cloud metadata", false}, {"::ffff:0.0.0.0", "unspecified", false},
        {"::127.0.0.1", "reserved", false},       {"::fffe:127.0.0.1", "reserved", false},
        {"64:ff9b::8.8.8.8", "translated", true}, {"64:ff9b::127.0.0.1", "loopback", false},
        {"64:ff9b::10.0.0.1", "private", true},   {"64:ff9b::169.254.169.254", "cloud metadata", false},
        {"64:ff9b::168.63.129.16", "cloud metadata", false}, {"64:ff9b:0:1::", "reserved", false},
        {"64:ff9b:1:7f00:0:100::", "loopback", false}, {"64:ff9b:1:a9fe:a9:fe00::", "cloud metadata", false},
        {"64:ff9b:2::1", "reserved", false},      {"100::1", "reserved", false},
        {"2000::", "public", true},               {"2001::", "broadcast", false},
        {"2001:0:808:808::f7f7:f7f7", "tunnelled", true}, {"2001:0:808:808::80ff:fffe", "loopback", false},
        {"2001:0:808:808::5601:5601", "cloud metadata", false}, {"2001:1::", "reserved", false},
        {"2001:1ff:ffff::", "reserved", false},   {"2001:200::", "public", true},
        {"2001:db7:ffff::", "public", true},      {"2001:db8::", "documentation", false},
        {"2001:db8:ffff::", "documentation", false}, {"2001:db9::", "public", true},
        {"2002:808:808::", "tunnelled", true},    {"2002:7f00:1::", "loopback", false},
        {"2002:a9fe:a9fe::", "cloud metadata", false}, {"2002:a00:1::", "private", true},
        {"2002:c0a8:101::1", "private", true},    {"2606:4700::1111", "public", true},
        {"2a00:1450::5efe:127.0.0.1", "loopback", false}, {"2a00:1450::200:5efe:10.0.0.1", "private", true},
        {"2a00:1450::400:5efe:10.0.0.1", "public", true}, {"2a00:1450::5eff:10.0.0.1", "public", true},
        {"2a00:1450::1:5efe:10.0.0.1", "public", true}, {"2a00:1450::5dfe:10.0.0.1", "public", true},
        {"3ffe:ffff::", "public", true},          {"3fff::", "documentation", false},
        {"3fff:fff::", "documentation", false},   {"3fff:1000::", "public", true},
        {"4000::", "reserved", false},            {"5f00::1", "reserved", false},
        {"fbff::", "reserved", false},            {"fc00::", "private", true},
        {"fd00:ec2::253", "private", true},       {"fd00:ec2::254", "cloud metadata", false},
        {"fd20:ce::254", "cloud metadata", false}, {"fdff:ffff::", "private", true},
        {"fe00::", "reserved", false},            {"fe80::", "link-local", false},
        {"fe80::5efe:8.8.8.8", "link-local", false}, {"febf:ffff::", "link-local", false},
        {"fec0::", "site-local", false},          {"feff::", "site-local", false},
        {"ff00::", "multicast", false},           {"ff02::1", "multicast", false},
        {"ffff::", "multicast", false},
    };
    /* clang-format on */

    configure("", "", false);
    cr_assert_geq(N(rows), 120);
    for (size_t i = 0; i < N(rows); i++) {
        struct egress_decision d = decide("h.example", rows[i].address, 80);

        cr_expect_str_eq(d.kind, rows[i].kind, "%s is %s", rows[i].address, d.kind);
        cr_expect_eq(d.allowed, rows[i].allowed, "%s (%s)", rows[i].address, d.rule);
    }
}

/* E2. */
Test(egress, no_rule_opens_what_is_never_allowed)
{
    static const char *const never[] = {"169.254.169.254", "0.0.0.0",   "224.0.0.1",
                                        "fe80::1",         "192.0.2.1", "64:ff9b::169.254.169.254",
                                        "fd00:ec2::254",   "::"};

    configure("0.0.0.0/0 ::/0 public private loopback h.example", "", true);
    for (size_t i = 0; i < N(never); i++)
        cr_expect_not(decide("h.example", never[i], 80).allowed, "%s", never[i]);
}

/* E2: what opens, what closes, and that deny wins. */
Test(egress, applies_rules)
{
    static const struct {
        const char *allow, *deny;
        bool loopback;
        const char *host, *address;
        int port;
        bool allowed;
    } rows[] = {
        /* clang-format off */
        {"", "", true, "x", "127.0.0.1", 80, true},
        {"", "", false, "x", "::1", 80, false},
        {"", "loopback", true, "x", "127.0.0.1", 80, false},
        {"127.0.0.1:5432", "", false, "x", "127.0.0.1", 5432, true},
        {"127.0.0.1:5432", "", false, "x", "127.0.0.1", 5433, false},
        {"127.0.0.1:5432", "", false, "x", "127.0.0.2", 5432, false},
        {"127.0.0.1:5432", "", false, "x", "8.8.8.8", 80, true}, /* closes nothing else */
        {"[::1]:5432", "", false, "x", "::1", 5432, true},
        {"0.0.0.0/0", "", false, "x", "127.0.0.1", 80, false},
        {"x", "", false, "x", "127.0.0.1", 80, false}, /* a name opens no loopback */
        {"", "private", true, "x", "10.0.0.1", 80, false},
        {"", "private", true, "x", "fd00::1", 80, false},
        {"", "private", true, "x", "::ffff:10.0.0.1", 80, false},
        {"", "private", true, "x", "64:ff9b::10.0.0.1", 80, false},
        {"", "private", true, "x", "8.8.8.8", 80, true},
        {"", "10.1.0.0/16", true, "x", "10.1.255.1", 80, false},
        {"", "10.1.0.0/16", true, "x", "10.2.0.1", 80, true},
        {"", "10.1.0.0/15", true, "x", "10.0.0.1", 80, false}, /* bits behind the prefix count not */
        {"", "10.0.0.0/8:22", true, "x", "10.1.0.1", 22, false},
        {"", "10.0.0.0/8:22", true, "x", "10.1.0.1", 23, true},
        {"", "[fd00::/8]:22", true, "x", "fd12::1", 22, false},
        {"", "fd00::/8", true, "x", "fd12::1", 23, false},
        {"10.0.0.0/8", "10.1.0.0/16", true, "x", "10.1.0.1", 80, false},
        {"10.0.0.0/8", "10.1.0.0/16", true, "x", "10.2.0.1", 80, true},
        {"10.0.0.0/8", "", true, "x", "8.8.8.8", 80, false},
        {"10.0.0.0/8", "", true, "x", "127.0.0.1", 80, false},
        {"public 10.1.0.0/16", "", true, "x", "8.8.8.8", 80, true},
        {"public 10.1.0.0/16", "", true, "x", "10.2.0.1", 80, false},
        {"db.example.com", "", true, "DB.Example.com.", "10.0.0.1", 80, true},
        {"db.example.com", "", true, "xdb.example.com", "10.0.0.1", 80, false},
        {"*.example.com", "", true, "db.example.com", "10.0.0.1", 80, true},
        {"*.example.com", "", true, "example.com", "10.0.0.1", 80, false},
        {"*.example.com", "", true, "badexample.com", "10.0.0.1", 80, false},
        {"*.example.com:443", "", true, "a.example.com", "8.8.8.8", 80, false},
        {"", "bad.example.com", true, "bad.example.com", "8.8.8.8", 80, false},
        {"", "bad.example.com", true, "bed.example.com", "8.8.8.8", 80, true},
        {"", "bad.example.com", true, "", "8.8.8.8", 80, true},
        {"", "10.0.0.0/8", true, "x", "64:ff9b::10.9.9.9", 80, false}, /* what it carries counts */
        {"", "10.0.0.0/8", true, "x", "64:ff9b::11.9.9.9", 80, true},
        {"fd00::1", "", false, "x", "fd00::1", 80, true},
        {"fd00::1", "", false, "x", "8.8.8.8", 80, false}, /* one address that is not loopback */
        /* clang-format on */
    };

    for (size_t i = 0; i < N(rows); i++) {
        struct egress_decision d;

        configure(rows[i].allow, rows[i].deny, rows[i].loopback);
        d = decide(rows[i].host, rows[i].address, rows[i].port);
        cr_expect_eq(d.allowed, rows[i].allowed, "allow=%s deny=%s %s %s:%d: %s", rows[i].allow,
                     rows[i].deny, rows[i].host, rows[i].address, rows[i].port, d.rule);
    }
}

Test(egress, refuses_rules_that_mean_nothing)
{
    static const char *const bad[] = {
        "",           "10.0.0.0/33", "::/129",  "10.0.0/8", "10.0.0.0/",  "10.0.0.0/-1",
        "10.0.0.0/x", "x:0",         "x:65536", "x:y",      "[::1",       "[::1]x",
        "a/b",        "a b",         "*",       "*.",       "10.0.0.256", "127.1",
        "Private/8",  "x:",          "[::1]:x", "[::1]:0"};
    static const char *const good[] = {
        "10.0.0.0/8", "::/0",   "10.1.1.1",    "[::1]:80", "x.y:80",
        "*.x",        "public", "private:443", "loopback", "xn--bcher-kva.example"};

    for (size_t i = 0; i < N(bad); i++) {
        struct error err = ERROR_INIT;

        cr_expect_eq(egress_check_rule(bad[i], &err), -1, "\"%s\" was taken", bad[i]);
        cr_expect_str_eq(error_reason(&err), "egress_rule");
    }
    for (size_t i = 0; i < N(good); i++) {
        struct error err = ERROR_INIT;

        cr_expect_eq(egress_check_rule(good[i], &err), 0, "%s", err.message);
    }
}

/* E2: nobody reaches the API from inside, by whatever name. */
Test(egress, protects_the_services_own_listener)
{
    static const char *const inside[] = {"127.0.0.1", "127.0.0.9", "::1", "::ffff:127.0.0.1",
                                         "10.1.2.3"};

    configure("", "", true);
    egress_protect("10.1.2.3:8080");
    for (size_t i = 0; i < N(inside); i++) {
        cr_expect_not(decide("x", inside[i], 8080).allowed, "%s", inside[i]);
        cr_expect(decide("x", inside[i], 8081).allowed, "%s", inside[i]);
    }
    cr_expect(decide("x", "10.1.2.4", 8080).allowed);
    egress_protect("[::]:8080");
    cr_expect_not(decide("x", "127.0.0.1", 8080).allowed);
    cr_expect(decide("x", "8.8.8.8", 8080).allowed);
}

static int dial(const char *address, int port)
{
    struct sockaddr_storage to;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), rc;

    rc = connect(fd, at(address, port, &to), sizeof(struct sockaddr_in)) < 0 ? errno : 0;
    close(fd);
    return rc;
}

/* E1: a library that connects by itself meets the decision all the same. */
Test(egress, stands_in_front_of_every_connect)
{
    struct error err = ERROR_INIT;

    configure("", "", true);
    cr_expect_eq(dial("127.0.0.1", 1), ECONNREFUSED);
    cr_expect_not(egress_refused("x", &err));
    configure("", "127.0.0.0/8:1", true);
    cr_expect_eq(dial("127.0.0.1", 1), EACCES);
    cr_assert(egress_refused("db.example", &err));
    cr_expect_str_eq(error_reason(&err), "egress_denied");
    cr_expect(strstr(err.message, "db.example"), "%s", err.message);
    err = ERROR_INIT;
    cr_expect_not(egress_refused("db.example", &err)); /* told once */
}

/* E1: what only a name opens is open to the socket made for it, and to no later one. */
Test(egress, remembers_what_a_name_has_opened)
{
    struct sockaddr_storage to;
    struct error err = ERROR_INIT;

    configure("10.0.0.0/8 good.example", "", true);
    cr_expect_eq(dial("127.0.0.1", 1), EACCES);
    cr_expect_eq(egress_check("good.example", at("192.168.77.1", 9, &to), &err), 0);
    cr_expect_eq(egress_check("other.example", at("10.0.0.1", 9, &to), &err), 0);
    cr_expect_eq(dial("192.168.77.1", 9), EACCES);
}

/* E3. */
Test(egress, resolving_leaves_out_what_is_not_allowed)
{
    struct arena *mem = arena_new();
    struct error err = ERROR_INIT;
    struct cancel *cancel;
    struct resolved found;

    cr_assert_eq(cancel_new(&cancel, &err), 0);
    configure("", "127.0.0.0/8 ::1", true);
    cr_assert_eq(
        resolve_host("localhost", 80, clock_monotonic_us() + 10000000, cancel, mem, &found, &err),
        -1);
    cr_expect_str_eq(error_reason(&err), "egress_denied", "%s", err.message);
    err = ERROR_INIT;
    configure("", "127.0.0.0/8:81", true);
    cr_assert_eq(
        resolve_host("127.0.0.1", 80, clock_monotonic_us() + 10000000, cancel, mem, &found, &err),
        0, "%s", err.message);
    cr_expect_eq(found.n, 1);
    cancel_free(cancel);
    arena_free(mem);
}

/* E8: what a proxy connects to is judged by its name, or its address if it is one. */
Test(egress, judges_what_a_proxy_is_asked_for)
{
    struct error err = ERROR_INIT;

    configure("", "bad.example", false);
    cr_expect_eq(egress_check_name("good.example", 80, &err), 0);
    cr_expect_eq(egress_check_name("bad.example", 80, &err), -1);
    err = ERROR_INIT;
    cr_expect_eq(egress_check_name("[::ffff:127.0.0.1]", 80, &err), -1);
    err = ERROR_INIT;
    cr_expect_eq(egress_check_name("169.254.169.254", 80, &err), -1);
}

Test(egress, a_wrong_rule_that_allows_changes_nothing_either)
{
    static const char *const allow[] = {"10.0.0.0/8", "10.0.0.0/99"};
    struct error err = ERROR_INIT;

    configure("", "192.168.0.0/16", true);
    cr_assert_eq(egress_configure(&(struct egress_policy){.allow = allow, .n_allow = 2}, &err), -1);
    cr_assert_str_eq(error_reason(&err), "egress_rule");
    cr_expect(decide(NULL, "8.8.8.8", 80).allowed);
    cr_expect_not(decide(NULL, "192.168.2.3", 80).allowed);
    egress_rules_free(NULL);
}

/* The network interfaces of a machine that is not this one; `interfaces_fail` is one that does not
 * tell. Linked in front of the C library's. */
static bool interfaces_fail;
int __wrap_getifaddrs(struct ifaddrs **out);
void __wrap_freeifaddrs(struct ifaddrs *all);

int __wrap_getifaddrs(struct ifaddrs **out)
{
    static struct sockaddr_un local = {.sun_family = AF_UNIX};
    static struct sockaddr_storage outer;
    static struct ifaddrs all[3];

    if (interfaces_fail) {
        errno = ENOMEM;
        return -1;
    }
    (void)at("198.20.7.7", 0, &outer);
    all[0] = (struct ifaddrs){.ifa_next = &all[1]}; /* a tunnel without an address */
    all[1] = (struct ifaddrs){.ifa_next = &all[2], .ifa_addr = (struct sockaddr *)&outer};
    all[2] = (struct ifaddrs){.ifa_addr = (struct sockaddr *)&local};
    *out = all;
    return 0;
}

void __wrap_freeifaddrs(struct ifaddrs *all)
{
    (void)all;
}

Test(egress, a_listener_on_every_address_is_found_at_each)
{
    configure("", "", true);
    egress_protect("0.0.0.0:8080");
    cr_expect_not(decide("x", "198.20.7.7", 8080).allowed);
    cr_expect(decide("x", "198.20.7.7", 8081).allowed);
    cr_expect(decide("x", "198.20.7.8", 8080).allowed);
    cr_expect_not(decide("x", "64:ff9b::198.20.7.7", 8080).allowed);
    interfaces_fail = true; /* then every address could be ours */
    cr_expect_not(decide("x", "198.20.7.8", 8080).allowed);
    cr_expect(decide("x", "198.20.7.8", 8081).allowed);
}

Test(egress, what_is_no_network_address_is_not_connected_to)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX, .sun_path = "/run/x"};
    struct error err = ERROR_INIT;
    struct egress_decision d;

    configure("", "", true);
    egress_decide("x", (struct sockaddr *)&local, &d);
    cr_expect_not(d.allowed);
    cr_expect_str_eq(d.kind, "no network address");
    cr_expect_eq(egress_check("x", (struct sockaddr *)&local, &err), -1);
    cr_expect_str_eq(error_reason(&err), "egress_denied");
}

static int connect_errno(int family, const void *to, size_t n)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), rc;

    rc = connect(fd, to, (socklen_t)n) < 0 ? errno : 0;
    close(fd);
    return rc;
}

/* E1: also IPv6; local sockets and what is cut short are the kernel's. */
Test(egress, judges_each_family_in_front_of_connect)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX, .sun_path = "/nowhere/at/all"};
    struct error err = ERROR_INIT;
    struct sockaddr_storage v4, v6;

    (void)at("127.0.0.1", 1, &v4);
    (void)at("::ffff:127.0.0.1", 1, &v6);
    configure("", "127.0.0.0/8", true);
    cr_expect_eq(connect_errno(AF_INET6, &v6, sizeof(struct sockaddr_in6)), EACCES);
    cr_expect(egress_refused("x", &err));
    /* Without a scope, which the kernel takes as well. */
    cr_expect_eq(connect_errno(AF_INET6, &v6, offsetof(struct sockaddr_in6, sin6_scope_id)),
                 EACCES);
    err = ERROR_INIT;
    cr_expect(egress_refused("x", &err));
    cr_expect_eq(connect_errno(AF_INET, &v4, sizeof(struct sockaddr_in)), EACCES);
    err = ERROR_INIT;
    cr_expect(egress_refused("x", &err));
    cr_expect_eq(connect_errno(AF_UNIX, &local, sizeof local), ENOENT);
    cr_expect_eq(connect_errno(AF_INET, &v4, 4), EINVAL);
    cr_expect_eq(connect_errno(AF_INET6, &v6, sizeof(struct sockaddr_in)), EINVAL);
    cr_expect_not(egress_refused("x", &err));
    configure("", "", true);
    cr_expect_eq(connect_errno(AF_INET6, &v6, sizeof(struct sockaddr_in6)), ECONNREFUSED);
    cr_expect_eq(connect_errno(AF_INET6, &v6, offsetof(struct sockaddr_in6, sin6_scope_id)),
                 ECONNREFUSED);
}

/* What a host was allowed under rules that are gone is not allowed by the same name. */
Test(egress, forgets_what_a_name_has_opened_when_rules_change)
{
    struct error err = ERROR_INIT;
    struct sockaddr_storage to;

    configure("", "", true);
    cr_assert_eq(egress_check("good.example", at("127.0.0.1", 1, &to), &err), 0);
    configure("", "127.0.0.2", true);
    cr_assert_eq(egress_check("good.example", at("127.0.0.3", 1, &to), &err), 0);
    cr_expect_eq(dial("127.0.0.2", 1), EACCES);
    cr_expect_eq(dial("127.0.0.3", 1), ECONNREFUSED);
}

/* E8: what only looks like an address is a name, and no rule opens it. */
Test(egress, names_for_a_proxy_that_are_no_address_are_names)
{
    static const char *const names[] = {"[::1", "10.0.0.0/8", "10.0.0.0/8:80", "x/8"};
    struct error err;

    configure("10.0.0.0/8", "", true);
    for (size_t i = 0; i < N(names); i++) {
        err = ERROR_INIT;
        cr_expect_eq(egress_check_name(names[i], 80, &err), -1, "%s", names[i]);
        cr_expect_str_eq(error_reason(&err), "egress_denied");
    }
    err = ERROR_INIT;
    cr_expect_eq(egress_check_name("10.1.2.3", 80, &err), 0);
}

/* E1: a datagram goes nowhere either. */
Test(egress, judges_sockets_for_datagrams)
{
    struct sockaddr_storage to;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    configure("", "127.0.0.0/8:9", true);
    cr_expect_lt(connect(fd, at("127.0.0.1", 9, &to), sizeof(struct sockaddr_in)), 0);
    cr_expect_eq(errno, EACCES);
    cr_expect_eq(connect(fd, at("127.0.0.1", 10, &to), sizeof(struct sockaddr_in)), 0);
    close(fd);
}
