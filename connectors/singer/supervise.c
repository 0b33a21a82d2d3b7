#include "connectors/singer/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "connectors/base/arena.h"
#include "connectors/base/buf.h"

/* Where the descriptors lie in the supervisor; the program has only the first four, since a script
 * is read by its interpreter from the last of them. FD_TOLD is closed before FD_SIGNAL is made. */
enum { FD_IN, FD_OUT, FD_ERR, FD_EXEC, FD_CONTROL, FD_STATUS, FD_TOLD, FD_SIGNAL = FD_TOLD };
#define N_GIVEN (FD_TOLD + 1)

/* More than the arguments of a program may be. */
#define TOLD_MAX_BYTES ((size_t)4 << 20)

/* What a supervisor is told, in a file in memory: this, then the texts of all three lists, each
 * behind the other with its NUL. */
struct told {
    struct program_limits limits;
    int64_t grace_ms;
    size_t n_argv, n_envp, n_files; /* the directory is one more */
};

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static _Noreturn void report(int kind, int value)
{
    struct supervise_report r = {.kind = kind == 0 ? SUPERVISE_ENDED : SUPERVISE_NOT_STARTED,
                                 .value = value};

    if (write(FD_STATUS, &r, sizeof r) < 0)
        _exit(1);
    _exit(0);
}

static void set_limit(int what, int64_t value)
{
    struct rlimit now, want = {(rlim_t)value, (rlim_t)value};

    if (getrlimit((__rlimit_resource_t)what, &now) < 0)
        return;
    if (now.rlim_max != RLIM_INFINITY && now.rlim_max < want.rlim_max)
        want.rlim_cur = want.rlim_max = now.rlim_max;
    setrlimit((__rlimit_resource_t)what, &want);
}

static _Noreturn void become_program(const struct supervised *s, pid_t supervisor)
{
    union {
        const char *const *in;
        char *const *out;
    } argv = {.in = s->argv}, envp = {.in = s->envp};
    sigset_t none;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != supervisor)
        _exit(1);
    setpgid(0, 0);
    set_limit(RLIMIT_CORE, 0);
    set_limit(RLIMIT_DATA, s->limits.memory_bytes);
    set_limit(RLIMIT_NOFILE, s->limits.files);
    set_limit(RLIMIT_NPROC, s->limits.processes);
    set_limit(RLIMIT_FSIZE, s->limits.file_bytes);
    umask(077);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (chdir(s->dir) == 0)
        syscall(SYS_execveat, FD_EXEC, "", argv.out, envp.out, AT_EMPTY_PATH);
    report(1, errno);
}

/* Every process that is a child of ours now: orphans come to us. */
static void kill_children(void)
{
    char text[4096];
    int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
    pid_t pid = 0;

    if (fd >= 0)
        close(fd);
    for (ssize_t i = 0; i < n; i++) {
        if (text[i] >= '0' && text[i] <= '9') {
            pid = pid * 10 + (text[i] - '0');
        } else if (pid > 1) {
            kill(pid, SIGKILL);
            pid = 0;
        }
    }
}

/* The children of what was killed become ours; so again until nobody is left. */
static void kill_until_none(pid_t group)
{
    for (;;) {
        kill(-group, SIGKILL);
        kill_children();
        if (waitpid(-1, NULL, 0) < 0 && errno == ECHILD)
            return;
    }
}

/* Takes the end of any child; true when it was the program's, with its status. */
static bool reap(pid_t program, int *out_status)
{
    struct signalfd_siginfo ignored;
    bool found = false;
    int status;
    pid_t pid;

    while (read(FD_SIGNAL, &ignored, sizeof ignored) > 0)
        continue;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == program) {
            *out_status = status;
            found = true;
        }
    }
    return found;
}

static int wait_for_end(const struct supervised *s, pid_t program)
{
    struct pollfd fds[] = {{.fd = FD_SIGNAL, .events = POLLIN},
                           {.fd = FD_CONTROL, .events = POLLIN}};
    int64_t deadline_ms = 0;
    int status = 0;

    while (!reap(program, &status)) {
        int wait_ms = -1;

        if (deadline_ms && deadline_ms <= now_ms()) {
            kill(-program, SIGKILL);
            kill(program, SIGKILL); /* it may have left its group */
        } else if (deadline_ms) {
            wait_ms = (int)(deadline_ms - now_ms()) + 1;
        }
        poll(fds, 2, wait_ms);
        if (fds[1].revents && !deadline_ms) {
            kill(-program, SIGTERM);
            kill(program, SIGTERM);
            deadline_ms = now_ms() + s->grace_ms + 1;
            fds[1].fd = -1;
        }
    }
    return status;
}

static void forget_files(const struct supervised *s)
{
    for (size_t i = 0; s->files[i]; i++)
        unlink(s->files[i]);
    rmdir(s->dir);
}

static _Noreturn void supervise(const struct supervised *s)
{
    sigset_t all, children;
    pid_t program, self = getpid();
    int fd, status;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_DUMPABLE, 0); /* what it starts is of the same user and shall not trace it */
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    fd = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd != FD_SIGNAL)
        report(1, EMFILE);
    program = fork(); /* lint: allow fork (M3: this process has one thread) */
    if (program < 0)
        report(1, errno);
    if (program == 0)
        become_program(s, self);
    setpgid(program, program);
    syscall(SYS_close_range, FD_IN, FD_EXEC, 0);
    status = wait_for_end(s, program);
    kill_until_none(program);
    forget_files(s);
    report(0, status);
}

/* ---------------------------------------------------------------------- being told */

/* The next `n` texts as a list; NULL when there are not as many. */
static const char *const *take_list(struct arena *mem, struct slice *rest, size_t n)
{
    const char **list;

    if (n > rest->len)
        return NULL;
    list = arena_array(mem, n + 1, sizeof *list);
    for (size_t i = 0; i < n; i++) {
        const char *end = memchr(rest->ptr, '\0', rest->len);

        if (!end)
            return NULL;
        list[i] = rest->ptr;
        rest->len -= (size_t)(end - rest->ptr) + 1;
        rest->ptr = end + 1;
    }
    return list;
}

static bool be_told(struct arena *mem, struct supervised *s)
{
    char *text = arena_alloc(mem, TOLD_MAX_BYTES);
    ssize_t n = pread(FD_TOLD, text, TOLD_MAX_BYTES, 0);
    struct told told;
    const char *const *dir;
    struct slice rest;

    if (n < (ssize_t)sizeof told)
        return false;
    memcpy(&told, text, sizeof told);
    rest = (struct slice){text + sizeof told, (size_t)n - sizeof told};
    dir = take_list(mem, &rest, 1);
    s->argv = take_list(mem, &rest, told.n_argv);
    s->envp = take_list(mem, &rest, told.n_envp);
    s->files = take_list(mem, &rest, told.n_files);
    s->limits = told.limits;
    s->grace_ms = told.grace_ms;
    if (!dir || !s->argv || !s->envp || !s->files)
        return false;
    s->dir = dir[0];
    return true;
}

void supervise_if_asked(int argc, char **argv)
{
    struct supervised s = {.dir = NULL};

    if (argc != 1 || strcmp(argv[0], SUPERVISE_NAME) != 0)
        return;
    if (!be_told(arena_new(), &s))
        _exit(1);
    close(FD_TOLD);
    fcntl(FD_CONTROL, F_SETFD, FD_CLOEXEC);
    fcntl(FD_STATUS, F_SETFD, FD_CLOEXEC);
    supervise(&s);
}

/* -------------------------------------------------------------------------- telling */

static size_t put_list(struct buf *out, const char *const *list)
{
    size_t n = 0;

    for (; list[n]; n++)
        buf_put(out, list[n], strlen(list[n]) + 1);
    return n;
}

static int tell(const struct supervised *s, int *out_fd, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(TOLD_MAX_BYTES);
    struct told told = {.limits = s->limits, .grace_ms = s->grace_ms};
    const char *const dir[] = {s->dir, NULL};
    int fd;

    buf_put(&text, (const char *)&told, sizeof told);
    put_list(&text, dir);
    told.n_argv = put_list(&text, s->argv);
    told.n_envp = put_list(&text, s->envp);
    told.n_files = put_list(&text, s->files);
    if (buf_ok(&text, "the arguments of a program", err) < 0)
        return -1;
    memcpy(text.data, &told, sizeof told);
    fd = memfd_create(SUPERVISE_NAME, MFD_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno, "making a file in memory");
    if (pwrite(fd, text.data, text.len, 0) != (ssize_t)text.len) {
        close(fd);
        return error_set_errno(err, errno, "writing a file in memory");
    }
    *out_fd = fd;
    return 0;
}

/* `given` by number in the supervisor; everything else is closed, and every signal waits. */
static int spawn(const int given[static N_GIVEN], pid_t *out)
{
    char name[] = SUPERVISE_NAME;
    char *argv[] = {name, NULL}, *envp[] = {NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t how;
    sigset_t all;
    int rc;

    sigfillset(&all);
    posix_spawnattr_init(&how);
    posix_spawnattr_setflags(&how,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&how, &all);
    posix_spawnattr_setsigdefault(&how, &all);
    posix_spawn_file_actions_init(&actions);
    rc = 0;
    for (int i = 0; i < N_GIVEN && rc == 0; i++)
        rc = posix_spawn_file_actions_adddup2(&actions, given[i], i);
    if (rc == 0)
        rc = posix_spawn_file_actions_addclosefrom_np(&actions, N_GIVEN);
    if (rc == 0)
        rc = posix_spawn(out, "/proc/self/exe", &actions, &how, argv, envp);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&how);
    return rc;
}

int supervise_start(const struct supervised *s, pid_t *out, struct error *err)
{
    int given[N_GIVEN] = {
        s->stdin_fd, s->stdout_fd, s->stderr_fd, s->exec_fd, s->control_fd, s->status_fd, -1};
    int rc = 0;

    if (tell(s, &given[FD_TOLD], err) < 0)
        return -1;
    /* First out of each other's way, so that no number is taken before its place is free. */
    for (int i = 0, high; i < N_GIVEN; i++) {
        high = fcntl(given[i], F_DUPFD_CLOEXEC, 100);
        rc = high < 0 ? errno : rc;
        if (i == FD_TOLD)
            close(given[i]);
        given[i] = high;
    }
    if (rc == 0)
        rc = spawn(given, out);
    for (int i = 0; i < N_GIVEN; i++) {
        if (given[i] >= 0)
            close(given[i]);
    }
    return rc == 0 ? 0 : error_set_errno(err, rc, "starting a process");
}
