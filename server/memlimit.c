#include "server/memlimit.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "connectors/base/text.h"

/* Version 1 has no word for "no limit", but the greatest number of whole pages. */
#define ENDLESS ((int64_t)1 << 62)

static int64_t needed_per_sync(const struct settings *s)
{
    return s->memory_budget_bytes + (s->max_parallel_streams - 1) * MEMLIMIT_STREAM_BYTES;
}

int64_t memlimit_needed(const struct settings *s)
{
    return s->workers * needed_per_sync(s) + MEMLIMIT_SERVICE_BYTES;
}

/* "max" of version 2 is no number. */
static bool read_limit(const char *path, int64_t *out)
{
    char text[32] = "";
    FILE *f = fopen(path, "re");

    if (!f)
        return false;
    if (!fgets(text, sizeof text, f))
        *text = '\0';
    fclose(f);
    return text_to_int64(text, strcspn(text, "\n"), out) && *out >= 0 && *out < ENDLESS;
}

/*
 * Of the group `path` below `mount` and all above it. In a container the path may be the one that
 * the host sees, and the mount already be the group: then only the last step finds a file.
 */
static void climb(const char *mount, const char *path, const char *name, struct arena *mem,
                  struct memlimit *io)
{
    char *group = arena_strdup(mem, strcmp(path, "/") ? path : "");
    int64_t bytes;

    for (;;) {
        const char *file = arena_printf(mem, "%s%s/%s", mount, group, name);
        char *end = strrchr(group, '/');

        if (read_limit(file, &bytes) && bytes < io->bytes)
            *io = (struct memlimit){bytes, file};
        if (!end)
            return;
        *end = '\0';
    }
}

static bool has_memory(const char *controllers, size_t n)
{
    static const char word[] = "memory";

    for (size_t at = 0; at < n;) {
        const char *c = controllers + at;
        size_t length = strcspn(c, ",:");

        if (length == sizeof word - 1 && !memcmp(c, word, length))
            return true;
        at += length + 1;
    }
    return false;
}

/* A line "0::/path" of version 2, or "4:memory:/path" of version 1. */
static void look_at(const char *root, char *line, struct arena *mem, struct memlimit *io)
{
    char *controllers = strchr(line, ':');
    char *path = controllers ? strchr(++controllers, ':') : NULL;

    if (!path || path[1] != '/')
        return;
    line[strcspn(line, "\n")] = '\0';
    /* A group outside of what this process may see. */
    if (strstr(path, "/.."))
        path[2] = '\0';
    if (path == controllers)
        climb(arena_printf(mem, "%s/sys/fs/cgroup", root), path + 1, "memory.max", mem, io);
    else if (has_memory(controllers, (size_t)(path - controllers)))
        climb(arena_printf(mem, "%s/sys/fs/cgroup/memory", root), path + 1, "memory.limit_in_bytes",
              mem, io);
}

struct memlimit memlimit_find(const char *root, struct arena *mem)
{
    FILE *f = fopen(arena_printf(mem, "%s/proc/self/cgroup", root), "re");
    struct memlimit least = {INT64_MAX, ""};
    char line[PATH_MAX + 256];

    if (!f)
        return least;
    while (fgets(line, sizeof line, f))
        look_at(root, line, mem, &least);
    fclose(f);
    return least;
}

void memlimit_check(const struct settings *s, const char *root, struct log *log)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    struct memlimit limit = memlimit_find(root, mem);
    int64_t room = limit.bytes - MEMLIMIT_SERVICE_BYTES;

    if (memlimit_needed(s) <= limit.bytes)
        return;
    log_warn(log, .message = "the settings allow more memory than the control group does",
             .fields = {log_int("needed_bytes", memlimit_needed(s)),
                        log_int("limit_bytes", limit.bytes), log_text("limit_file", limit.file),
                        log_int("workers", s->workers),
                        log_int("workers_that_fit", room > 0 ? room / needed_per_sync(s) : 0),
                        log_text("change", "raise the limit, or lower workers, memory_budget_bytes "
                                           "or max_parallel_streams")});
}
