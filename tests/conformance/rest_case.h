/*
 * rest_case.h - an API on the loopback, described for the source `rest`.
 */
#ifndef TESTS_CONFORMANCE_REST_CASE_H
#define TESTS_CONFORMANCE_REST_CASE_H

#include "connectors/base/arena.h"

void rest_prepare(const char *dir);
const char *rest_config(struct arena *mem, const char *dir);
/* Nothing answers there. */
const char *rest_broken(struct arena *mem, const char *dir);

#endif
