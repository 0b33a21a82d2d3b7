/*
 * supervise.h - the small process between us and a program: it sees to it that nothing survives.
 *
 * It is this executable once more, started by posix_spawn with the name SUPERVISE_NAME, since a
 * process that has threads must not fork. It has one thread and nothing of our memory: leader of
 * a session of its own, reaper of every orphan below it. When the program has ended, when it is
 * told to, or when we are gone however suddenly, it ends all processes below it until none is
 * left, those that left the process group included, and then removes the private files.
 */
#ifndef CONNECTORS_SINGER_SUPERVISE_H
#define CONNECTORS_SINGER_SUPERVISE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

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

/* What the operating system calls it; a program of ours that finds itself called so is one. */
#define SUPERVISE_NAME "connectord-supervisor"

/* Starts a supervisor; what it is told is copied, and the descriptors stay the caller's. */
CHECKED int supervise_start(const struct supervised *s, pid_t *out, struct error *err);

/* The first thing in main(): does not return in a process that was started as a supervisor. */
void supervise_if_asked(int argc, char **argv);

#endif
