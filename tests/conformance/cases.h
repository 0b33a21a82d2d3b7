/*
 * cases.h - the connectors that the conformance suites run, one row each.
 *
 * A new connector joins by a row in cases.c; test_registry fails while it has none.
 */
#ifndef TESTS_CONFORMANCE_CASES_H
#define TESTS_CONFORMANCE_CASES_H

#include "connectors/connector.h"

struct source_case {
    const struct source_connector *source;
    /* Makes the fixture in the empty directory `dir`; NULL when none is needed. */
    void (*prepare)(const char *dir);
    /* A configuration that reads it; the text lives in `mem`. */
    const char *(*config)(struct arena *mem, const char *dir);
    /* One that decodes and cannot work; NULL when the option table refuses everything wrong. */
    const char *(*broken)(struct arena *mem, const char *dir);
};

/* Ends with a row without source. */
extern const struct source_case source_cases[];

struct fake_stream;

struct destination_case {
    const struct destination_connector *destination;
    const char *(*config)(struct arena *mem, const char *dir);
    const char *(*broken)(struct arena *mem, const char *dir);
    /* Adds what a reader finds for the stream "users" now, a line {"id":..,"name":..,"email":..}
     * as fake_sink.h has them for each row; nothing when there is no such stream. */
    void (*read_back)(const char *dir, struct fake_stream *out);
};

extern const struct destination_case destination_cases[];

#endif
