#include "connectors/singer/program.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "connectors/base/arena.h"
#include "connectors/base/hash.h"
#include "connectors/base/text.h"

static struct program_list listed;

/* One entry as the table decodes it. */
struct entry {
    const char *name, *path, *sha256;
    struct string_list args;
    const struct doc *config_schema;
    int64_t memory_bytes, files, processes, file_bytes;
};

/* The section itself. */
struct section {
    bool enabled;
};

/* clang-format off */
static const struct option entry_options[] = {
    OPTION(struct entry, name, .title = "Name", .flags = OPTION_REQUIRED, .min = 1, .max = 63,
           .help = "What configurations call it.", .example = "tap-csv"),
    OPTION(struct entry, path, .title = "Path", .flags = OPTION_REQUIRED, .min = 2, .max = 4000,
           .help = "Absolute path of the executable; not a link.", .example = "/opt/taps/bin/tap-csv"),
    OPTION(struct entry, args, .title = "Arguments", .help = "Put before those of the service."),
    OPTION(struct entry, sha256, .title = "SHA-256", .min = 64, .max = 64,
           .help = "Digest of the file in lower-case hexadecimal; another file is not started."),
    OPTION(struct entry, config_schema, .title = "Schema",
           .help = "JSON Schema of its configuration. Without it the program is asked, with --spec and "
                   "--show_templates."),
    OPTION(struct entry, memory_bytes, .title = "Memory", .def = "1073741824", .min = 1 << 20,
           .max = (int64_t)1 << 40, .help = "Bytes of private memory of one process."),
    OPTION(struct entry, files, .title = "Files", .def = "256", .min = 16, .max = 1 << 20,
           .help = "Open files of one process."),
    OPTION(struct entry, processes, .title = "Processes", .def = "512", .min = 8, .max = 1 << 20,
           .help = "Processes and threads of the service's user while it runs."),
    OPTION(struct entry, file_bytes, .title = "File size", .def = "68719476736", .min = 1 << 20,
           .max = (int64_t)1 << 50, .help = "Bytes of one file that it writes."),
    OPTIONS_END,
};
static const struct option section_options[] = {
    OPTION(struct section, enabled, .title = "Enabled", .def = "false",
           .help = "Without it no program is ever started."),
    OPTIONS_END,
};
/* clang-format on */

const char programs_schema[] =
    "{\"type\":\"object\",\"properties\":{\"enabled\":{\"type\":\"boolean\",\"default\":false},"
    "\"programs\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":[\"name\","
    "\"path\"],\"properties\":{\"name\":{\"type\":\"string\"},\"path\":{\"type\":\"string\"},"
    "\"args\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},"
    "\"sha256\":{\"type\":\"string\"},\"config_schema\":{\"type\":\"object\"},"
    "\"memory_bytes\":{\"type\":\"integer\"},\"files\":{\"type\":\"integer\"},"
    "\"processes\":{\"type\":\"integer\"},\"file_bytes\":{\"type\":\"integer\"}},"
    "\"additionalProperties\":false}}},\"additionalProperties\":false}";

static void check_entry(const struct entry *e, const struct program_list *before, const char *where,
                        struct arena *mem, struct problems *problems)
{
    if (e->path && e->path[0] != '/')
        problems_add(problems, arena_printf(mem, "%s/path", where), "invalid_value",
                     "expected an absolute path, found \"%s\"", e->path);
    if (e->sha256 && strspn(e->sha256, "0123456789abcdef") != 64)
        problems_add(problems, arena_printf(mem, "%s/sha256", where), "invalid_value",
                     "expected 64 lower-case hexadecimal digits");
    for (size_t i = 0; e->name && i < before->n; i++) {
        if (before->items[i].name && !strcmp(before->items[i].name, e->name))
            problems_add(problems, arena_printf(mem, "%s/name", where), "duplicate",
                         "there is another program \"%s\"", e->name);
    }
}

static void decode_programs(const struct doc *programs, const char *pointer, struct arena *mem,
                            struct program_list *out, struct problems *problems)
{
    struct program *items = arena_array(mem, doc_count(programs) + 1, sizeof *items);

    out->items = items;
    for (size_t i = 0; i < doc_count(programs); i++) {
        const char *where = arena_printf(mem, "%s/programs/%zu", pointer, i);
        struct entry e = {.name = NULL};

        if (!options_decode(entry_options, doc_at(programs, i), where, &e, mem, problems))
            continue;
        check_entry(&e, out, where, mem, problems);
        items[out->n++] = (struct program){
            .name = e.name,
            .path = e.path,
            .args = e.args,
            .sha256 = e.sha256,
            .config_schema = e.config_schema,
            .limits = {e.memory_bytes, e.files, e.processes, e.file_bytes},
        };
    }
}

bool programs_decode(const struct doc *exec, const char *pointer, struct arena *mem,
                     struct program_list *out, struct problems *problems)
{
    CLEANUP(doc_free_cleanup) struct doc *rest = doc_new_object();
    const struct doc *programs = doc_get(exec, "programs");
    struct section section = {.enabled = false};
    size_t before = problems->n;

    *out = (struct program_list){.n = 0};
    for (const struct doc_member *m = doc_first(exec); m; m = doc_next(exec, m)) {
        if (strcmp(doc_member_key(m), "programs") != 0)
            doc_set(rest, doc_member_key(m), doc_copy(doc_member_value(m)));
    }
    if (programs && !doc_is(programs, DOC_ARRAY))
        problems_add(problems, arena_printf(mem, "%s/programs", pointer), "wrong_type",
                     "expected an array, found %s", doc_kind_name(doc_kind(programs)));
    else
        decode_programs(programs, pointer, mem, out, problems);
    options_decode(section_options, rest, pointer, &section, mem, problems);
    if (!section.enabled)
        out->n = 0;
    return problems->n == before;
}

void programs_check(const struct doc *exec, const char *pointer, struct problems *problems)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    struct program_list ignored;

    (void)programs_decode(exec, pointer, mem, &ignored, problems);
}

void programs_set(const struct program_list *list)
{
    listed = *list;
}

const struct program_list *programs_listed(void)
{
    return &listed;
}

const struct program *program_find(const char *name, struct error *err)
{
    for (size_t i = 0; i < listed.n; i++) {
        if (!strcmp(listed.items[i].name, name))
            return &listed.items[i];
    }
    (void)error_set_reason(err, ERR_CONFIG, "program_not_listed",
                           "the operator of this service lists no program \"%s\"%s", name,
                           listed.n == 0 ? ", nor any other" : "");
    return NULL;
}

/* ---------------------------------------------------------------------- opening */

static int check_digest(const struct program *p, int fd, struct error *err)
{
    struct hash_stream *h;
    char hex[HASH_HEX_BYTES], room[1 << 14];
    off_t at = 0;
    ssize_t n;

    if (!p->sha256)
        return 0;
    h = hash_new();
    while ((n = pread(fd, room, sizeof room, at)) > 0) {
        hash_update(h, room, (size_t)n);
        at += n;
    }
    hash_hex(h, hex);
    hash_free(h);
    if (n < 0)
        return error_set_errno(err, errno, "reading \"%s\"", p->path);
    if (strcmp(hex, p->sha256) != 0)
        return error_set_reason(err, ERR_PERMISSION, "program_changed",
                                "\"%s\" is not the file that was listed: its SHA-256 is %s",
                                p->path, hex);
    return 0;
}

static int check_file(const struct program *p, int fd, struct error *err)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return error_set_errno(err, errno, "looking at \"%s\"", p->path);
    if (!S_ISREG(st.st_mode) || !(st.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)))
        return error_set_reason(err, ERR_PERMISSION, "program_refused",
                                "\"%s\" is not an executable file", p->path);
    if (st.st_uid != 0 && st.st_uid != geteuid())
        return error_set_reason(err, ERR_PERMISSION, "program_refused",
                                "\"%s\" belongs to user %lu, and not to root or the service",
                                p->path, (unsigned long)st.st_uid);
    if (st.st_mode & (S_IWGRP | S_IWOTH))
        return error_set_reason(err, ERR_PERMISSION, "program_refused",
                                "\"%s\" may be changed by others (mode %04o)", p->path,
                                (unsigned)(st.st_mode & 07777));
    return check_digest(p, fd, err);
}

int program_open(const struct program *p, int *out_fd, struct error *err)
{
    int fd = open(p->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0 && errno == ELOOP)
        return error_set_reason(err, ERR_PERMISSION, "program_refused",
                                "\"%s\" is a link: list the file itself", p->path);
    if (fd < 0)
        return error_set_errno(err, errno, "opening the program \"%s\"", p->path);
    if (check_file(p, fd, err) < 0) {
        close(fd);
        return -1;
    }
    *out_fd = fd;
    return 0;
}
