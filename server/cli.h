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
    EXIT_ABORTED = 70,    /* it found itself broken, or memory was exhausted */
    EXIT_QUARANTINED = 3, /* of sync: succeeded, but not everything could be stored as it was */
    EXIT_BAD_FILE = 64,   /* of sync, where 1 and 2 say how the run ended */
};

/* What stands behind the name of a subcommand. */
struct cli_call {
    const struct config *config; /* NULL for a command without settings */
    bool flagged;                /* the flag of its row was given */
    int argc;
    char **argv; /* its operands; of a command that reads its own words, all of them */
};
/* A subcommand, which is a row of the table in main.c: returns the exit status. */
typedef int cli_command(const struct cli_call *call);

/* Runs the service until a signal ends it. */
cli_command cli_serve;
/* Runs the connection described in a file: 0 succeeded, 1 failed, 2 cancelled, and the two above.
 */
cli_command cli_sync;
/* `connectord source NAME --FLAGS`: a built-in connector as a Singer tap, and as a target. */
cli_command cli_source, cli_destination;
/* `connectord new source|destination NAME [FOLDER]`: writes a project to begin with. */
cli_command cli_new;
/* Copies the store while it is in use, and makes a store of a copy. */
cli_command cli_backup, cli_restore;
/* Access tokens, also while the service runs; the keys that secrets are sealed under. */
cli_command cli_token_create, cli_token_list, cli_token_revoke;
cli_command cli_keys_create, cli_keys_list, cli_keys_rotate;
/* Asks the service at the configured address whether it is ready. */
cli_command cli_health;

/* Resolves the host and prints what the policy of this process says about each address. */
cli_command cli_egress_explain;

/* Says what failed on standard error and returns the exit status of such a failure. */
int cli_fail(const struct error *err, const char *what);
/* One line each on standard error. */
void cli_print_problems(const char *what, const struct problems *problems);

#endif
