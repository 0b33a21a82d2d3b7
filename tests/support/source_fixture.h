/*
 * source_fixture.h - a database of its own on a server and a source that reads it.
 */
#ifndef TESTS_SUPPORT_SOURCE_FIXTURE_H
#define TESTS_SUPPORT_SOURCE_FIXTURE_H

#include "tests/support/databases.h"
#include "tests/support/fake_sink.h"
#include "tests/support/harness.h"

struct source_fixture {
    enum database_kind kind;
    const struct source_connector *source;
    struct arena *mem;
    const char *database;
    const char *options; /* more members of the configuration: ",\"skew_s\":0" */
    const char *config;  /* instead of that of the test's own user; or NULL */
    struct harness h;    /* opened by source_fixture_select */
    bool open;
    struct fake_sink *got;
    char position[8192]; /* at which the last read of the only stream ended */
    struct error err;
};

void source_fixture_open(struct source_fixture *f, enum database_kind kind,
                         const struct source_connector *source);
void source_fixture_close(struct source_fixture *f);

void source_fixture_run(struct source_fixture *f, const char *sql);
/* The first column of the first row as text. */
const char *source_fixture_ask(struct source_fixture *f, const char *sql);

/* Discovers and takes these streams (NULL = all); aborts the test when that fails. */
void source_fixture_select(struct source_fixture *f, const char *streams_json);
/* The same, which must fail; the error is in f->err. */
void source_fixture_refuse(struct source_fixture *f);

/* A discovered stream, which must be there; and its columns: "a int not null key, b string". */
const struct stream *source_fixture_stream(struct source_fixture *f, const char *name);
const char *source_fixture_shape(struct source_fixture *f, const char *name);

/* Reads all selected streams, the first one from f->position on, and keeps the position it ends
 * with. The stream may have failed; the source may not. */
struct fake_stream *source_fixture_read(struct source_fixture *f);
/* The same, and the first stream must not fail: its lines, with a blank between them. */
const char *source_fixture_lines(struct source_fixture *f);
/* Reads the only stream from every checkpoint that the whole read of it made, and checks that the
 * rest comes and nothing else, but for the overlap of windows where that is absorbed. */
void source_fixture_resume_everywhere(struct source_fixture *f);

#endif
