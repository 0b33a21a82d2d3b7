#include "connectors/base/egress.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "connectors/base/arena.h"
#include "connectors/base/egress_class.h"
#include "connectors/base/metric.h"
#include "connectors/base/text.h"

#define REMEMBERED 16

struct rule {
    const char *text; /* as it was given */
    enum rule_kind { RULE_NETWORK, RULE_HOST, RULE_CLASS } kind;
    unsigned char net[16];
    int bits;
    const char *host; /* "example.com", or ".example.com" for what ends so */
    enum egress_class class;
    int port; /* 0 = any */
};

struct egress_rules {
    struct arena *mem; /* holds this, too */
    struct rule *allow, *deny;
    size_t n_allow, n_deny;
    bool loopback;
    bool closed; /* some rule allows more than loopback: the rest is not */
    /* Those that were in force before. Any thread may be deciding by them, or telling of one of
     * them why something was refused, so they stay: a few hundred bytes for each change. */
    const struct egress_rules *before;
};

static const struct egress_rules open_rules = {.loopback = true};
static const struct egress_rules *_Atomic in_force = &open_rules;

/* The service's own listeners: each is written before its port is. */
static struct listener {
    unsigned char address[16];
    bool any; /* every address of this machine */
    _Atomic int port;
} own[2];

/* Of this thread: what was allowed to the host that was asked for last, and what connect() refused
 * last. */
static _Thread_local struct {
    const struct egress_rules *by; /* what allowed it */
    char host[256];
    struct {
        unsigned char address[16];
        int port;
    } allowed[REMEMBERED];
    size_t n;
    bool refused;
    const char *kind, *rule;
} here;

/* ------------------------------------------------------------------------ rules */

static int bad_rule(const char *text, const char *why, struct error *err)
{
    return error_set_reason(err, ERR_CONFIG, "egress_rule", "\"%s\" is no rule: %s", text, why);
}

static bool parse_port(const char *s, int *out)
{
    int64_t port;

    if (!text_to_int64(s, strlen(s), &port) || port < 1 || port > 65535)
        return false;
    *out = (int)port;
    return true;
}

/* Cuts the port off: "[net]:port", or "x:port" with a single colon. */
static bool split_port(char *s, int *out_port)
{
    char *colon = strchr(s, ':');

    *out_port = 0;
    if (*s == '[') {
        char *end = strchr(s, ']');

        if (!end || (end[1] != '\0' && (end[1] != ':' || !parse_port(end + 2, out_port))))
            return false;
        memmove(s, s + 1, (size_t)(end - s) - 1);
        end[-1] = '\0';
        return true;
    }
    if (!colon || strchr(colon + 1, ':'))
        return true;
    *colon = '\0';
    return parse_port(colon + 1, out_port);
}

/* False when it is no address; *out_bad when it is one with a wrong length of its prefix. */
static bool parse_network(char *s, struct rule *out, bool *out_bad)
{
    char *slash = strchr(s, '/');
    struct in_addr v4;
    int64_t bits = -1;
    int most = 128;

    *out_bad = false;
    if (slash)
        *slash = '\0';
    if (inet_pton(AF_INET, s, &v4) == 1) {
        static const unsigned char prefix[12] = {[10] = 0xff, 0xff};

        memcpy(out->net, prefix, sizeof prefix);
        memcpy(out->net + 12, &v4, 4);
        most = 32;
    } else if (inet_pton(AF_INET6, s, out->net) != 1) {
        *out_bad = slash != NULL;
        return false;
    }
    if (slash && (!text_to_int64(slash + 1, strlen(slash + 1), &bits) || bits < 0 || bits > most))
        *out_bad = true;
    out->bits = (int)(slash ? bits : most) + (most == 32 ? 96 : 0);
    out->kind = RULE_NETWORK;
    return true;
}

static bool parse_class(const char *s, struct rule *out)
{
    static const char *const names[] = {"public", "private", "loopback"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!strcmp(s, names[i])) {
            out->kind = RULE_CLASS;
            out->class = (enum egress_class)i;
            return true;
        }
    }
    return false;
}

static bool parse_host(const char *s, struct rule *out)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  ".-_";

    if (text_starts_with(s, "*."))
        s++;
    if (*s == '\0' || !strcmp(s, ".") || s[strspn(s, allowed)] != '\0' ||
        s[strspn(s, "0123456789.")] == '\0') /* a number: what was meant is an address */
        return false;
    out->kind = RULE_HOST;
    out->host = s;
    return true;
}

static int parse_rule(const char *text, struct arena *mem, struct rule *out, struct error *err)
{
    char *s = arena_strdup(mem, text);
    bool bad;

    *out = (struct rule){.text = arena_strdup(mem, text)};
    if (!split_port(s, &out->port))
        return bad_rule(text, "the port is not a number from 1 to 65535", err);
    if (parse_class(s, out) || (!strchr(s, '/') && parse_host(s, out)))
        return 0;
    if (!parse_network(s, out, &bad) || bad)
        return bad_rule(text,
                        "expected an address, a network such as 10.0.0.0/8, a host name, "
                        "\"*.example.com\", \"public\", \"private\" or \"loopback\"",
                        err);
    return 0;
}

int egress_check_rule(const char *rule, struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    struct rule ignored;

    return parse_rule(rule, mem, &ignored, err);
}

static int parse_rules(const char *const *texts, size_t n, struct arena *mem, struct rule **out,
                       struct error *err)
{
    *out = arena_array(mem, n + 1, sizeof **out);
    for (size_t i = 0; i < n; i++) {
        if (parse_rule(texts[i], mem, &(*out)[i], err) < 0)
            return -1;
    }
    return 0;
}

static bool is_for_loopback(const struct rule *r)
{
    static const unsigned char v4[16] = {[10] = 0xff, 0xff, 127}, v6[16] = {[15] = 1};

    if (r->kind == RULE_CLASS)
        return r->class == EGRESS_LOOPBACK;
    return r->kind == RULE_NETWORK && ((r->bits >= 104 && egress_in_network(r->net, v4, 104)) ||
                                       (r->bits == 128 && egress_in_network(r->net, v6, 128)));
}

void egress_rules_free(struct egress_rules *r)
{
    if (r)
        arena_free(r->mem);
}

int egress_rules_new(const struct egress_policy *p, struct egress_rules **out, struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    struct egress_rules *r = arena_array(mem, 1, sizeof *r);

    *r = (struct egress_rules){.n_allow = p->n_allow, .n_deny = p->n_deny, .loopback = p->loopback};
    if (parse_rules(p->allow, p->n_allow, mem, &r->allow, err) < 0 ||
        parse_rules(p->deny, p->n_deny, mem, &r->deny, err) < 0)
        return -1;
    for (size_t i = 0; i < p->n_allow; i++)
        r->closed |= !is_for_loopback(&r->allow[i]);
    r->mem = TAKE(mem);
    *out = r;
    return 0;
}

static bool are_same(const struct rule *a, size_t n_a, const struct rule *b, size_t n_b)
{
    for (size_t i = 0; n_a == n_b && i < n_a; i++) {
        if (strcmp(a[i].text, b[i].text) != 0)
            return false;
    }
    return n_a == n_b;
}

void egress_use(struct egress_rules *r)
{
    const struct egress_rules *old = atomic_load(&in_force);

    if (old->loopback == r->loopback && are_same(old->allow, old->n_allow, r->allow, r->n_allow) &&
        are_same(old->deny, old->n_deny, r->deny, r->n_deny)) {
        egress_rules_free(r);
        return;
    }
    r->before = old;
    atomic_store(&in_force, r);
}

int egress_configure(const struct egress_policy *p, struct error *err)
{
    struct egress_rules *r;

    if (egress_rules_new(p, &r, err) < 0)
        return -1;
    egress_use(r);
    return 0;
}

void egress_protect(const char *listener)
{
    static const unsigned char none[16];
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    struct listener *mine = atomic_load(&own[0].port) == 0 ? &own[0] : &own[1];
    struct error ignored = ERROR_INIT;
    struct rule at;

    if (parse_rule(listener, mem, &at, &ignored) < 0 || at.kind != RULE_NETWORK)
        abort(); /* the server has told where it listens */
    memcpy(mine->address, at.net, sizeof mine->address);
    mine->any = !memcmp(at.net, none, 16) || !memcmp(at.net + 12, none, 4);
    atomic_store(&mine->port, at.port);
}

/* --------------------------------------------------------------------- decisions */

struct address {
    unsigned char outer[16], inner[16];
    bool has_inner;
    int port;
    struct egress_kind kind;
};

static bool host_matches(const char *host, const char *pattern)
{
    size_t n = strlen(host), k = strlen(pattern);

    if (n > 0 && host[n - 1] == '.')
        n--;
    if (*pattern == '.')
        return n > k && !strncasecmp(host + n - k, pattern, k);
    return n == k && !strncasecmp(host, pattern, n);
}

static bool matches(const struct rule *r, const char *host, const struct address *a)
{
    if (r->port != 0 && r->port != a->port)
        return false;
    switch (r->kind) {
    case RULE_HOST:
        return host && host_matches(host, r->host);
    case RULE_CLASS:
        return r->class == a->kind.class;
    case RULE_NETWORK:
        break;
    }
    return egress_in_network(a->outer, r->net, r->bits) ||
           (a->has_inner && egress_in_network(a->inner, r->net, r->bits));
}

static const struct rule *first_denying(const struct egress_rules *by, const char *host,
                                        const struct address *a)
{
    for (size_t i = 0; i < by->n_deny; i++) {
        if (matches(&by->deny[i], host, a))
            return &by->deny[i];
    }
    return NULL;
}

/* A name whose owner points it here is no reason to open what only we can reach. */
static const struct rule *first_allowing(const struct egress_rules *by, const char *host,
                                         const struct address *a)
{
    for (size_t i = 0; i < by->n_allow; i++) {
        const struct rule *r = &by->allow[i];

        if (matches(r, host, a) && (a->kind.class != EGRESS_LOOPBACK || is_for_loopback(r)))
            return r;
    }
    return NULL;
}

static bool is_of_this_machine(const unsigned char address[static 16])
{
    struct ifaddrs *all, *at;
    unsigned char bytes[16];
    bool found = false;
    int port;

    if (getifaddrs(&all) < 0)
        return true;
    for (at = all; at && !found; at = at->ifa_next)
        found =
            at->ifa_addr && egress_bytes(at->ifa_addr, bytes, &port) && !memcmp(bytes, address, 16);
    freeifaddrs(all);
    return found;
}

static bool is_our_listener(const struct address *a)
{
    const unsigned char *end = a->has_inner ? a->inner : a->outer;

    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        int port = atomic_load(&own[i].port);

        if (port != 0 && port == a->port &&
            (a->kind.class == EGRESS_LOOPBACK || !memcmp(end, own[i].address, 16) ||
             (own[i].any && is_of_this_machine(end))))
            return true;
    }
    return false;
}

static struct egress_decision decide_by(const struct egress_rules *by, const char *host,
                                        const struct address *a)
{
    const struct rule *rule;

    if (a->kind.class == EGRESS_FORBIDDEN)
        return (struct egress_decision){false, a->kind.name, "never allowed", "never_allowed"};
    if (is_our_listener(a))
        return (struct egress_decision){false, a->kind.name, "the service itself listens there",
                                        "own_listener"};
    rule = first_denying(by, host, a);
    if (rule)
        return (struct egress_decision){false, a->kind.name, rule->text, "egress_deny"};
    rule = first_allowing(by, host, a);
    if (rule)
        return (struct egress_decision){true, a->kind.name, rule->text, ""};
    if (by->closed)
        return (struct egress_decision){false, a->kind.name, "no rule allows it", "egress_allow"};
    if (a->kind.class == EGRESS_LOOPBACK && !by->loopback)
        return (struct egress_decision){false, a->kind.name, "loopback is closed", "loopback"};
    return (struct egress_decision){true, a->kind.name, "nothing speaks against it", ""};
}

static struct egress_decision decide(const char *host, const struct address *a)
{
    return decide_by(atomic_load(&in_force), host, a);
}

static bool read_address(const struct sockaddr *to, struct address *out)
{
    if (!egress_bytes(to, out->outer, &out->port))
        return false;
    out->has_inner = egress_embedded(out->outer, out->inner);
    out->kind = egress_classify(out->outer);
    return true;
}

static struct egress_decision decide_at(const struct egress_rules *by, const char *host,
                                        const struct sockaddr *to, struct address *out)
{
    if (!read_address(to, out))
        return (struct egress_decision){false, "no network address", "never allowed",
                                        "never_allowed"};
    return decide_by(by, host, out);
}

void egress_decide_by(const struct egress_rules *by, const char *host, const struct sockaddr *to,
                      struct egress_decision *out)
{
    struct address ignored;

    *out = decide_at(by, host, to, &ignored);
}

void egress_decide(const char *host, const struct sockaddr *to, struct egress_decision *out)
{
    egress_decide_by(atomic_load(&in_force), host, to, out);
}

/* One refusal, however often it is told. */
static void count_denied(const struct egress_decision *d)
{
    metric_add_for(METRIC_EGRESS_DENIED, METRIC_LABELS(d->by), 1);
}

static int refuse(const char *host, const char *kind, const char *rule, struct error *err)
{
    return error_set_reason(err, ERR_PERMISSION, "egress_denied",
                            "connecting to \"%s\" is not allowed: its address is %s (%s)", host,
                            kind, rule);
}

int egress_check(const char *host, const struct sockaddr *to, struct error *err)
{
    struct address a;
    struct egress_decision d = decide_at(atomic_load(&in_force), host, to, &a);
    size_t at;

    if (!d.allowed) {
        count_denied(&d);
        return refuse(host, d.kind, d.rule, err);
    }
    if (strcmp(here.host, host) != 0 || here.by != atomic_load(&in_force)) {
        here.by = atomic_load(&in_force);
        here.n = 0;
        snprintf(here.host, sizeof here.host, "%s", host);
    }
    at = here.n++ % REMEMBERED;
    memcpy(here.allowed[at].address, a.outer, 16);
    here.allowed[at].port = a.port;
    return 0;
}

/* "[::1]" as in a URL, or without the brackets. */
static bool parse_address(const char *host, unsigned char out[static 16])
{
    CLEANUP(free_cleanup) char *s = xstrdup(host);
    struct rule r = {0};
    bool bad;
    int port;

    if (!split_port(s, &port) || !parse_network(s, &r, &bad) || r.bits != 128)
        return false;
    memcpy(out, r.net, 16);
    return true;
}

int egress_check_name(const char *host, int port, struct error *err)
{
    struct address a = {.port = port, .kind = {EGRESS_PUBLIC, "unknown"}};
    struct egress_decision d;

    if (parse_address(host, a.outer)) {
        a.has_inner = egress_embedded(a.outer, a.inner);
        a.kind = egress_classify(a.outer);
    }
    d = decide(host, &a);
    if (d.allowed)
        return 0;
    count_denied(&d);
    return refuse(host, d.kind, d.rule, err);
}

bool egress_refused(const char *host, struct error *err)
{
    bool refused = here.refused;

    here.refused = false;
    if (refused)
        return refuse(host, here.kind, here.rule, err) < 0;
    return false;
}

/* -------------------------------------------------------------------------- gate */

static bool is_remembered(const struct address *a)
{
    if (here.by != atomic_load(&in_force))
        return false; /* allowed by rules that are no longer in force */
    for (size_t i = 0; i < REMEMBERED && i < here.n; i++) {
        if (here.allowed[i].port == a->port && !memcmp(here.allowed[i].address, a->outer, 16))
            return true;
    }
    return false;
}

/* The kernel refuses what is shorter than its family needs: of IPv6 it takes one without a scope,
 * as RFC 2133 had it. */
static bool read_internet(const struct sockaddr *to, socklen_t n, struct address *out)
{
    size_t least = to->sa_family == AF_INET6 ? offsetof(struct sockaddr_in6, sin6_scope_id)
                                             : sizeof(struct sockaddr_in);

    return n >= least && read_address(to, out);
}

/* What a socket that is about to be connected does there; errno stays. */
static void count_connection(int fd, const char *result)
{
    int type = 0, why = errno;
    socklen_t n = sizeof type;

    (void)getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n);
    metric_add_for(METRIC_EGRESS_CONNECTIONS,
                   METRIC_LABELS(type == SOCK_STREAM ? "tcp" : "udp", result), 1);
    errno = why;
}

/*
 * In front of the C library's: the dynamic linker takes the program's own for all its libraries.
 * The resolver of the C library does not pass here, nor do local sockets.
 */
__attribute__((visibility("default"))) int connect(int fd, __CONST_SOCKADDR_ARG to, socklen_t n)
{
    const struct sockaddr *at = to.__sockaddr__;
    struct egress_decision d;
    struct address a;
    bool counted = read_internet(at, n, &a);
    int done;

    if (counted && !is_remembered(&a)) {
        d = decide(NULL, &a);
        if (!d.allowed) {
            here.refused = true;
            here.kind = d.kind;
            here.rule = d.rule;
            count_denied(&d);
            count_connection(fd, "denied");
            errno = EACCES;
            return -1;
        }
    }
    done = (int)syscall(SYS_connect, fd, at, n);
    if (counted)
        count_connection(fd, done == 0 || errno == EINPROGRESS ? "made" : "failed");
    return done;
}
