#include "server/policies.h"

#include "connectors/base/egress.h"
#include "connectors/base/roots.h"

int policies_set_egress(const struct settings *settings, struct error *err)
{
    struct egress_policy policy = {.allow = settings->egress_allow.items,
                                   .n_allow = settings->egress_allow.n,
                                   .deny = settings->egress_deny.items,
                                   .n_deny = settings->egress_deny.n,
                                   .loopback = config_is_loopback(settings->listen)};

    return egress_configure(&policy, err);
}

int policies_set_roots(const struct settings *settings, struct error *err)
{
    struct roots_policy policy = {.roots = settings->file_roots.items,
                                  .n = settings->file_roots.n,
                                  .open = config_is_loopback(settings->listen),
                                  .closed = settings->data};

    return roots_configure(&policy, err);
}
