#include "server/config.h"

#include "connectors/singer/program.h"

static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};

/* clang-format off */
const struct option settings_options[] = {
    OPTION(struct settings, listen, .title = "Address", .def = "127.0.0.1:8080",
           .help = "Address and port of the HTTP interface; port 0 picks a free one. On "
                   "another address than a loopback one the service starts only when there is an "
                   "access token."),
    OPTION(struct settings, admin_listen, .title = "Operator's address", .def = "",
           .help = "Address and port for /livez, /readyz, /startupz, /healthz and /metrics, which are "
                   "then answered there, without tokens, and nowhere else; empty = at the address of the API."),
    OPTION(struct settings, data, .title = "Data directory", .def = "./data", .min = 1, .max = 4000,
           .help = "Where the store and the logs of runs live."),
    OPTION(struct settings, base_path, .title = "Base path", .def = "", .max = 200,
           .help = "Put in front of every route, such as /connectord."),
    OPTION(struct settings, key_file, .title = "Key ring", .def = "",
           .help = "The file with the keys that secrets are sealed under. Without one, keyring.json "
                   "in the data directory is used, and made when there is none; keep it on another "
                   "volume than the data."),
    OPTION(struct settings, bootstrap_token, .title = "Bootstrap token", .flags = OPTION_SECRET,
           .min = 32, .max = 256,
           .help = "One more token of scope admin that has no end: 32 to 256 visible characters."),
    OPTION(struct settings, trusted_proxies, .title = "Trusted proxies",
           .help = "Addresses or ranges such as 10.0.0.0/8 of gateways whose X-Forwarded-For says "
                   "where a request comes from."),
    OPTION(struct settings, secret_references, .title = "References to secrets",
           .help = "What a secret setting may refer to: env:NAME for ${env:NAME}, file:/path for "
                   "${file:/path}."),
    OPTION(struct settings, log_level, .title = "Log level", .def = "info", .choices = log_levels,
           .help = "The least level of the service's own log lines on standard output."),
    OPTION(struct settings, workers, .title = "Workers", .def = "4", .min = 1, .max = 64,
           .help = "Syncs that run at the same time."),
    OPTION(struct settings, short_workers, .title = "Short workers", .def = "2", .min = 1,
           .max = 64, .help = "Checks, discoveries, samples and counts at the same time."),
    OPTION(struct settings, memory_budget_bytes, .title = "Memory budget", .def = "16777216",
           .min = 1 << 20, .max = (int64_t)1 << 34,
           .help = "Bytes a running sync may hold; a quarter of them between reader and writer."),
    OPTION(struct settings, max_parallel_streams, .title = "Parallel streams", .def = "4",
           .min = 1, .max = 16,
           .help = "Streams that one sync may move at the same time, whatever its connection says; "
                   "each takes a connection to both sides and up to 8 MiB of memory."),
    OPTION(struct settings, http_threads, .title = "HTTP threads", .def = "2", .min = 1, .max = 64,
           .help = "Threads that serve requests."),
    OPTION(struct settings, max_connections, .title = "Connections", .def = "12000", .min = 10,
           .max = 100000, .help = "Open HTTP connections at the same time."),
    OPTION(struct settings, header_timeout_ms, .title = "Header time limit", .def = "10000",
           .min = 100, .max = 600000, .help = "Milliseconds for the head of a request."),
    OPTION(struct settings, body_timeout_ms, .title = "Body time limit", .def = "30000",
           .min = 100, .max = 3600000, .help = "Milliseconds for the body of a request."),
    OPTION(struct settings, idle_timeout_ms, .title = "Idle time limit", .def = "75000",
           .min = 100, .max = 3600000, .help = "Milliseconds between two requests."),
    OPTION(struct settings, write_timeout_ms, .title = "Write time limit", .def = "60000",
           .min = 100, .max = 3600000,
           .help = "Milliseconds that a client may take nothing of its answer."),
    OPTION(struct settings, max_body_bytes, .title = "Body", .def = "1048576", .min = 1024,
           .max = (int64_t)1 << 26, .help = "Bytes of a request body."),
    OPTION(struct settings, max_big_body_bytes, .title = "Big body", .def = "8388608", .min = 1024,
           .max = (int64_t)1 << 26, .help = "Bytes of a request body with a catalog in it."),
    OPTION(struct settings, require_if_match, .title = "Demand If-Match", .def = "false",
           .help = "Refuse changes that do not name the revision they change."),
    OPTION(struct settings, check_timeout_s, .title = "Check time limit", .def = "60", .min = 1,
           .max = 3600, .help = "Seconds."),
    OPTION(struct settings, discover_timeout_s, .title = "Discovery time limit", .def = "300",
           .min = 1, .max = 86400, .help = "Seconds."),
    OPTION(struct settings, sample_timeout_s, .title = "Sample time limit", .def = "60", .min = 1,
           .max = 3600, .help = "Seconds."),
    OPTION(struct settings, count_timeout_s, .title = "Count time limit", .def = "60", .min = 1,
           .max = 86400, .help = "Seconds, unless the request says otherwise."),
    OPTION(struct settings, cancel_grace_ms, .title = "Grace of a cancellation", .def = "10000",
           .min = 0, .max = 600000,
           .help = "Milliseconds after which a cancelled run that goes on is warned about."),
    OPTION(struct settings, drain_delay_ms, .title = "Drain delay", .def = "-1", .min = -1,
           .max = 60000,
           .help = "Milliseconds at shutdown in which readiness is off and requests are still "
                   "served, for load balancers to notice; -1 = 5000, but 0 on a loopback address."),
    OPTION(struct settings, shutdown_grace_ms, .title = "Grace of a shutdown", .def = "10000",
           .min = 0, .max = 600000,
           .help = "Milliseconds that active runs get to stop at their last checkpoint."),
    OPTION(struct settings, log_max_age_s, .title = "Age of logs", .def = "2592000", .min = 0,
           .max = 315360000, .help = "Seconds that the log of a run is kept; 0 = for ever."),
    OPTION(struct settings, log_max_bytes, .title = "Size of logs", .def = "1073741824", .min = 0,
           .max = (int64_t)1 << 44,
           .help = "Bytes of all logs together, the oldest go first; 0 = without limit."),
    OPTION(struct settings, run_max_age_s, .title = "Age of runs", .def = "7776000", .min = 0,
           .max = 315360000,
           .help = "Seconds that a finished run stays in the history; 0 = for ever."),
    OPTION(struct settings, egress_allow, .title = "Allowed addresses",
           .help = "Where connectors may connect to: networks (10.0.0.0/8), host names "
                   "(db.example.com, *.example.com), \"public\" or \"private\", each with :PORT if "
                   "it is for one port only. Without any, everything but what egress_deny names; "
                   "with one, nothing else. Link-local and metadata addresses are never allowed, and "
                   "loopback ones when the service listens elsewhere, unless one is named here."),
    OPTION(struct settings, egress_deny, .title = "Denied addresses",
           .help = "Where connectors may not connect to, in the form of egress_allow; wins over it. "
                   "\"private\" closes all private networks."),
    OPTION(struct settings, exec, .title = "Programs", .check = programs_check, .schema = programs_schema,
           .help = "The Singer taps and targets that the connectors called singer may run, such as "
                   "{\"enabled\": true, \"programs\": [{\"name\": \"tap-x\", \"path\": "
                   "\"/opt/tap-x/bin/tap-x\", \"args\": []}]}. Further members of a program: sha256, "
                   "memory_bytes, files, processes, file_bytes, config_schema. Only in a file."),
    OPTION(struct settings, file_roots, .title = "Folders",
           .help = "Absolute paths of the folders that connectors may read and write files in; links "
                   "are not followed there. Without any, every path that the service's user may use "
                   "while the service listens on loopback, and none when it listens elsewhere. The "
                   "data directory is never open to connectors."),
    OPTION(struct settings, min_free_bytes, .title = "Least free space", .def = "67108864", .min = 0,
           .max = (int64_t)1 << 44,
           .help = "Bytes that must be free where the data directory is; with less, readiness is off."),
    OPTION(struct settings, metrics_per_connection, .title = "Metrics per connection", .def = "false",
           .help = "Four more series in /metrics for each connection, by its name: rows, bytes, last "
                   "success, last duration. Of the oldest 1,000 connections."),
    OPTIONS_END,
};
/* clang-format on */
