/*
 * connectord source NAME, connectord destination NAME: built-in connectors as Singer programs.
 */
#include <stdio.h>
#include <string.h>

#include "connectors/main.h"
#include "connectors/registry.h"
#include "server/cli.h"
#include "server/policies.h"

static int list_sources(void)
{
    fprintf(stderr, "usage: connectord source NAME [--FLAG [VALUE]]..., where NAME is one of:\n");
    for (size_t i = 0; registry_source_at(i); i++)
        fprintf(stderr, "  %-10s %s\n", registry_source_at(i)->name, registry_source_at(i)->title);
    return EXIT_USAGE;
}

int cli_source(const struct cli_call *call)
{
    int argc = call->argc;
    char **argv = call->argv;
    const struct source_connector *c = argc > 0 ? registry_source(argv[0]) : NULL;

    if (c && !policies_find_programs(c->name))
        return EXIT_USAGE;
    if (c)
        return connector_main(argc, argv, c);
    if (argc > 0 && strncmp(argv[0], "--", 2) != 0)
        fprintf(stderr, "connectord: there is no source \"%s\"\n", argv[0]);
    return list_sources();
}

static int list_destinations(void)
{
    fprintf(stderr,
            "usage: connectord destination NAME [--FLAG [VALUE]]..., where NAME is one of:\n");
    for (size_t i = 0; registry_destination_at(i); i++)
        fprintf(stderr, "  %-10s %s\n", registry_destination_at(i)->name,
                registry_destination_at(i)->title);
    return EXIT_USAGE;
}

int cli_destination(const struct cli_call *call)
{
    int argc = call->argc;
    char **argv = call->argv;
    const struct destination_connector *c = argc > 0 ? registry_destination(argv[0]) : NULL;

    if (c && !policies_find_programs(c->name))
        return EXIT_USAGE;
    if (c)
        return connector_main(argc, argv, c);
    if (argc > 0 && strncmp(argv[0], "--", 2) != 0)
        fprintf(stderr, "connectord: there is no destination \"%s\"\n", argv[0]);
    return list_destinations();
}
