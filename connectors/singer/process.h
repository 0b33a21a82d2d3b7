/*
 * process.h - a program of the operator's list, running, with three pipes and a private directory.
 *
 * No shell, no search path, no inherited environment or descriptors; see supervise.h for how
 * it ends. Reads and writes never block for longer than the run's cancellation takes to be
 * noticed; what the program says on standard error meanwhile becomes lines of the run's log. A
 * process belongs to one thread.
 */
#ifndef CONNECTORS_SINGER_PROCESS_H
#define CONNECTORS_SINGER_PROCESS_H

#include "connectors/connector.h"
#include "connectors/singer/privatedir.h"
#include "connectors/singer/program.h"

#define PROCESS_GRACE_MS 10000 /* between SIGTERM and SIGKILL */

struct process; /* opaque */

struct process_start {
    const struct program *program;
    const char *const *args; /* behind the operator's; NULL-terminated. "@name" is the path of a
                              * private file of that name */
    const struct private_file *files; /* written before it starts */
    size_t n_files;
    bool wants_input;           /* otherwise its standard input is empty */
    struct string_list secrets; /* never shown when it says them; copied */
    int64_t grace_ms;           /* 0 = PROCESS_GRACE_MS */
};

/* `run` must outlive the process. Sets SIGPIPE to be ignored. An executable that cannot be started
 * fails at the first wait. */
CHECKED int process_start(const struct process_start *how, struct run *run, struct process **out,
                          struct error *err);

enum process_ready {
    PROCESS_OUTPUT = 1 << 0, /* something can be read, or its end */
    PROCESS_INPUT = 1 << 1,  /* something can be written, or nobody reads any more */
};

/*
 * Waits until one of `wanted` is possible, at most `timeout_ms` (-1 = for ever): *out_ready is what
 * is, 0 when the time has passed. Fails with CANCELLED when the run is stopped.
 */
CHECKED int process_wait(struct process *p, unsigned wanted, int64_t timeout_ms,
                         unsigned *out_ready, struct error *err);

/* What there is, without waiting, up to `n` bytes: *out_n is 0 when there is nothing now. At the
 * end of its output process_at_end becomes true. */
CHECKED int process_read(struct process *p, char *room, size_t n, size_t *out_n, struct error *err);
bool process_at_end(const struct process *p);

/* Writes what fits without waiting. Fails with TRANSIENT, reason "program_closed_input", when the
 * program no longer reads. */
CHECKED int process_write(struct process *p, const char *bytes, size_t n, size_t *out_n,
                          struct error *err);
void process_close_input(struct process *p);

/*
 * Closes its input, waits for its end and judges it: 0 for exit status 0. Otherwise TRANSIENT,
 * reason "program_failed", with the status or signal and the last it said; CONFIG, reason
 * "program_not_started", when it could not be executed. Output that was not read is dropped. Fails
 * with TRANSIENT, reason "program_hangs", when it has not ended after `timeout_ms` (-1 = no limit).
 */
CHECKED int process_finish(struct process *p, int64_t timeout_ms, struct error *err);

/* Ends it if it still runs, with everything it started: SIGTERM, then SIGKILL. NULL is allowed. */
void process_free(struct process *p);
DEFINE_CLEANUP(struct process *, process_free_cleanup, process_free);

const char *process_dir(const struct process *p);

#endif
