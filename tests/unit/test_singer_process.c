#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "connectors/base/arena.h"
#include "connectors/base/clock.h"
#include "connectors/singer/process.h"
#include "tests/support/tempdir.h"

/* A log that keeps what was said. */
struct kept {
    struct log log; /* first */
    size_t n, n_error;
    char text[2048];
};

static void keep(struct log *log, enum log_level level, const struct log_line *line)
{
    struct kept *k = (struct kept *)log;

    k->n++;
    k->n_error += level == LOG_ERROR;
    snprintf(k->text, sizeof k->text, "%s", line->fields[1].key ? line->fields[1].text : "");
}

static struct kept said;
static struct run run;
static char dir[TEMPDIR_BYTES];

static void set_up(void)
{
    struct error err = ERROR_INIT;

    tempdir_make(dir);
    said = (struct kept){.log = {.emit = keep}};
    run = (struct run){.mem = arena_new(), .log = &said.log, .id = ""};
    cr_assert_eq(cancel_new(&run.cancel, &err), 0);
}

static void tear_down(void)
{
    arena_free(run.mem);
    cancel_free(run.cancel);
    tempdir_remove(dir);
}

TestSuite(singer_process, .init = set_up, .fini = tear_down);

static const struct program *script(const char *text)
{
    static struct program p;
    FILE *f;

    p = (struct program){.name = "probe",
                         .path = arena_printf(run.mem, "%s/probe", dir),
                         .limits = {(int64_t)1 << 30, 256, 4096, 1 << 20}};
    f = fopen(p.path, "w");
    fputs(text, f);
    fclose(f);
    chmod(p.path, 0755);
    return &p;
}

static const char *const no_args[] = {NULL};

static struct process *started(const char *text, bool wants_input)
{
    struct process_start how = {
        .program = script(text), .args = no_args, .wants_input = wants_input, .grace_ms = 100};
    struct error err = ERROR_INIT;
    struct process *p = NULL;

    cr_assert_eq(process_start(&how, &run, &p, &err), 0, "%s", err.message);
    return p;
}

static const char *output_of(struct process *p)
{
    static char text[4096];
    struct error err = ERROR_INIT;
    size_t at = 0, n;
    unsigned ready;

    while (!process_at_end(p)) {
        cr_assert_eq(process_wait(p, PROCESS_OUTPUT, -1, &ready, &err), 0, "%s", err.message);
        cr_assert_eq(process_read(p, text + at, sizeof text - 1 - at, &n, &err), 0);
        at += n;
    }
    text[at] = '\0';
    return text;
}

/* Whether a process lives, and is no zombie. */
static bool lives(long pid)
{
    char path[64], line[256] = "";
    FILE *f;

    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    f = fopen(path, "r");
    if (!f)
        return false;
    if (!fgets(line, sizeof line, f))
        line[0] = '\0';
    fclose(f);
    return strstr(line, ") Z") == NULL && *line;
}

Test(singer_process, gives_what_a_program_writes_and_its_good_end)
{
    struct process *p = started("#!/bin/sh\necho hello\n", false);
    struct error err = ERROR_INIT;

    cr_assert_str_eq(output_of(p), "hello\n");
    cr_assert_eq(process_finish(p, -1, &err), 0, "%s", err.message);
    process_free(p);
}

Test(singer_process, passes_its_input_on)
{
    struct process *p = started("#!/bin/sh\nexec cat\n", true);
    struct error err = ERROR_INIT;
    unsigned ready;
    size_t n;

    cr_assert_eq(process_wait(p, PROCESS_INPUT, -1, &ready, &err), 0);
    cr_assert_eq(process_write(p, "abc", 3, &n, &err), 0);
    process_close_input(p);
    cr_assert_str_eq(output_of(p), "abc");
    cr_assert_eq(process_finish(p, -1, &err), 0);
    process_free(p);
}

Test(singer_process, judges_a_bad_end_with_the_last_words)
{
    struct process *p = started("#!/bin/sh\necho 'ERROR no such table' >&2\nexit 3\n", false);
    struct error err = ERROR_INIT;

    cr_assert_eq(process_finish(p, -1, &err), -1);
    cr_assert_str_eq(error_reason(&err), "program_failed");
    cr_assert(error_is_retryable(&err));
    cr_assert(strstr(err.message, "exit status 3: no such table"), "%s", err.message);
    cr_assert_eq(said.n_error, 1);
    process_free(p);
}

Test(singer_process, tells_the_signal_that_ended_a_program)
{
    struct process *p = started("#!/bin/sh\nkill -SEGV $$\n", false);
    struct error err = ERROR_INIT;

    cr_assert_eq(process_finish(p, -1, &err), -1);
    cr_assert(strstr(err.message, "signal 11 (SEGV)"), "%s", err.message);
    process_free(p);
}

Test(singer_process, says_when_the_file_is_no_program)
{
    struct process *p = started("this is no program\n", false);
    struct error err = ERROR_INIT;

    cr_assert_eq(process_finish(p, -1, &err), -1);
    cr_assert_str_eq(error_reason(&err), "program_not_started");
    cr_assert_eq(err.code, ERR_CONFIG);
    process_free(p);
}

Test(singer_process, hands_configuration_over_in_a_private_file)
{
    static const char *const args[] = {"--config", "@config.json", NULL};
    const struct private_file file = {"config.json", "{\"a\":1}", 7};
    struct process_start how = {.args = args, .files = &file, .n_files = 1};
    struct error err = ERROR_INIT;
    char private_dir[PRIVATEDIR_BYTES];
    struct process *p;
    const char *text;

    how.program = script("#!/bin/sh\nstat -c %a \"$2\"\nstat -c %a .\npwd\ncat \"$2\"\necho\n"
                         "env | grep -c CONNECTORD\nls -l /proc/self/fd | wc -l\n");
    setenv("CONNECTORD_SECRET", "no", 1);
    cr_assert_eq(process_start(&how, &run, &p, &err), 0, "%s", err.message);
    snprintf(private_dir, sizeof private_dir, "%s", process_dir(p));
    text = output_of(p);
    cr_assert(text[0] == '6' && strstr(text, "600\n700\n") == text, "%s", text);
    cr_assert(strstr(text, private_dir));
    /* No variable of ours; the three pipes, the program itself, and what ls opened. */
    cr_assert(strstr(text, "{\"a\":1}\n0\n"), "%s", text);
    cr_assert_eq(process_finish(p, -1, &err), 0, "%s", err.message);
    process_free(p);
    cr_assert_eq(access(private_dir, F_OK), -1, "the private directory stayed");
}

Test(singer_process, ends_who_ignores_the_polite_signal)
{
    struct process *p = started("#!/bin/sh\ntrap '' TERM\necho $$\nexec >&-\n"
                                "while :; do sleep 1; done\n",
                                false);
    long pid = 0;

    cr_assert_eq(sscanf(output_of(p), "%ld", &pid), 1);
    cr_assert(lives(pid));
    process_free(p);
    cr_assert_not(lives(pid));
}

/* X5: cancelled, killed, forked twice: nothing lives on. */

/* A process that has left the group and the session of the program. */
#define DAEMON "setsid sh -c 'sleep 100 & echo $!; exec sleep 100' & "

Test(singer_process, leaves_no_process_behind_however_it_hides)
{
    struct process *p = started("#!/bin/sh\n(" DAEMON ")\nsleep 0.1\nexec >&-\nsleep 100\n", false);
    struct error err = ERROR_INIT;
    char text[256] = "";
    unsigned ready;
    long pid = 0;
    size_t n;

    cr_assert_eq(process_wait(p, PROCESS_OUTPUT, -1, &ready, &err), 0);
    cr_assert_eq(process_read(p, text, sizeof text - 1, &n, &err), 0);
    cr_assert_eq(sscanf(text, "%ld", &pid), 1);
    cr_assert(lives(pid));
    process_free(p);
    cr_assert_not(lives(pid));
}

Test(singer_process, ends_the_children_of_a_program_that_ended_well)
{
    struct process *p = started("#!/bin/sh\nsleep 100 & echo $!\n", false);
    struct error err = ERROR_INIT;
    long pid = 0;

    cr_assert_eq(sscanf(output_of(p), "%ld", &pid), 1, "its output ended");
    cr_assert_eq(process_finish(p, -1, &err), 0, "%s", err.message);
    cr_assert_not(lives(pid));
    process_free(p);
}

Test(singer_process, dies_with_us)
{
    char text[64] = "";
    long pid = 0;
    int fds[2];
    pid_t child;

    cr_assert_eq(pipe(fds), 0);
    child = fork();
    if (child == 0) {
        struct process *p = started("#!/bin/sh\n(" DAEMON ")\nsleep 100\n", false);
        struct error err = ERROR_INIT;
        unsigned ready;
        size_t n = 0;

        if (process_wait(p, PROCESS_OUTPUT, -1, &ready, &err) < 0 ||
            process_read(p, text, sizeof text, &n, &err) < 0 || write(fds[1], text, n) < 0)
            _exit(1);
        kill(getpid(), SIGKILL);
    }
    close(fds[1]);
    cr_assert_gt(read(fds[0], text, sizeof text - 1), 0);
    waitpid(child, NULL, 0);
    cr_assert_eq(sscanf(text, "%ld", &pid), 1);
    for (int64_t until = clock_monotonic_us() + 20000000; lives(pid);) {
        cr_assert_lt(clock_monotonic_us(), until, "process %ld lives on", pid);
        usleep(2000);
    }
    close(fds[0]);
}

Test(singer_process, hears_a_flood_in_part_and_goes_on)
{
    struct process *p =
        started("#!/bin/sh\nyes 'WARNING again' | head -n 200000 >&2\necho done\n", false);
    struct error err = ERROR_INIT;

    cr_assert_str_eq(output_of(p), "done\n");
    cr_assert_eq(process_finish(p, -1, &err), 0);
    cr_assert_geq(said.n, 1000);
    cr_assert_lt(said.n, 100000, "the log was flooded with %zu lines", said.n);
    process_free(p);
}

Test(singer_process, notices_a_stop_while_it_waits)
{
    struct process *p = started("#!/bin/sh\nsleep 100\n", false);
    struct error err = ERROR_INIT;
    unsigned ready;

    cr_assert_eq(process_wait(p, PROCESS_OUTPUT, 1, &ready, &err), 0);
    cr_assert_eq(ready, 0u);
    cancel_request(run.cancel, CANCEL_USER);
    cr_assert_eq(process_wait(p, PROCESS_OUTPUT, -1, &ready, &err), -1);
    cr_assert_eq(err.code, ERR_CANCELLED);
    process_free(p);
}

Test(singer_process, says_that_a_program_no_longer_reads)
{
    struct process *p = started("#!/bin/sh\nexec <&-\necho x\nsleep 100\n", true);
    struct error err = ERROR_INIT;
    unsigned ready;
    size_t n;

    cr_assert_eq(process_wait(p, PROCESS_OUTPUT, -1, &ready, &err), 0);
    cr_assert_eq(process_write(p, "abc", 3, &n, &err), -1);
    cr_assert_str_eq(error_reason(&err), "program_closed_input");
    process_free(p);
}

Test(singer_process, gives_up_on_one_that_does_not_end)
{
    struct process *p = started("#!/bin/sh\nexec >&-\nsleep 100\n", false);
    struct error err = ERROR_INIT;

    cr_assert_eq(process_finish(p, 20, &err), -1);
    cr_assert_str_eq(error_reason(&err), "program_hangs");
    process_free(p);
}

Test(singer_process, limits_what_a_program_may_write)
{
    struct process *p = started("#!/bin/sh\nexec head -c 2000000 /dev/zero > big\n", false);
    struct error err = ERROR_INIT;

    cr_assert_eq(process_finish(p, -1, &err), -1);
    cr_assert_str_eq(error_reason(&err), "program_failed");
    process_free(p);
}
