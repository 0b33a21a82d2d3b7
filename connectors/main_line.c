#include "connectors/main_line.h"

#include <stddef.h>
#include <string.h>

#define BOTH (MAIN_SOURCE | MAIN_DESTINATION)

struct flag {
    const char *name;
    size_t offset;
    bool is_mode;      /* at most one of these may be given */
    unsigned kinds;    /* of the programs that have it */
    const char *value; /* what it takes, for people; NULL = nothing, it is a bool */
    const char *help;
};

/* clang-format off */
#define FLAG(member, ...) {.name = #member, .offset = offsetof(struct main_line, member), __VA_ARGS__}
static const struct flag flags[] = {
    FLAG(config, .kinds = BOTH, .value = "FILE", .help = "the configuration, a JSON object; - is standard input, of sources"),
    FLAG(config_json, .kinds = BOTH, .value = "JSON", .help = "the same as text; every user of the machine can see it"),
    FLAG(catalog, .kinds = MAIN_SOURCE, .value = "FILE", .help = "which streams are read, and how, as --discover wrote it and you edited it; without it all streams are, whole"),
    FLAG(catalog_json, .kinds = BOTH, .value = "JSON", .help = "the same as text; to destinations it says how streams are written"),
    FLAG(state, .kinds = MAIN_DESTINATION, .value = "FILE", .help = "a file that always holds the last STATE whose records are durable; it is replaced as a whole"),
    FLAG(state, .kinds = MAIN_SOURCE, .value = "FILE", .help = "where to go on: the value of the last STATE of the run before"),
    FLAG(state_json, .kinds = MAIN_SOURCE, .value = "JSON", .help = "the same as text"),
    FLAG(query, .kinds = MAIN_SOURCE, .value = "JSON", .help = "conditions on rows: {\"column\": value} or [{\"column\", \"op\", \"value\"}]; \"_limit\" in an object ends a stream after so many rows"),
    FLAG(selected_streams_json, .kinds = MAIN_SOURCE, .value = "JSON", .help = "only these of the selected streams: [\"a\", \"b\"]"),
    FLAG(input_file_path, .kinds = MAIN_DESTINATION, .value = "FILE", .help = "the messages, instead of standard input"),
    FLAG(log_to_stdout, .kinds = BOTH, .help = "log to standard output; without it that is Singer and nothing else"),
    FLAG(discover, .is_mode = true, .kinds = MAIN_SOURCE, .help = "write the catalog"),
    FLAG(discover_streams, .kinds = MAIN_SOURCE, .help = "with --discover: only the names of the streams"),
    FLAG(count_records, .is_mode = true, .kinds = MAIN_SOURCE, .help = "write how many records each selected stream has"),
    FLAG(load_sample_data, .is_mode = true, .kinds = MAIN_SOURCE, .help = "write a line per selected stream with its first records"),
    FLAG(test_connection, .is_mode = true, .kinds = BOTH, .help = "exit status 0 when the configuration works, else 1 and why"),
    FLAG(show_templates, .is_mode = true, .kinds = BOTH, .help = "write a configuration to fill in"),
    FLAG(spec, .is_mode = true, .kinds = BOTH, .help = "write what the connector is and the JSON Schema of its configuration"),
    FLAG(help, .is_mode = true, .kinds = BOTH, .help = "show this"),
};
/* clang-format on */
#define N_FLAGS (sizeof flags / sizeof *flags)

static const struct flag *find_flag(const char *name, size_t n, enum main_kind kind)
{
    for (size_t i = 0; i < N_FLAGS; i++) {
        if (strlen(flags[i].name) == n && !memcmp(flags[i].name, name, n) &&
            (flags[i].kinds & kind))
            return &flags[i];
    }
    return NULL;
}

/* A switch is given once or twice the same; a value counts once. */
static bool store(const struct flag *f, const char *value, struct main_line *out)
{
    void *at = (char *)out + f->offset;
    const char **text = at;
    bool *flag = at;

    if (!f->value) {
        *flag = true;
        return true;
    }
    if (*text) {
        fprintf(stderr, "--%s is given twice\n", f->name);
        return false;
    }
    *text = value;
    return true;
}

/* The flag at argv[*i], which moves behind it and its value. */
static bool take(int argc, char **argv, int *i, enum main_kind kind, struct main_line *out)
{
    const char *word = argv[(*i)++];
    const char *name = word + 2, *equals = strchr(word, '=');
    size_t n = equals ? (size_t)(equals - name) : strlen(word) - 2;
    const struct flag *f;

    if (strncmp(word, "--", 2) != 0) {
        fprintf(stderr, "\"%s\" is no flag\n", word);
        return false;
    }
    f = find_flag(name, n, kind);
    if (!f) {
        fprintf(stderr, "there is no flag --%.*s\n", (int)n, name);
        return false;
    }
    if (!f->value && equals) {
        fprintf(stderr, "--%s takes no value\n", f->name);
        return false;
    }
    if (!f->value || equals)
        return store(f, equals ? equals + 1 : NULL, out);
    if (*i >= argc) {
        fprintf(stderr, "--%s takes a value: %s\n", f->name, f->value);
        return false;
    }
    return store(f, argv[(*i)++], out);
}

/* Two forms of the same thing, or two modes. */
static bool agree(const struct main_line *line)
{
    const struct {
        const char *name, *file, *json;
    } pairs[] = {{"config", line->config, line->config_json},
                 {"catalog", line->catalog, line->catalog_json},
                 {"state", line->state, line->state_json}};
    const char *mode = NULL;
    bool ok = true;

    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        if (!pairs[i].file || !pairs[i].json)
            continue;
        fprintf(stderr, "--%s and --%s_json are both given\n", pairs[i].name, pairs[i].name);
        ok = false;
    }
    for (size_t i = 0; i < N_FLAGS; i++) {
        if (!flags[i].is_mode || !*(const bool *)((const char *)line + flags[i].offset))
            continue;
        if (mode) {
            fprintf(stderr, "--%s and --%s are both given\n", mode, flags[i].name);
            ok = false;
        }
        mode = flags[i].name;
    }
    if (line->discover_streams && !line->discover) {
        fprintf(stderr, "--discover_streams belongs to --discover\n");
        ok = false;
    }
    return ok;
}

bool main_line_read(int argc, char **argv, enum main_kind kind, struct main_line *out)
{
    bool ok = true;

    *out = (struct main_line){0};
    for (int i = 1; i < argc;)
        ok = take(argc, argv, &i, kind, out) && ok;
    return agree(out) && ok;
}

void main_line_help(const char *program, enum main_kind kind, FILE *to)
{
    fprintf(to, "usage: %s [--FLAG [VALUE]]...\n\n", program);
    for (size_t i = 0; i < N_FLAGS; i++) {
        const struct flag *f = &flags[i];

        if (f->kinds & kind)
            fprintf(to, "  --%s%s%s\n        %s\n", f->name, f->value ? " " : "",
                    f->value ? f->value : "", f->help);
    }
    fputs("\nExit status: 0 done, 1 failed, 2 wrong flags, configuration, catalog or state.\n", to);
}
