/*
 * egress.h - where this process may connect to.
 *
 * Callers of the service name hosts and get the network position of the service in return, so one
 * module decides, on the address that a socket is about to be connected to and not on the name
 * that was asked for: a name may answer otherwise the next time. The decision is made twice. Who
 * resolves a name or opens a socket asks egress_check first, which knows the name and says why
 * not. Behind that the program's own connect() stands in front of the C library's: whatever a
 * library does on the way (resolve again, follow, fail over), its sockets end there.
 *
 * Refused always: unspecified, link-local, multicast, broadcast, reserved and documentation
 * ranges, the metadata services of clouds, and the service's own listener. An IPv4 address inside
 * an IPv6 one (mapped, NAT64, 6to4, Teredo, ISATAP) is looked at as well. Loopback is open when
 * the policy says so or a rule lies within it. For the rest the rules decide, and deny wins.
 *
 * A rule is one of
 *
 *     10.0.0.0/8      fd00::/8      192.168.1.7     networks and addresses
 *     db.example.com  *.example.com                 the name that was asked for
 *     public  private  loopback                     classes; private holds the ranges of RFC 1918,
 *                                                   RFC 6598 and RFC 4193
 *
 * each with ":PORT" behind it for one port only ("[fd00::/8]:5432"). As soon as a rule allows
 * something beyond loopback, everything else is closed. A name opens no loopback address.
 *
 * The rules belong to the process; without any, everything but the above is open. They may be
 * replaced at any time by one thread: connections that are made from then on follow the new ones,
 * those that are open stay. Deciding is safe from any thread.
 */
#ifndef CONNECTORS_BASE_EGRESS_H
#define CONNECTORS_BASE_EGRESS_H

#include <stddef.h>
#include <sys/socket.h>

#include "connectors/base/error.h"

struct egress_policy {
    const char *const *allow, *const *deny; /* rules as text */
    size_t n_allow, n_deny;
    bool loopback;
};

/* What a rule has to look like; CONFIG and the reason otherwise. */
CHECKED int egress_check_rule(const char *rule, struct error *err);

struct egress_rules; /* a policy that was understood; opaque */

CHECKED int egress_rules_new(const struct egress_policy *policy, struct egress_rules **out,
                             struct error *err);
void egress_rules_free(struct egress_rules *r); /* one that is not in use; accepts NULL */
/* Puts it in force for the whole process, which takes it. */
void egress_use(struct egress_rules *r);
/* Both in one. */
CHECKED int egress_configure(const struct egress_policy *policy, struct error *err);

/* The service listens at "127.0.0.1:8080" or "[::]:8080": nobody is to reach it from inside. For
 * each of its listeners, at most two, by one thread, at any time. */
void egress_protect(const char *listener);

struct egress_decision {
    bool allowed;
    const char *kind; /* "public", "private", "loopback", "link-local", ... */
    const char *rule; /* what decided: a rule as it was given, or a sentence without a dot */
    const char *by;   /* of a refusal, in one word: "egress_deny", "never_allowed", ... */
};

/* `host` is what was asked for: a name or an address. */
void egress_decide(const char *host, const struct sockaddr *to, struct egress_decision *out);
/* The same by rules that need not be in force. */
void egress_decide_by(const struct egress_rules *by, const char *host, const struct sockaddr *to,
                      struct egress_decision *out);

/*
 * 0 when a connection to `to` may be made. Else PERMISSION "egress_denied". What a name opens is
 * remembered for connect() in this thread, until another host is asked for.
 */
CHECKED int egress_check(const char *host, const struct sockaddr *to, struct error *err);

/* The same for what somebody else, a proxy, is asked to connect to: unless `host` is an address,
 * only the rules for names can be applied. */
CHECKED int egress_check_name(const char *host, int port, struct error *err);

/* Whether connect() has refused something in this thread since the last call; *err is set then. A
 * library that was refused knows "permission denied" at best. */
bool egress_refused(const char *host, struct error *err);

#endif
