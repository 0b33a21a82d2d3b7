/*
 * sqlite_fixture.h - two SQLite files in a temporary folder, and a run from one into the other.
 */
#ifndef TESTS_SUPPORT_SQLITE_FIXTURE_H
#define TESTS_SUPPORT_SQLITE_FIXTURE_H

#include "tests/support/harness.h"
#include "tests/support/pump.h"
#include "tests/support/tempdir.h"

struct sqlite_fixture {
    char dir[TEMPDIR_BYTES];
    char from[TEMPDIR_BYTES + 16], to[TEMPDIR_BYTES + 16];
    struct harness h; /* the source; opened by fixture_select */
    bool open;
    struct doc *to_doc;
    void *to_config;
    const char *options;    /* more members of the source's configuration: ",\"skew_s\":0" */
    const char *to_options; /* the same of the destination's */
    struct pump pump;
    int n_runs; /* 17 is the id of the first one */
    char run_id[16];
    struct error err;
};

void fixture_open(struct sqlite_fixture *f);
void fixture_close(struct sqlite_fixture *f);

/* Runs SQL in a file; aborts with its message when it fails. */
void fixture_exec(const char *path, const char *sql);
/* The rows as text: columns joined by '|', rows by ';', NULL as "~", blobs as x'..'. Static. */
const char *fixture_text(const char *path, const char *sql);
long long fixture_int(const char *path, const char *sql);

/* Discovers the source and takes these streams (NULL = all); makes the pump ready. */
void fixture_select(struct sqlite_fixture *f, const char *streams_json);
/* The attempts from here on belong to another run; fixture_run and fixture_fail do it themselves.
 */
void fixture_next_run(struct sqlite_fixture *f);
/* One attempt, which must succeed; or which must fail, and gives the error. The attempt after one
 * that failed belongs to the same run. */
void fixture_run(struct sqlite_fixture *f);
const struct error *fixture_fail(struct sqlite_fixture *f);

#endif
