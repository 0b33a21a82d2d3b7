#include "server/config.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "connectors/base/egress.h"
#include "connectors/base/text.h"
#include "connectors/singer/program.h"

#define ENV_PREFIX "CONNECTORD_"

/* A file of settings that is larger than this is some other file. */
#define MAX_FILE_BYTES ((size_t)1 << 20)

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
    OPTION(struct settings, bootstrap_token_file, .title = "Bootstrap token", .def = "",
           .help = "A file, or - for standard input, with one more token of scope admin that has "
                   "no end: 32 to 256 visible characters."),
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
    OPTIONS_END,
};
/* clang-format on */

struct loading {
    struct arena *mem;
    struct config *config;
    struct problems *problems;
};

static size_t number_of(const struct option *o)
{
    return (size_t)(o - settings_options);
}

static size_t table_rows(void)
{
    size_t n = 0;

    while (settings_options[n].name)
        n++;
    return n;
}

static void keep(struct loading *l, const struct option *o, struct doc *value, const char *origin)
{
    doc_set(l->config->values, o->name, value);
    l->config->origins[number_of(o)] = origin;
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), k = strlen(end);

    return n >= k && !strcmp(s + n - k, end);
}

/* Whole numbers, and where the name says its unit also "64MiB" and "30s". */
static bool int_of(const char *name, const char *text, int64_t *out)
{
    if (text_to_int64(text, strlen(text), out))
        return true;
    if (ends_with(name, "_bytes"))
        return text_to_bytes(text, out);
    if (ends_with(name, "_ms"))
        return text_to_duration_ms(text, out);
    if (!ends_with(name, "_s") || !text_to_duration_ms(text, out))
        return false;
    *out /= 1000;
    return true;
}

static struct doc *list_of(const char *text)
{
    struct doc *list = doc_new_array();

    while (*text) {
        size_t n = strcspn(text, ",");

        doc_append(list, doc_new_string_n(text, n));
        text += n + (text[n] == ',');
    }
    return list;
}

/* A setting given as text, by the environment or a flag. */
static void take_text(struct loading *l, const struct option *o, const char *text,
                      const char *origin)
{
    bool is_true = !strcmp(text, "true") || !strcmp(text, "1");
    int64_t number;

    switch (o->type) {
    case OPTION_STRING:
        keep(l, o, doc_new_string(text), origin);
        return;
    case OPTION_INT:
        if (int_of(o->name, text, &number))
            keep(l, o, doc_new_int(number), origin);
        else
            problems_add(l->problems, origin, "wrong_type", "expected a whole number, found \"%s\"",
                         text);
        return;
    case OPTION_BOOL:
        if (is_true || !strcmp(text, "false") || !strcmp(text, "0"))
            keep(l, o, doc_new_bool(is_true), origin);
        else
            problems_add(l->problems, origin, "wrong_type", "expected true or false, found \"%s\"",
                         text);
        return;
    case OPTION_LIST:
        keep(l, o, list_of(text), origin);
        return;
    case OPTION_DOC:
        break;
    }
    problems_add(l->problems, origin, "wrong_type", "can only be given in a file");
}

/* ---------------------------------------------------------------------- sources */

static int read_file(const char *path, struct buf *out, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = 0;

    if (fd < 0)
        return error_set_errno(err, errno, "opening \"%s\"", path);
    do {
        char *room = buf_reserve(out, 4096);

        n = room ? read(fd, room, 4096) : 0;
        out->len += n > 0 ? (size_t)n : 0;
    } while (n > 0);
    close(fd);
    if (n < 0)
        return error_set_errno(err, errno, "reading \"%s\"", path);
    return buf_ok(out, "the file of settings", err);
}

static void take_file(struct loading *l, const char *path)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(MAX_FILE_BYTES);
    CLEANUP(doc_free_cleanup) struct doc *d = NULL;
    const char *file = arena_printf(l->mem, "file %s", path);
    struct error err = ERROR_INIT;

    if (read_file(path, &text, &err) < 0 || doc_parse(buf_str(&text), text.len, &d, &err) < 0) {
        problems_add(l->problems, file, "unreadable", "%s", err.message);
        return;
    }
    if (!doc_is(d, DOC_OBJECT)) {
        problems_add(l->problems, file, "wrong_type", "expected an object, found %s",
                     doc_kind_name(doc_kind(d)));
        return;
    }
    for (const struct doc_member *it = doc_first(d); it; it = doc_next(d, it)) {
        const struct option *o = option_find(settings_options, doc_member_key(it));
        const char *origin = arena_printf(l->mem, "%s: /%s", file, doc_member_key(it));

        if (o)
            keep(l, o, doc_copy(doc_member_value(it)), origin);
        else
            problems_add(l->problems, origin, "unknown_field", "there is no such setting");
    }
}

/*
 * Kubernetes describes a service named connectord in variables like the first two; the others are
 * the tests' own. None of them is a setting.
 */
static bool is_foreign(const char *name)
{
    static const char *const prefixes[] = {"PORT",     "SERVICE_", "FAILPOINT", "BIN",
                                           "FIXTURES", "GOLDEN",   "RELEASE",   "TEST_"};

    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        if (text_starts_with(name, prefixes[i]))
            return true;
    }
    return false;
}

static void take_environment(struct loading *l)
{
    for (char **e = environ; *e; e++) {
        const char *equals = strchr(*e, '=');
        const struct option *o;
        const char *origin;
        char *name;

        if (!equals || !text_starts_with(*e, ENV_PREFIX))
            continue;
        name = arena_memdup(l->mem, *e + strlen(ENV_PREFIX),
                            (size_t)(equals - *e) - strlen(ENV_PREFIX));
        if (is_foreign(name) || !strcmp(name, "CONFIG"))
            continue;
        origin = arena_printf(l->mem, "environment " ENV_PREFIX "%s", name);
        for (char *c = name; *c; c++)
            *c = (char)tolower((unsigned char)*c);
        o = option_find(settings_options, name);
        if (o)
            take_text(l, o, equals + 1, origin);
        else
            problems_add(l->problems, origin, "unknown_field", "there is no such setting");
    }
}

/* One flag of the command line, "--name=value" or "--name value". */
struct flag {
    const char *shown; /* "--log-level" */
    char *name;        /* "log_level" */
    const char *value; /* NULL = missing */
};

static bool next_flag(struct arena *mem, int argc, char *const *argv, int *i, struct flag *out)
{
    const char *word = argv[(*i)++];
    size_t n;

    if (!text_starts_with(word, "--"))
        return false;
    n = strcspn(word, "=");
    out->shown = arena_memdup(mem, word, n);
    out->name = arena_memdup(mem, word + 2, n - 2);
    for (char *c = out->name; *c; c++)
        *c = *c == '-' ? '_' : *c;
    out->value = word[n] == '=' ? word + n + 1 : NULL;
    if (!out->value && *i < argc)
        out->value = argv[(*i)++];
    return true;
}

static void take_flags(struct loading *l, int argc, char *const *argv)
{
    struct flag f;

    for (int i = 0; i < argc;) {
        const char *word = argv[i];
        const struct option *o;
        const char *origin;

        if (!next_flag(l->mem, argc, argv, &i, &f)) {
            problems_add(l->problems, word, "unknown_field", "expected a flag such as --listen");
            continue;
        }
        origin = arena_printf(l->mem, "flag %s", f.shown);
        o = option_find(settings_options, f.name);
        if (!o && strcmp(f.name, "config") != 0)
            problems_add(l->problems, origin, "unknown_field", "there is no such setting");
        else if (!f.value)
            problems_add(l->problems, origin, "required", "a value is missing");
        else if (o)
            take_text(l, o, f.value, origin);
    }
}

static const char *config_path(struct arena *mem, int argc, char *const *argv)
{
    const char *path = getenv(ENV_PREFIX "CONFIG");
    struct flag f;

    for (int i = 0; i < argc;) {
        if (next_flag(mem, argc, argv, &i, &f) && !strcmp(f.name, "config"))
            path = f.value;
    }
    return path;
}

/* ------------------------------------------------------------------- the whole */

/* An address to listen at; "" before the colon is every address. */
struct place {
    bool is_v6;
    struct in6_addr v6;
    struct in_addr v4;
};

static bool read_place(const char *listen, struct place *out)
{
    const char *colon = strrchr(listen, ':');
    char host[INET6_ADDRSTRLEN + 2];
    int64_t port;
    size_t n;

    *out = (struct place){0};
    if (!colon || (size_t)(colon - listen) >= sizeof host)
        return false;
    n = (size_t)(colon - listen);
    memcpy(host, listen, n);
    host[n] = '\0';
    if (!text_to_int64(colon + 1, strlen(colon + 1), &port) || port < 0 || port > 65535)
        return false;
    if (n > 2 && host[0] == '[' && host[n - 1] == ']') {
        host[n - 1] = '\0';
        out->is_v6 = true;
        return inet_pton(AF_INET6, host + 1, &out->v6) == 1;
    }
    return n == 0 || inet_pton(AF_INET, host, &out->v4) == 1;
}

bool config_is_address(const char *listen)
{
    struct place p;

    return read_place(listen, &p);
}

const char *config_environment(const char *name)
{
    return getenv(name);
}

bool config_is_loopback(const char *listen)
{
    struct place p;

    if (!read_place(listen, &p))
        return false;
    return p.is_v6 ? IN6_IS_ADDR_LOOPBACK(&p.v6) : ntohl(p.v4.s_addr) >> 24 == 127;
}

/* "/egress_deny/0": where the setting came from, and which part of it. */
static const char *place_of(const struct loading *l, const char *pointer)
{
    size_t n = *pointer ? 1 + strcspn(pointer + 1, "/") : 0;
    const struct option *o =
        n ? option_find(settings_options, arena_printf(l->mem, "%.*s", (int)n - 1, pointer + 1))
          : NULL;

    return o ? arena_printf(l->mem, "%s%s", l->config->origins[number_of(o)], pointer + n)
             : pointer;
}

/* Problems of the table, whose pointers name the setting, get the place it came from. */
static void decode(struct loading *l)
{
    struct problems found = PROBLEMS_INIT(l->mem);

    (void)options_decode(settings_options, l->config->values, "", &l->config->settings, l->mem,
                         &found);
    for (size_t i = 0; i < found.n; i++) {
        const struct problem *p = &found.items[i];

        problems_add(l->problems, place_of(l, p->pointer), p->code, "%s", p->message);
    }
}

const char *config_origin(const struct config *c, const char *setting)
{
    return c->origins[number_of(option_find(settings_options, setting))];
}

bool config_is_same(const struct config *a, const struct config *b, const struct option *o)
{
    CLEANUP(buf_release) struct buf x = BUF_INIT(1 << 20), y = BUF_INIT(1 << 20);
    const struct doc *left = doc_get(a->values, o->name), *right = doc_get(b->values, o->name);

    if (left)
        doc_write(left, &x);
    if (right)
        doc_write(right, &y);
    return !strcmp(buf_str(&x), buf_str(&y));
}

static void check_rules(struct loading *l, const char *name, const struct string_list *rules)
{
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < rules->n; i++) {
        err = ERROR_INIT;
        /* One that is no string is a problem already. */
        if (rules->items[i] && egress_check_rule(rules->items[i], &err) < 0)
            problems_add(l->problems, config_origin(l->config, name), "invalid", "%s", err.message);
    }
}

static void check(struct loading *l)
{
    const struct settings *s = &l->config->settings;

    check_rules(l, "egress_allow", &s->egress_allow);
    check_rules(l, "egress_deny", &s->egress_deny);
    if (s->listen && !config_is_address(s->listen))
        problems_add(l->problems, config_origin(l->config, "listen"), "invalid",
                     "expected a numeric address and a port such as 127.0.0.1:8080, found \"%s\"",
                     s->listen);
    if (s->base_path && *s->base_path && (*s->base_path != '/' || ends_with(s->base_path, "/")))
        problems_add(l->problems, config_origin(l->config, "base_path"), "invalid",
                     "expected a path such as /connectord, found \"%s\"", s->base_path);
    if (s->admin_listen && *s->admin_listen && !config_is_address(s->admin_listen))
        problems_add(l->problems, config_origin(l->config, "admin_listen"), "invalid",
                     "expected a numeric address and a port such as 127.0.0.1:9090, found \"%s\"",
                     s->admin_listen);
}

bool config_load(int argc, char *const *argv, struct arena *mem, struct config *out,
                 struct problems *problems)
{
    struct loading l = {.mem = mem, .config = out, .problems = problems};
    size_t n = table_rows(), before = problems->n;
    const char *path = config_path(mem, argc, argv);

    *out = (struct config){.origins = arena_array(mem, n, sizeof *out->origins),
                           .values = doc_new_object(),
                           .argc = argc,
                           .argv = argv};
    for (size_t i = 0; i < n; i++)
        out->origins[i] = "default";
    if (path)
        take_file(&l, path);
    take_environment(&l);
    take_flags(&l, argc, argv);
    decode(&l);
    check(&l);
    return problems->n == before;
}

void config_release(struct config *c)
{
    doc_free(c->values);
    c->values = NULL;
}

const char *config_value(const struct config *c, const struct option *o, struct arena *mem)
{
    CLEANUP(buf_release) struct buf b = BUF_INIT(1 << 20);
    struct doc *all;

    if (o->flags & OPTION_SECRET)
        return strcmp(config_origin(c, o->name), "default") != 0 ? "\"***\"" : "\"\"";
    all = options_normalized(settings_options, c->values);
    if (doc_get(all, o->name))
        doc_write(doc_get(all, o->name), &b);
    else
        buf_puts(&b, "[]");
    doc_free(all);
    return arena_strdup(mem, buf_str(&b));
}

void config_print(const struct config *c, struct buf *out)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();

    for (const struct option *o = settings_options; o->name; o++)
        buf_printf(out, "%s = %s  # %s\n", o->name, config_value(c, o, mem),
                   config_origin(c, o->name));
}

void config_help(struct buf *out)
{
    for (const struct option *o = settings_options; o->name; o++) {
        buf_puts(out, "  --");
        for (const char *c = o->name; *c; c++)
            buf_putc(out, *c == '_' ? '-' : *c);
        buf_printf(out, " (%s)\n      %s\n", o->def && *o->def ? o->def : "empty", o->help);
    }
}
