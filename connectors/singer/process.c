#include "connectors/singer/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "connectors/base/clock.h"
#include "connectors/base/metric.h"
#include "connectors/singer/speech.h"
#include "connectors/singer/supervise.h"

struct process {
    const struct program *program;
    struct run *run;
    struct arena *mem;
    struct speech speech;
    char dir[PRIVATEDIR_BYTES];
    pid_t supervisor;                   /* 0 = none, or reaped */
    int in, out, said, control, status; /* our ends; -1 = closed */
    bool at_end;
    bool started, hung;
    bool reported;
    struct supervise_report report;
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* ---------------------------------------------------------------------- starting */

/* The ends of the pipes that the supervisor gets. */
struct ends {
    int exec, in, out, said, control, status;
};

static void close_ends(struct ends *e)
{
    int *all[] = {&e->exec, &e->in, &e->out, &e->said, &e->control, &e->status};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        close_fd(all[i]);
}

static int make_pipe(int *read_end, int *write_end, struct error *err)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0)
        return error_set_errno(err, errno, "making a pipe");
    *read_end = fds[0];
    *write_end = fds[1];
    return 0;
}

static void never_wait(int fd)
{
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static int make_pipes(struct process *p, bool wants_input, struct ends *theirs, struct error *err)
{
    if (wants_input) {
        if (make_pipe(&theirs->in, &p->in, err) < 0)
            return -1;
        never_wait(p->in);
    } else {
        theirs->in = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (theirs->in < 0)
            return error_set_errno(err, errno, "opening the empty input of a program");
    }
    if (make_pipe(&p->out, &theirs->out, err) < 0 || make_pipe(&p->said, &theirs->said, err) < 0 ||
        make_pipe(&theirs->control, &p->control, err) < 0 ||
        make_pipe(&p->status, &theirs->status, err) < 0)
        return -1;
    never_wait(p->out);
    never_wait(p->said);
    fcntl(p->out, F_SETPIPE_SZ, 1 << 20); /* fewer wake-ups; refused where there is a quota */
    return 0;
}

static const char *const *make_argv(const struct process *p, const struct process_start *how)
{
    const struct string_list *fixed = &how->program->args;
    const char **argv;
    size_t n = 0, at = 0;

    while (how->args[n])
        n++;
    argv = arena_array(p->mem, fixed->n + n + 2, sizeof *argv);
    argv[at++] = how->program->path;
    for (size_t i = 0; i < fixed->n; i++)
        argv[at++] = fixed->items[i];
    for (size_t i = 0; i < n; i++)
        argv[at++] = how->args[i][0] == '@'
                         ? arena_printf(p->mem, "%s/%s", p->dir, how->args[i] + 1)
                         : how->args[i];
    return argv;
}

static const char *const *make_environment(const struct process *p)
{
    const char **envp = arena_array(p->mem, 8, sizeof *envp);

    envp[0] = "PATH=/usr/local/bin:/usr/bin:/bin";
    envp[1] = "LANG=C.UTF-8";
    envp[2] = "TZ=UTC";
    envp[3] = "PYTHONUNBUFFERED=1"; /* a STATE must not wait in a buffer for more output */
    envp[4] = arena_printf(p->mem, "HOME=%s", p->dir);
    envp[5] = arena_printf(p->mem, "TMPDIR=%s", p->dir);
    return envp;
}

static int write_files(struct process *p, const struct process_start *how,
                       const char *const **out_paths, struct error *err)
{
    const char **paths = arena_array(p->mem, how->n_files + 1, sizeof *paths);

    if (privatedir_make(p->dir, err) < 0) {
        p->dir[0] = '\0';
        return -1;
    }
    for (size_t i = 0; i < how->n_files; i++) {
        if (privatedir_write(p->dir, &how->files[i], err) < 0)
            return -1;
        paths[i] = arena_printf(p->mem, "%s/%s", p->dir, how->files[i].name);
    }
    *out_paths = paths;
    return 0;
}

static int start(struct process *p, const struct process_start *how, struct ends *theirs,
                 struct error *err)
{
    struct supervised s = {.dir = p->dir,
                           .limits = how->program->limits,
                           .grace_ms = how->grace_ms ? how->grace_ms : PROCESS_GRACE_MS};

    if (program_open(how->program, &theirs->exec, err) < 0 ||
        write_files(p, how, &s.files, err) < 0 || make_pipes(p, how->wants_input, theirs, err) < 0)
        return -1;
    s.argv = make_argv(p, how);
    s.envp = make_environment(p);
    s.exec_fd = theirs->exec;
    s.stdin_fd = theirs->in;
    s.stdout_fd = theirs->out;
    s.stderr_fd = theirs->said;
    s.control_fd = theirs->control;
    s.status_fd = theirs->status;
    signal(SIGPIPE, SIG_IGN);
    return supervise_start(&s, &p->supervisor, err);
}

int process_start(const struct process_start *how, struct run *run, struct process **out,
                  struct error *err)
{
    CLEANUP(process_free_cleanup) struct process *p = xalloc(sizeof *p);
    struct ends theirs = {-1, -1, -1, -1, -1, -1};
    int status;

    *p = (struct process){.program = how->program,
                          .run = run,
                          .mem = arena_new(),
                          .in = -1,
                          .out = -1,
                          .said = -1,
                          .control = -1,
                          .status = -1};
    speech_init(&p->speech, run->log, how->program->name, how->secrets);
    status = start(p, how, &theirs, err);
    close_ends(&theirs);
    if (status < 0)
        return error_wrap(err, "program \"%s\"", how->program->name);
    p->started = true;
    metric_add(METRIC_EXEC_PROCESSES, 1);
    *out = TAKE(p);
    return 0;
}

/* ----------------------------------------------------------------------- talking */

/* Takes what was said; closes the pipe at its end. At most so much at a time: whoever floods does
 * not keep us from the rest. */
static void listen_to(struct process *p)
{
    char room[1 << 14];
    ssize_t n = read(p->said, room, sizeof room);

    if (n > 0)
        speech_take(&p->speech, room, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        close_fd(&p->said);
}

int process_wait(struct process *p, unsigned wanted, int64_t timeout_ms, unsigned *out_ready,
                 struct error *err)
{
    int64_t until_us = timeout_ms < 0 ? INT64_MAX : clock_monotonic_us() + timeout_ms * 1000;
    struct pollfd fds[4];

    *out_ready = 0;
    for (;;) {
        int64_t left_us = until_us - clock_monotonic_us();
        int wait_ms = left_us <= 0 ? 0 : left_us > 60000000 ? 60000 : (int)(left_us / 1000) + 1;

        if (cancel_check(p->run->cancel, err) < 0)
            return -1;
        fds[0] = (struct pollfd){.fd = wanted & PROCESS_OUTPUT ? p->out : -1, .events = POLLIN};
        fds[1] = (struct pollfd){.fd = wanted & PROCESS_INPUT ? p->in : -1, .events = POLLOUT};
        fds[2] = (struct pollfd){.fd = p->said, .events = POLLIN};
        fds[3] = (struct pollfd){.fd = cancel_fd(p->run->cancel), .events = POLLIN};
        poll(fds, 4, wait_ms);
        if (fds[2].revents)
            listen_to(p);
        if (fds[0].revents)
            *out_ready |= PROCESS_OUTPUT;
        if (fds[1].revents)
            *out_ready |= PROCESS_INPUT;
        if (*out_ready || left_us <= 0)
            return 0;
    }
}

int process_read(struct process *p, char *room, size_t n, size_t *out_n, struct error *err)
{
    ssize_t got = p->out < 0 ? 0 : read(p->out, room, n);

    *out_n = got > 0 ? (size_t)got : 0;
    if (got == 0) {
        p->at_end = true;
        close_fd(&p->out);
    } else if (got < 0 && errno != EAGAIN && errno != EINTR) {
        return error_set_errno(err, errno, "reading from program \"%s\"", p->program->name);
    }
    return 0;
}

bool process_at_end(const struct process *p)
{
    return p->at_end;
}

int process_write(struct process *p, const char *bytes, size_t n, size_t *out_n, struct error *err)
{
    ssize_t put = p->in < 0 ? -1 : write(p->in, bytes, n);

    *out_n = put > 0 ? (size_t)put : 0;
    if (put >= 0 || (p->in >= 0 && (errno == EAGAIN || errno == EINTR)))
        return 0;
    if (p->in >= 0 && errno != EPIPE)
        return error_set_errno(err, errno, "writing to program \"%s\"", p->program->name);
    return error_set_reason(err, ERR_TRANSIENT, "program_closed_input",
                            "program \"%s\" stopped reading its input", p->program->name);
}

void process_close_input(struct process *p)
{
    close_fd(&p->in);
}

const char *process_dir(const struct process *p)
{
    return p->dir;
}

/* ------------------------------------------------------------------------ ending */

static void hear_the_rest(struct process *p)
{
    /* Everybody who could write has ended: what is left fits the pipe. */
    for (int i = 0; i < 1024 && p->said >= 0; i++)
        listen_to(p);
    speech_end(&p->speech);
}

static int judge(const struct process *p, struct error *err)
{
    const char *said = speech_last(&p->speech), *name = p->program->name;
    const char *colon = *said ? ": " : "";
    int status = p->report.value;

    if (p->report.kind == SUPERVISE_NOT_STARTED)
        return error_set_reason(err, ERR_CONFIG, "program_not_started",
                                "program \"%s\" cannot be executed: %s", name,
                                strerrordesc_np(status));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (WIFEXITED(status))
        return error_set_reason(err, ERR_TRANSIENT, "program_failed",
                                "program \"%s\" ended with exit status %d%s%s", name,
                                WEXITSTATUS(status), colon, said);
    return error_set_reason(err, ERR_TRANSIENT, "program_failed",
                            "program \"%s\" was ended by signal %d (%s)%s%s", name,
                            WTERMSIG(status), sigabbrev_np(WTERMSIG(status)), colon, said);
}

/* Drops further output, which would keep the program from ending. */
static int drop_output(struct process *p, struct error *err)
{
    char room[1 << 14];
    size_t n = 1;

    while (p->out >= 0 && n > 0) {
        if (process_read(p, room, sizeof room, &n, err) < 0)
            return -1;
    }
    return 0;
}

static int wait_for_report(struct process *p, int64_t timeout_ms, struct error *err)
{
    int64_t until_us = timeout_ms < 0 ? INT64_MAX : clock_monotonic_us() + timeout_ms * 1000;

    while (!p->reported) {
        int64_t left_us = until_us - clock_monotonic_us();
        struct pollfd fds[] = {{.fd = p->status, .events = POLLIN},
                               {.fd = p->said, .events = POLLIN},
                               {.fd = p->out, .events = POLLIN},
                               {.fd = cancel_fd(p->run->cancel), .events = POLLIN}};

        if (cancel_check(p->run->cancel, err) < 0)
            return -1;
        if (left_us <= 0) {
            p->hung = true;
            return error_set_reason(err, ERR_TRANSIENT, "program_hangs",
                                    "program \"%s\" does not end", p->program->name);
        }
        poll(fds, 4, left_us > 60000000 ? 60000 : (int)(left_us / 1000) + 1);
        if (fds[1].revents)
            listen_to(p);
        if (fds[2].revents && drop_output(p, err) < 0)
            return -1;
        if (!fds[0].revents)
            continue;
        if (read(p->status, &p->report, sizeof p->report) != sizeof p->report)
            p->report = (struct supervise_report){SUPERVISE_ENDED, SIGKILL};
        p->reported = true;
    }
    return 0;
}

/* Counts why a program ends otherwise than by itself; before it is told to. */
static void count_end(const struct process *p)
{
    struct pollfd fd = {.fd = p->status, .events = POLLIN};
    struct error ignored = ERROR_INIT;
    bool running = !p->reported && poll(&fd, 1, 0) == 0;

    metric_add(METRIC_EXEC_PROCESSES, -1);
    if (running)
        metric_add_for(METRIC_EXEC_KILLS,
                       METRIC_LABELS(p->hung                                      ? "hung"
                                     : cancel_check(p->run->cancel, &ignored) < 0 ? "cancelled"
                                                                                  : "not_needed"),
                       1);
    else if (p->reported && p->report.kind == SUPERVISE_ENDED && WIFSIGNALED(p->report.value))
        metric_add_for(METRIC_EXEC_KILLS, METRIC_LABELS("signal"), 1);
}

static void reap_supervisor(struct process *p)
{
    while (p->supervisor > 0 && waitpid(p->supervisor, NULL, 0) < 0 && errno == EINTR)
        continue;
    p->supervisor = 0;
}

int process_finish(struct process *p, int64_t timeout_ms, struct error *err)
{
    process_close_input(p);
    if (wait_for_report(p, timeout_ms, err) < 0)
        return -1;
    hear_the_rest(p);
    reap_supervisor(p);
    return judge(p, err);
}

void process_free(struct process *p)
{
    if (!p)
        return;
    if (p->started)
        count_end(p);
    close_fd(&p->control);
    close_fd(&p->in);
    close_fd(&p->out);
    if (p->said >= 0)
        hear_the_rest(p);
    close_fd(&p->said);
    reap_supervisor(p);
    close_fd(&p->status);
    if (p->dir[0])
        privatedir_remove(p->dir);
    speech_release(&p->speech);
    arena_free(p->mem);
    free(p);
}
