/*
 * target.h - a Singer target of the operator's list as a destination.
 *
 * A target says nothing of what it holds, so the service keeps the position (see
 * destination_connector.state_by_service), and what it prints decides: rows are durable once a
 * state that was written behind them comes back. By default that is judged when its input has
 * ended, which every target understands:
 *
 *   schema, rows, state 1, rows, state 2 ── end of input ── state 2 comes back, exit status 0
 *
 * so a program lives as long as a stream, and a stream is one commit. Targets that print a state as
 * soon as its rows are stored are told to with `echo` = "state": then one program lives as long as
 * the run, and every commit waits for its state.
 */
#ifndef CONNECTORS_SINGER_TARGET_H
#define CONNECTORS_SINGER_TARGET_H

#include "connectors/connector.h"

struct singer_target {
    const char *program;      /* a name of the operator's list */
    const struct doc *config; /* the target's own */
    const char *echo;         /* "end" or "state" */
    bool require_echo;        /* else exit status 0 is taken for it */
    bool versions;            /* overwritten streams end in ACTIVATE_VERSION */
    int64_t echo_timeout_s;   /* with "state" */
    int64_t restart_rows;     /* with "end": also after so many rows; 0 = only with the stream */
};

extern const char *const singer_target_echoes[];

/* Runs it with no input: exit status 0 says that it takes its configuration. */
CHECKED int singer_target_check(const struct singer_target *config, struct run *run,
                                struct error *err);
CHECKED int singer_target_open(const struct singer_target *config, struct run *run,
                               const struct write_plan *plan, struct destination **out,
                               struct error *err);

#endif
