/*
 * connectord: the table of its subcommands, and what they share.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "connectors/base/arena.h"
#include "connectors/singer/supervise.h"
#include "connectors/sql/mysql.h"
#include "connectors/sql/postgres.h"
#include "connectors/sql/sqlite.h"
#include "server/cli.h"

int cli_fail(const struct error *err, const char *what)
{
    fprintf(stderr, "connectord: %s: %s\n", what, err->message);
    if (err->reason && !strcmp(err->reason, "store_in_use"))
        return EXIT_STORE_IN_USE;
    if (err->reason &&
        (!strcmp(err->reason, "store_newer") || !strcmp(err->reason, "store_corrupt") ||
         !strcmp(err->reason, "keyring_mismatch") || !strcmp(err->reason, "keyring_missing")))
        return EXIT_STORE_REFUSED;
    if (err->reason && !strcmp(err->reason, "token_required"))
        return EXIT_USAGE;
    return EXIT_RUNTIME;
}

void cli_print_problems(const char *what, const struct problems *problems)
{
    fprintf(stderr, "connectord: %s:\n", what);
    for (size_t i = 0; i < problems->n; i++) {
        const struct problem *p = &problems->items[i];

        fprintf(stderr, "  %s: %s (%s)\n", *p->pointer ? p->pointer : "(the whole)", p->message,
                p->code);
    }
    if (problems->dropped > 0)
        fprintf(stderr, "  and %zu more\n", problems->dropped);
}

static int config_print_all(const struct cli_call *call)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT(1 << 20);

    config_print(call->config, &out);
    fputs(buf_str(&out), stdout);
    return EXIT_OK;
}

static int version(const struct cli_call *call)
{
    (void)call;
    puts("connectord " CONNECTORD_VERSION);
    return EXIT_OK;
}

static cli_command help;

enum settings_use {
    WITH_SETTINGS, /* loaded from file, environment and the flags behind the operands */
    WITH_SECRETS,  /* the same, with what stands in files of its own */
    NO_SETTINGS,   /* operands and nothing else */
    OWN_WORDS,     /* reads all its words itself, --help included */
};

/* clang-format off */
static const struct command {
    const char *name;     /* one or two words */
    const char *operands; /* as many words have to follow, but for OWN_WORDS */
    cli_command *run;
    enum settings_use settings;
    const char *help;
    const char *flag; /* one that takes no value, or NULL */
} commands[] = {
    {"serve", "", cli_serve, WITH_SECRETS,
     "run the service", NULL},
    {"sync", "FILE", cli_sync, NO_SETTINGS,
     "run one connection described in a JSON or YAML file, without a server; exit status 0\n"
     "succeeded, 1 failed, 2 cancelled, 3 succeeded but for rows or cells that went to\n"
     "quarantine, 64 the file is wrong", NULL},
    {"source", "NAME [--FLAG [VALUE]]...", cli_source, OWN_WORDS,
     "run a built-in source as a Singer tap; --help after NAME shows its flags", NULL},
    {"destination", "NAME [--FLAG [VALUE]]...", cli_destination, OWN_WORDS,
     "run a built-in destination as a Singer target; the same", NULL},
    {"new", "source|destination NAME [FOLDER]", cli_new, OWN_WORDS,
     "write the project of a connector of your own, in C", NULL},
    {"config print", "", config_print_all, WITH_SETTINGS,
     "show every setting and where it comes from", NULL},
    {"egress explain", "HOST PORT", cli_egress_explain, WITH_SETTINGS,
     "whether connectors may connect there, and which rule decides; exit status 1 when they\n"
     "may not", NULL},
    {"backup", "FILE", cli_backup, WITH_SETTINGS,
     "copy the store of the data directory to a file, also while the service runs", NULL},
    {"restore", "FILE", cli_restore, WITH_SETTINGS,
     "make the store of the data directory, which must have none, of a backup;\n"
     "with --verify only say whether the backup is whole", "--verify"},
    {"token create", "NAME SCOPE DURATION", cli_token_create, WITH_SETTINGS,
     "make an access token of scope read, run, write or admin, each of which includes those\n"
     "before it, valid for a time such as 90d; it is shown this once", NULL},
    {"token list", "", cli_token_list, WITH_SETTINGS,
     "show the tokens there are: id, scope, end, last use, name", NULL},
    {"token revoke", "ID", cli_token_revoke, WITH_SETTINGS,
     "end a token; a running service knows within a second", NULL},
    {"keys create", "", cli_keys_create, WITH_SETTINGS,
     "make a key ring where the setting key_file says", NULL},
    {"keys list", "", cli_keys_list, WITH_SETTINGS,
     "show the ids of the keys in the ring", NULL},
    {"keys rotate", "", cli_keys_rotate, WITH_SETTINGS,
     "seal every secret under a new key and forget the old ones; not while the service runs", NULL},
    {"health", "", cli_health, WITH_SETTINGS,
     "exit status 0 when the service at the configured address is ready", NULL},
    {"version", "", version, NO_SETTINGS,
     "show the version", NULL},
    {"help", "", help, NO_SETTINGS,
     "show this, and every setting", NULL},
};
/* clang-format on */

#define N_COMMANDS (sizeof commands / sizeof *commands)

static void put_indented(FILE *to, const char *text)
{
    for (const char *line = text; *line;) {
        size_t n = strcspn(line, "\n");

        fprintf(to, "      %.*s\n", (int)n, line);
        line += n + (line[n] == '\n');
    }
}

static void put_usage(FILE *to)
{
    fputs("usage: connectord COMMAND [--SETTING VALUE]...\n\n", to);
    for (size_t i = 0; i < N_COMMANDS; i++) {
        const struct command *c = &commands[i];

        fprintf(to, "  %s%s%s", c->name, *c->operands ? " " : "", c->operands);
        if (c->flag)
            fprintf(to, " [%s]", c->flag);
        fputc('\n', to);
        put_indented(to, c->help);
    }
    fputs(
        "\nExit status: 0 done, 1 failed, 2 wrong settings or arguments, 3 the store is damaged\n"
        "or of a newer version, 4 another process uses the data directory, 70 a broken invariant\n"
        "or no memory.\n\n"
        "Settings come from --config FILE (JSON), from the environment (CONNECTORD_ and the name\n"
        "in capitals), and from flags; the later wins.\n\n",
        to);
}

static int help(const struct cli_call *call)
{
    CLEANUP(buf_release) struct buf settings = BUF_INIT(1 << 20);

    (void)call;
    config_help(&settings);
    put_usage(stdout);
    fputs(buf_str(&settings), stdout);
    return EXIT_OK;
}

/* Takes the flag of the command out of its words. */
static bool take_flag(const struct command *c, int *argc, char **argv)
{
    int n = 0, given = *argc;

    for (int i = 0; i < given; i++) {
        if (!c->flag || strcmp(argv[i], c->flag) != 0)
            argv[n++] = argv[i];
    }
    *argc = n;
    return n < given;
}

static int run_with_settings(const struct command *c, int argc, char **argv, int n_operands,
                             bool flagged)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    struct problems problems = PROBLEMS_INIT(mem);
    struct config config;
    int status = EXIT_USAGE;
    enum config_secrets secrets = c->settings == WITH_SECRETS ? SECRETS_READ : SECRETS_UNREAD;
    struct cli_call call = {
        .config = &config, .flagged = flagged, .argc = n_operands, .argv = argv};

    if (config_load(argc - n_operands, argv + n_operands, secrets, mem, &config, &problems))
        status = c->run(&call);
    else
        cli_print_problems("the settings are wrong", &problems);
    config_release(&config);
    return status;
}

/* How many words there are in a text that separates them by one blank. */
static int count_words(const char *text)
{
    int n = *text != '\0';

    for (; *text; text++)
        n += *text == ' ';
    return n;
}

/* As many words of argv as the name has, or 0 when they say something else. */
static int match(const char *name, int argc, char **argv)
{
    int n = count_words(name);

    for (int i = 0; i < n; i++) {
        size_t length = strcspn(name, " ");

        if (i >= argc || strlen(argv[i]) != length || strncmp(name, argv[i], length) != 0)
            return 0;
        name += length + (name[length] == ' ');
    }
    return n;
}

static bool is_operand(const char *word)
{
    return strncmp(word, "--", 2) != 0;
}

/* `argv` begins behind the name. */
static int run_command(const struct command *c, int argc, char **argv)
{
    int wanted = count_words(c->operands), given = 0;
    bool flagged;

    if (c->settings == OWN_WORDS)
        return c->run(&(struct cli_call){.argc = argc, .argv = argv});
    flagged = take_flag(c, &argc, argv);
    while (given < argc && is_operand(argv[given]))
        given++;
    if (given == wanted && c->settings != NO_SETTINGS)
        return run_with_settings(c, argc, argv, given, flagged);
    if (given == wanted && given == argc)
        return c->run(&(struct cli_call){.argc = argc, .argv = argv});
    put_usage(stderr);
    return EXIT_USAGE;
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
            return true;
    }
    return false;
}

/* What was wrong has been said. An exit status of its own, where a signal would be taken for
 * somebody's kill. */
static void end_aborted(int number)
{
    (void)number;
    _exit(EXIT_ABORTED);
}

int main(int argc, char **argv)
{
    signal(SIGABRT, end_aborted);
    supervise_if_asked(argc, argv);
    postgres_forget_environment();
    mysql_forget_environment();
    sqlite_forget_uris();
    argc--;
    argv++;
    for (size_t i = 0; i < N_COMMANDS; i++) {
        int n = match(commands[i].name, argc, argv);

        if (n > 0 && (commands[i].settings == OWN_WORDS || !asks_for_help(argc, argv)))
            return run_command(&commands[i], argc - n, argv + n);
    }
    if (asks_for_help(argc, argv))
        return help(NULL);
    if (argc == 1 && !strcmp(argv[0], "--version"))
        return version(NULL);
    put_usage(stderr);
    return EXIT_USAGE;
}
