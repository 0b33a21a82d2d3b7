/*
 * connectord new source NAME: the project of a connector of one's own, ready to build.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "connectors/base/arena.h"
#include "connectors/base/buf.h"
#include "connectors/sdk/templates.h"
#include "server/cli.h"

#define PLACEHOLDER "my_connector"
#define MAX_BYTES   ((size_t)1 << 20)
#define MAX_NAME    40

/* A word of C, since functions and files are called by it. */
static bool is_name(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");

    return n > 0 && n <= MAX_NAME && !name[n] && name[0] >= 'a' && name[0] <= 'z';
}

static void put_named(const char *text, const char *name, struct buf *out)
{
    for (const char *at; (at = strstr(text, PLACEHOLDER)); text = at + strlen(PLACEHOLDER)) {
        buf_put(out, text, (size_t)(at - text));
        buf_puts(out, name);
    }
    buf_puts(out, text);
}

/* Nothing that is there is overwritten. */
static int write_file(const char *path, const struct buf *text, struct error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    size_t done = 0;

    if (fd < 0)
        return error_set_errno(err, errno, "creating \"%s\"", path);
    while (done < text->len) {
        ssize_t n = write(fd, text->data + done, text->len - done);

        if (n < 0) {
            int why = errno;

            close(fd);
            return error_set_errno(err, why, "writing \"%s\"", path);
        }
        done += (size_t)n;
    }
    close(fd);
    return 0;
}

static int write_template(const struct template_file *t, const char *folder, const char *name,
                          struct arena *mem, struct error *err)
{
    CLEANUP(buf_release) struct buf path = BUF_INIT(MAX_BYTES), text = BUF_INIT(MAX_BYTES);

    put_named(t->path, name, &path);
    put_named(t->text, name, &text);
    if (buf_ok(&text, t->path, err) < 0)
        return -1;
    return write_file(arena_printf(mem, "%s/%s", folder, buf_str(&path)), &text, err);
}

static int write_project(const char *kind, const char *name, const char *folder, struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();

    if (mkdir(folder, 0777) < 0)
        return error_set_errno(err, errno, "creating the folder \"%s\"", folder);
    for (const struct template_file *t = template_files; t->kind; t++) {
        if (!strcmp(t->kind, kind) && write_template(t, folder, name, mem, err) < 0)
            return -1;
    }
    return 0;
}

int cli_new(const struct cli_call *call)
{
    int argc = call->argc;
    char **argv = call->argv;
    struct error err = ERROR_INIT;
    const char *folder;

    if (argc < 2 || argc > 3 ||
        (strcmp(argv[0], "source") != 0 && strcmp(argv[0], "destination") != 0)) {
        fprintf(stderr, "usage: connectord new source|destination NAME [FOLDER]\n");
        return EXIT_USAGE;
    }
    if (!is_name(argv[1])) {
        fprintf(stderr,
                "connectord: \"%s\" is no name: lower-case letters, digits and _, at most %d, a "
                "letter first\n",
                argv[1], MAX_NAME);
        return EXIT_USAGE;
    }
    folder = argc > 2 ? argv[2] : argv[1];
    if (write_project(argv[0], argv[1], folder, &err) < 0) {
        fprintf(stderr, "connectord: %s\n", err.message);
        return EXIT_RUNTIME;
    }
    printf("%s: cmake -S %s -B %s/build && cmake --build %s/build && ctest --test-dir %s/build\n",
           folder, folder, folder, folder, folder);
    return EXIT_OK;
}
