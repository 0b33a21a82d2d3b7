/*
 * connectord egress explain: what the policy says, address by address.
 */
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "connectors/base/cleanup.h"
#include "connectors/base/egress.h"
#include "connectors/base/text.h"
#include "server/cli.h"
#include "server/policies.h"

static void free_addresses(struct addrinfo **list)
{
    if (*list)
        freeaddrinfo(*list);
}

static int explain(const char *host, const char *port)
{
    const struct addrinfo hints = {.ai_flags = AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    CLEANUP(free_addresses) struct addrinfo *list = NULL;
    char text[NI_MAXHOST];
    bool any = false;
    int64_t number;
    int rc;

    if (!text_to_int64(port, strlen(port), &number) || number < 1 || number > 65535) {
        fprintf(stderr, "connectord: \"%s\" is no port\n", port);
        return EXIT_USAGE;
    }
    rc = getaddrinfo(host, port, &hints, &list);
    if (rc != 0) {
        fprintf(stderr, "connectord: the host \"%s\" has no address: %s\n", host, gai_strerror(rc));
        return EXIT_RUNTIME;
    }
    for (const struct addrinfo *a = list; a; a = a->ai_next) {
        struct egress_decision d;

        if (getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST) != 0)
            continue;
        egress_decide(host, a->ai_addr, &d);
        any |= d.allowed;
        printf("%s %s port %s: %s (%s)\n", d.allowed ? "allowed" : "denied ", text, port, d.kind,
               d.rule);
    }
    return any ? EXIT_OK : EXIT_RUNTIME;
}

int cli_egress_explain(const struct cli_call *call)
{
    const struct settings *settings = &call->config->settings;
    struct error err = ERROR_INIT;

    if (policies_set_egress(settings, &err) < 0)
        return cli_fail(&err, "reading the rules");
    egress_protect(settings->listen);
    return explain(call->argv[0], call->argv[1]);
}
