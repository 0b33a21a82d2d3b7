#include "server/policies.h"

#include <string.h>

#include "connectors/base/egress.h"
#include "connectors/base/roots.h"
#include "connectors/singer/program.h"
#include "server/cli.h"

int policies_read_egress(const struct settings *settings, const char *listen,
                         struct egress_rules **out, struct error *err)
{
    struct egress_policy policy = {.allow = settings->egress_allow.items,
                                   .n_allow = settings->egress_allow.n,
                                   .deny = settings->egress_deny.items,
                                   .n_deny = settings->egress_deny.n,
                                   .loopback = config_is_loopback(listen)};

    return egress_rules_new(&policy, out, err);
}

int policies_set_egress(const struct settings *settings, struct error *err)
{
    struct egress_rules *rules;

    if (policies_read_egress(settings, settings->listen, &rules, err) < 0)
        return -1;
    egress_use(rules);
    return 0;
}

int policies_set_roots(const struct settings *settings, struct error *err)
{
    struct roots_policy policy = {.roots = settings->file_roots.items,
                                  .n = settings->file_roots.n,
                                  .open = config_is_loopback(settings->listen),
                                  .closed = settings->data};

    return roots_configure(&policy, err);
}

void policies_set_programs(const struct settings *settings, struct arena *mem)
{
    struct problems none = PROBLEMS_INIT(mem); /* the section was checked with the others */
    struct program_list list;

    (void)programs_decode(settings->exec, "/exec", mem, &list, &none);
    programs_set(&list);
}

bool policies_find_programs(const char *connector)
{
    static struct config config; /* both live as long as the process */
    static struct arena *mem;
    struct problems problems;

    if (mem || strcmp(connector, "singer") != 0)
        return true;
    mem = arena_new();
    problems = PROBLEMS_INIT(mem);
    if (!config_load(0, NULL, SECRETS_UNREAD, mem, &config, &problems)) {
        cli_print_problems("the settings are wrong", &problems);
        return false;
    }
    policies_set_programs(&config.settings, mem);
    return true;
}
