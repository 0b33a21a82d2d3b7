/*
 * supervise.h - the small process between us and a program: it sees to it that nothing survives.
 *
 * It is a fork of this process that does nothing but wait: leader of a session of its own, reaper
 * of every orphan below it. When the program has ended, when it is told to, or when we are gone
 * however suddenly, it ends all processes below it until none is left, those that left the
 * process group included, and then removes the private files. Only calls that are safe between
 * fork and exec are made, since the process that forked has threads.
 */
#ifndef CONNECTORS_SINGER_SUPERVISE_H
#define CONNECTORS_SINGER_SUPERVISE_H

#include <stddef.h>
#include <stdint.h>

#include "connectors/singer/program.h"

struct supervised {
    int exec_fd; /* the program, opened */
    int stdin_fd, stdout_fd, stderr_fd;
    int control_fd; /* readable once the program is to end */
    int status_fd;  /* gets one struct supervise_report */
    const char *const *argv, *const *envp;
    const char *dir;          /* where it starts; removed when it is empty in the end */
    const char *const *files; /* paths that are removed in the end, NULL-terminated */
    struct program_limits limits;
    int64_t grace_ms; /* between SIGTERM and SIGKILL */
};

struct supervise_report {
    enum { SUPERVISE_ENDED, SUPERVISE_NOT_STARTED } kind;
    int value; /* the status that wait() gave, or the errno of what failed */
};

/* In the child of a fork. */
_Noreturn void supervise(const struct supervised *s);

#endif
