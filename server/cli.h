/*
 * cli.h - the subcommands of the program that are not the service.
 */
#ifndef SERVER_CLI_H
#define SERVER_CLI_H

#include "connectors/base/problem.h"
#include "server/config.h"

/* What the process ends with. */
enum exit_code {
    EXIT_OK = 0,
    EXIT_RUNTIME = 1,
    EXIT_USAGE = 2,         /* wrong settings or arguments */
    EXIT_STORE_REFUSED = 3, /* damaged, or written by a newer version */
    EXIT_STORE_IN_USE = 4,
    EXIT_QUARANTINED = 3, /* of sync: succeeded, but not everything could be stored as it was */
    EXIT_BAD_FILE = 64,   /* of sync, where 1 and 2 say how the run ended */
};

/* Runs the connection described in a file: 0 succeeded, 1 failed, 2 cancelled, and the two above.
 */
int cli_sync(const char *path);
/* `connectord source NAME --FLAGS`: a built-in connector as a Singer tap; argv[0] is NAME. */
int cli_source(int argc, char **argv);
/* `connectord destination NAME --FLAGS`: a built-in connector as a Singer target. */
int cli_destination(int argc, char **argv);
/* Asks the service at the configured address whether it is ready. */
int cli_health(const struct settings *settings);

/* Resolves the host and prints what the policy of this process says about each address. */
int cli_egress_explain(const char *host, const char *port);

/* One line each on standard error. */
void cli_print_problems(const char *what, const struct problems *problems);

#endif
