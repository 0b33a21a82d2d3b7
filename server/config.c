#include "server/config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "connectors/base/egress.h"
#include "connectors/base/text.h"
#include "server/http/cidr.h"
#include "server/secrets/references.h"
#include "server/secrets/secretfile.h"

#define ENV_PREFIX "CONNECTORD_"

/* A file of settings that is larger than this is some other file. */
#define MAX_FILE_BYTES ((size_t)1 << 20)

/* Of a file with one secret in it. */
#define MAX_SECRET_BYTES 4096

#define FILE_FORM "_file"

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

/* How a setting may be named: itself, or a secret by the file that it stands in. */
struct named {
    const struct option *option; /* NULL = there is no such setting */
    bool is_file;
};

static struct named find_named(struct arena *mem, const char *name)
{
    struct named n = {.option = option_find(settings_options, name)};

    if (n.option || !ends_with(name, FILE_FORM))
        return n;
    n.option =
        option_find(settings_options, arena_memdup(mem, name, strlen(name) - strlen(FILE_FORM)));
    n.is_file = true;
    if (n.option && !(n.option->flags & OPTION_SECRET))
        n.option = NULL;
    return n;
}

static void keep_file(struct loading *l, const struct option *o, const char *path,
                      const char *origin)
{
    l->config->files[number_of(o)] = (struct secret_file){arena_strdup(l->mem, path), origin};
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

/* The same for a setting of either name. A secret itself would be seen by whoever looks at the
 * processes of the machine. */
static void take_named(struct loading *l, struct named n, const char *text, const char *origin)
{
    if (n.is_file)
        keep_file(l, n.option, text, origin);
    else if (n.option->flags & OPTION_SECRET)
        problems_add(l->problems, origin, "exposed",
                     "a secret is not given so: name a file with %s" FILE_FORM, n.option->name);
    else
        take_text(l, n.option, text, origin);
}

/* ---------------------------------------------------------------------- sources */

static int read_file(const char *path, struct buf *out, bool *out_exposed, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    ssize_t n = 0;

    if (fd < 0)
        return error_set_errno(err, errno, "opening \"%s\"", path);
    *out_exposed = fstat(fd, &st) < 0 || (st.st_mode & (S_IROTH | S_IWOTH));
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

static void take_member(struct loading *l, const char *name, const struct doc *value, bool exposed,
                        const char *origin)
{
    struct named n = find_named(l->mem, name);

    if (!n.option)
        problems_add(l->problems, origin, "unknown_field", "there is no such setting");
    else if (n.is_file && !doc_is(value, DOC_STRING))
        problems_add(l->problems, origin, "wrong_type", "expected a path, found %s",
                     doc_kind_name(doc_kind(value)));
    else if (n.is_file)
        keep_file(l, n.option, doc_string(value, ""), origin);
    else if ((n.option->flags & OPTION_SECRET) && exposed)
        problems_add(l->problems, origin, "exposed",
                     "this file is readable or writable by everybody: chmod 0600 it, or name "
                     "another file with %s" FILE_FORM,
                     name);
    else
        keep(l, n.option, doc_copy(value), origin);
}

static void take_file(struct loading *l, const char *path)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(MAX_FILE_BYTES);
    CLEANUP(doc_free_cleanup) struct doc *d = NULL;
    const char *file = arena_printf(l->mem, "file %s", path);
    struct error err = ERROR_INIT;
    bool exposed;

    if (read_file(path, &text, &exposed, &err) < 0 ||
        doc_parse(buf_str(&text), text.len, &d, &err) < 0) {
        problems_add(l->problems, file, "unreadable", "%s", err.message);
        return;
    }
    if (!doc_is(d, DOC_OBJECT)) {
        problems_add(l->problems, file, "wrong_type", "expected an object, found %s",
                     doc_kind_name(doc_kind(d)));
        return;
    }
    for (const struct doc_member *it = doc_first(d); it; it = doc_next(d, it))
        take_member(l, doc_member_key(it), doc_member_value(it), exposed,
                    arena_printf(l->mem, "%s: /%s", file, doc_member_key(it)));
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
        const char *origin;
        struct named n;
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
        n = find_named(l->mem, name);
        if (n.option)
            take_named(l, n, equals + 1, origin);
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
        const char *origin;
        struct named n;

        if (!next_flag(l->mem, argc, argv, &i, &f)) {
            problems_add(l->problems, word, "unknown_field", "expected a flag such as --listen");
            continue;
        }
        origin = arena_printf(l->mem, "flag %s", f.shown);
        n = find_named(l->mem, f.name);
        if (!n.option && strcmp(f.name, "config") != 0)
            problems_add(l->problems, origin, "unknown_field", "there is no such setting");
        else if (!f.value)
            problems_add(l->problems, origin, "required", "a value is missing");
        else if (n.option)
            take_named(l, n, f.value, origin);
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

/* --------------------------------------------------------------------- secrets */

/* Standard input gives its text once, and settings are loaded again. */
static int read_input(struct buf *out, struct error *err)
{
    static char *said;

    if (!said) {
        CLEANUP(buf_release) struct buf text = BUF_INIT(MAX_SECRET_BYTES);

        if (secretfile_read("-", "secret", &text, err) < 0)
            return -1;
        said = xstrdup(buf_str(&text));
    }
    buf_puts(out, said);
    return 0;
}

static void read_secret(struct loading *l, const struct option *o, const struct secret_file *f)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(MAX_SECRET_BYTES);
    struct error err = ERROR_INIT;

    if ((strcmp(f->path, "-") ? secretfile_read(f->path, "file of a secret", &text, &err)
                              : read_input(&text, &err)) < 0)
        problems_add(l->problems, f->origin, "unreadable", "%s", err.message);
    else
        keep(l, o, doc_new_string_n(buf_str(&text), strcspn(buf_str(&text), "\r\n")), f->origin);
    if (text.data)
        explicit_bzero(text.data, text.len);
}

/* What was given as a file becomes the value, where somebody wants it. */
static void take_secrets(struct loading *l, enum config_secrets secrets)
{
    for (const struct option *o = settings_options; o->name; o++) {
        const struct secret_file *f = &l->config->files[number_of(o)];

        if (!f->path)
            continue;
        if (doc_get(l->config->values, o->name))
            problems_add(l->problems, f->origin, "conflict",
                         "%s is given itself as well (%s): one of both", o->name,
                         l->config->origins[number_of(o)]);
        else if (secrets == SECRETS_READ && *f->path)
            read_secret(l, o, f);
        else if (*f->path)
            l->config->origins[number_of(o)] = f->origin;
    }
}

/* ------------------------------------------------------------------- the whole */

const char *config_environment(const char *name)
{
    return getenv(name);
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

/* Items that are no strings are a problem already, and left out here. */
static void check_lists(struct loading *l)
{
    const struct settings *s = &l->config->settings;
    const char *references = config_origin(l->config, "secret_references");

    for (size_t i = 0; i < s->trusted_proxies.n; i++) {
        const char *range = s->trusted_proxies.items[i];
        struct cidr ignored;

        if (range && !cidr_parse(range, strlen(range), &ignored))
            problems_add(l->problems, config_origin(l->config, "trusted_proxies"), "invalid",
                         "expected an address or a range such as 10.0.0.0/8, found \"%s\"", range);
    }
    for (size_t i = 0; i < s->secret_references.n; i++) {
        if (s->secret_references.items[i])
            (void)references_new(l->mem, &s->secret_references.items[i], 1, config_environment,
                                 references, l->problems);
    }
}

static void check_token(struct loading *l, const char *token)
{
    for (const char *c = token; *c; c++) {
        if (*c <= ' ' || *c > '~') {
            problems_add(l->problems, config_origin(l->config, "bootstrap_token"), "invalid",
                         "a token is visible ASCII characters");
            return;
        }
    }
}

static void check(struct loading *l)
{
    const struct settings *s = &l->config->settings;

    check_rules(l, "egress_allow", &s->egress_allow);
    check_rules(l, "egress_deny", &s->egress_deny);
    check_lists(l);
    if (s->bootstrap_token)
        check_token(l, s->bootstrap_token);
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

bool config_load(int argc, char *const *argv, enum config_secrets secrets, struct arena *mem,
                 struct config *out, struct problems *problems)
{
    struct loading l = {.mem = mem, .config = out, .problems = problems};
    size_t n = table_rows(), before = problems->n;
    const char *path = config_path(mem, argc, argv);

    *out = (struct config){.origins = arena_array(mem, n, sizeof *out->origins),
                           .files = arena_array(mem, n, sizeof *out->files),
                           .values = doc_new_object(),
                           .argc = argc,
                           .argv = argv};
    for (size_t i = 0; i < n; i++)
        out->origins[i] = "default";
    if (path)
        take_file(&l, path);
    take_environment(&l);
    take_flags(&l, argc, argv);
    take_secrets(&l, secrets);
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
        if (o->flags & OPTION_SECRET)
            buf_puts(out, "-file FILE, or - for standard input");
        buf_printf(out, " (%s)\n      %s\n", o->def && *o->def ? o->def : "empty", o->help);
    }
}
