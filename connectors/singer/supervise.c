#include "connectors/singer/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Where the descriptors lie in the supervisor; the program has only the first four, since a script
 * is read by its interpreter from the last of them. */
enum { FD_IN, FD_OUT, FD_ERR, FD_EXEC, FD_CONTROL, FD_STATUS, FD_SIGNAL, FD_FIRST_FREE };

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

/* First out of each other's way, then into place, then everything else is closed. */
static void place_descriptors(const struct supervised *s)
{
    const int from[] = {s->stdin_fd, s->stdout_fd,  s->stderr_fd,
                        s->exec_fd,  s->control_fd, s->status_fd};
    int high[6];

    for (int i = 0; i < 6; i++)
        high[i] = fcntl(from[i], F_DUPFD_CLOEXEC, 100);
    for (int i = 0; i < 6; i++)
        dup3(high[i], i, i > FD_EXEC ? O_CLOEXEC : 0);
    syscall(SYS_close_range, FD_SIGNAL, ~0U, 0);
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

_Noreturn void supervise(const struct supervised *s)
{
    sigset_t all, children;
    pid_t program, self = getpid();
    int fd, status;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    for (int i = 1; i < SIGRTMAX; i++)
        signal(i, SIG_DFL);
    setsid();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_DUMPABLE, 0); /* it still holds a copy of our memory */
    place_descriptors(s);
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    fd = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd != FD_SIGNAL)
        report(1, EMFILE);
    program = fork(); /* lint: allow fork (the one place that starts programs) */
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
