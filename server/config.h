/*
 * config.h - the service's own settings: one option table, four places they may come from.
 *
 * Default, then the JSON file named by --config, then the environment (CONNECTORD_<NAME>), then a
 * flag (--name VALUE, with - for _): the later wins. All mistakes are reported at once, each with
 * the place it stands in. Built once by main, const afterwards.
 *
 * A setting that is a secret (OPTION_SECRET) is named with _file behind its name, for the file that
 * holds it, or stands itself in a file of settings that not everybody may read; never in the
 * environment or a flag, where others see it. Both at once is a mistake.
 */
#ifndef SERVER_CONFIG_H
#define SERVER_CONFIG_H

#include "connectors/option.h"

struct settings {
    const char *listen, *admin_listen, *data, *base_path, *log_level;
    const char *key_file, *bootstrap_token;
    struct string_list trusted_proxies, secret_references;
    int64_t workers, short_workers, memory_budget_bytes, max_parallel_streams;
    int64_t http_threads, max_connections;
    int64_t header_timeout_ms, body_timeout_ms, idle_timeout_ms, write_timeout_ms;
    int64_t max_body_bytes, max_big_body_bytes;
    bool require_if_match;
    int64_t check_timeout_s, discover_timeout_s, sample_timeout_s, count_timeout_s;
    int64_t cancel_grace_ms, drain_delay_ms, shutdown_grace_ms;
    int64_t log_max_age_s, log_max_bytes, run_max_age_s, min_free_bytes;
    bool metrics_per_connection;
    struct string_list egress_allow, egress_deny, file_roots;
    const struct doc *exec; /* see connectors/singer/program.h; NULL = no programs */
};

extern const struct option settings_options[];

/* The file of a secret; NULL = not given so. */
struct secret_file {
    const char *path, *origin;
};

/* What was loaded, and from where. */
struct config {
    struct settings settings;
    struct secret_file *files; /* one for each row of the table */
    const char **origins;      /* one for each row of the table */
    struct doc *values;        /* what was given, without defaults */
    int argc;                  /* as given to config_load, to load them again */
    char *const *argv;
};

/* Who only wants to know what is set opens no file of a secret; its setting stays NULL. */
enum config_secrets { SECRETS_UNREAD, SECRETS_READ };

/*
 * `argv` are the words behind the subcommand; nothing but settings and --config FILE may stand
 * there. False when there are problems; their pointers say where ("environment CONNECTORD_LISTEN").
 */
bool config_load(int argc, char *const *argv, enum config_secrets secrets, struct arena *mem,
                 struct config *out, struct problems *problems);
void config_release(struct config *c);

const char *config_origin(const struct config *c, const char *setting);
/* Whether both say the same of this setting. */
bool config_is_same(const struct config *a, const struct config *b, const struct option *o);

/* Its effective value as JSON, "***" for a secret. */
const char *config_value(const struct config *c, const struct option *o, struct arena *mem);
/* One line for each setting: its value as JSON, and the origin. */
void config_print(const struct config *c, struct buf *out);
/* --help: one paragraph for each setting. */
void config_help(struct buf *out);

/* A variable of the environment, or NULL. Before threads are started. */
const char *config_environment(const char *name);

/* True for 127.0.0.0/8, ::1 and localhost with a port, the only addresses that are safe without
 * tokens. */
bool config_is_loopback(const char *listen);
/* True for a numeric address and a port: "127.0.0.1:80", "[::1]:0", "0.0.0.0:9090", ":9090". */
bool config_is_address(const char *listen);

#endif
