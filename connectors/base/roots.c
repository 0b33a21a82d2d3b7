#include "connectors/base/roots.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "connectors/base/text.h"

#define FOLDER (O_RDONLY | O_DIRECTORY | O_CLOEXEC)
/* Deeper than any folder is: a file system may be changed while we climb. */
#define MAX_CLIMB 256

struct root {
    const char *path; /* without a slash at its end, but for "/" */
    int fd;
};

static struct {
    struct arena *mem;
    struct root *roots;
    size_t n;
    bool open;
    bool has_closed;
    dev_t closed_device;
    ino_t closed_inode;
} policy = {.open = true};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static int denied(const char *path, const char *why, struct error *err)
{
    return error_set_reason(err, ERR_PERMISSION, "path_denied", "the path \"%s\" is refused: %s",
                            path, why);
}

/* -------------------------------------------------------------------- the closed folder */

/* Whether the folder is the closed one or below it; also when that cannot be told. */
static bool is_closed(int folder)
{
    CLEANUP(close_fd) int at = fcntl(folder, F_DUPFD_CLOEXEC, 0);
    struct stat st, last = {0};

    if (!policy.has_closed)
        return false;
    for (int i = 0; i < MAX_CLIMB; i++) {
        int up;

        if (at < 0 || fstat(at, &st) < 0 ||
            (st.st_dev == policy.closed_device && st.st_ino == policy.closed_inode))
            return true;
        if (i > 0 && st.st_dev == last.st_dev && st.st_ino == last.st_ino)
            return false; /* the top is its own parent */
        last = st;
        up = openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        close(at);
        at = up;
    }
    return true;
}

/* ------------------------------------------------------------------------ below a root */

/* Why a path below a root is refused; NULL when it is not. */
static const char *why_not(const char *rest)
{
    while (*rest) {
        size_t n = strcspn(rest, "/");

        if (rest[0] == '.')
            return "a part of it begins with a dot";
        if (n > 255)
            return "a part of it is longer than 255 bytes";
        for (size_t i = 0; i < n; i++) {
            if ((unsigned char)rest[i] < ' ' || rest[i] == 0x7f)
                return "it holds a control character";
        }
        rest += n;
        rest += strspn(rest, "/");
    }
    return NULL;
}

/* One folder after the other, each only if it is no link: what the kernel may not do at once. */
static int walk(int root, const char *rest)
{
    CLEANUP(free_cleanup) char *parts = xstrdup(rest);
    int at = fcntl(root, F_DUPFD_CLOEXEC, 0), next, why;
    char *save = NULL;

    for (char *part = strtok_r(parts, "/", &save); part && at >= 0;
         part = strtok_r(NULL, "/", &save)) {
        next = openat(at, part, FOLDER | O_NOFOLLOW);
        why = errno;
        close(at);
        at = next;
        errno = why;
    }
    return at;
}

static int open_below(int root, const char *rest)
{
    struct open_how how = {
        .flags = FOLDER, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    long fd = syscall(SYS_openat2, root, *rest ? rest : ".", &how, sizeof how);

    if (fd < 0 && (errno == ENOSYS || errno == EPERM))
        return walk(root, rest);
    return (int)fd;
}

/* There are some: the root that holds an absolute path, or the first one for a relative path. */
static const struct root *find_root(const char *path, const char **out_rest)
{
    if (*path != '/') {
        *out_rest = path;
        return &policy.roots[0];
    }
    for (size_t i = 0; i < policy.n; i++) {
        const char *root = policy.roots[i].path;
        size_t n = strcmp(root, "/") == 0 ? 0 : strlen(root);

        if (strncmp(path, root, n) == 0 && (path[n] == '/' || path[n] == '\0')) {
            *out_rest = path + n + strspn(path + n, "/");
            return &policy.roots[i];
        }
    }
    return NULL;
}

/* -------------------------------------------------------------------------- opening */

static int cannot_open(const char *path, int why, struct error *err)
{
    if (why == ENOENT)
        return error_set(err, ERR_NOT_FOUND, "the path \"%s\" does not exist", path);
    if (why == EACCES || why == EPERM)
        return error_set(err, ERR_PERMISSION, "the path \"%s\" may not be read", path);
    if (roots_limited() && (why == ELOOP || why == ENOTDIR))
        return denied(path, "it leads through a link or what is no folder", err);
    if (why == ENOTDIR)
        return error_set(err, ERR_CONFIG, "\"%s\" is no folder", path);
    return error_set_errno(err, why, "opening \"%s\"", path);
}

static int open_folder(const char *path, const char *shown, int *out_fd, struct error *err)
{
    const struct root *root;
    const char *rest = "", *why;
    int fd;

    if (policy.n > 0) {
        root = find_root(path, &rest);
        why = !root ? "it lies in no folder of file_roots" : why_not(rest);
        if (!text_is_utf8(path, strlen(path)))
            why = "it is not UTF-8";
        if (why)
            return denied(shown, why, err);
        fd = open_below(root->fd, rest);
    } else if (policy.open) {
        fd = open(path, FOLDER);
    } else {
        return denied(shown, "no folder is open to connectors; set file_roots", err);
    }
    if (fd < 0)
        return cannot_open(shown, errno, err);
    if (is_closed(fd)) {
        close(fd);
        return denied(shown, "the service keeps its own data there", err);
    }
    *out_fd = fd;
    return 0;
}

bool roots_limited(void)
{
    return policy.n > 0 || !policy.open;
}

int roots_open_folder(const char *path, int *out_fd, struct error *err)
{
    return open_folder(path, path, out_fd, err);
}

int roots_open_parent(const char *path, struct arena *mem, int *out_fd, const char **out_name,
                      struct error *err)
{
    size_t n = strlen(path);
    const char *slash, *name, *why;

    while (n > 1 && path[n - 1] == '/')
        n--;
    path = arena_memdup(mem, path, n);
    slash = strrchr(path, '/');
    name = slash ? slash + 1 : path;
    why = roots_limited() ? why_not(name) : NULL;
    if (why)
        return denied(path, why, err);
    if (open_folder(!slash          ? (policy.n > 0 ? "" : ".")
                    : slash == path ? "/"
                                    : arena_memdup(mem, path, (size_t)(slash - path)),
                    path, out_fd, err) < 0)
        return -1;
    *out_name = name;
    return 0;
}

int roots_make_folder(const char *path, struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    CLEANUP(close_fd) int parent = -1;
    const char *name;

    if (!roots_limited() && strcmp(path, "/") == 0)
        return 0;
    if (roots_open_parent(path, mem, &parent, &name, err) < 0)
        return -1;
    if (mkdirat(parent, *name ? name : ".", 0700) < 0 && errno != EEXIST)
        return error_set_errno(err, errno, "creating the folder \"%s\"", path);
    return 0;
}

/* -------------------------------------------------------------------------- policy */

static int add_root(const char *path, struct error *err)
{
    size_t n = strlen(path);
    int fd;

    if (*path != '/')
        return error_set(err, ERR_CONFIG, "the folder \"%s\" is not an absolute path", path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    path = arena_memdup(policy.mem, path, n);
    fd = open(path, FOLDER);
    if (fd < 0)
        return error_set_errno(err, errno, "opening the folder \"%s\" of file_roots", path);
    policy.roots[policy.n++] = (struct root){path, fd};
    if (is_closed(fd))
        return error_set(err, ERR_CONFIG,
                         "the folder \"%s\" of file_roots lies in the data directory", path);
    return 0;
}

static int close_data(const char *path, struct error *err)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return error_set_errno(err, errno, "looking at \"%s\"", path);
    policy.has_closed = true;
    policy.closed_device = st.st_dev;
    policy.closed_inode = st.st_ino;
    return 0;
}

int roots_configure(const struct roots_policy *p, struct error *err)
{
    for (size_t i = 0; i < policy.n; i++)
        close(policy.roots[i].fd);
    arena_free(policy.mem);
    policy.mem = arena_new();
    policy.roots = arena_array(policy.mem, p->n + 1, sizeof *policy.roots);
    policy.n = 0;
    policy.open = p->open;
    policy.has_closed = false;
    if (p->closed && close_data(p->closed, err) < 0)
        return -1;
    for (size_t i = 0; i < p->n; i++) {
        if (add_root(p->roots[i], err) < 0)
            return -1;
    }
    return 0;
}
