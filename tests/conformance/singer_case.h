/*
 * singer_case.h - a tap of 5,000 rows as a case of the source suite.
 */
#ifndef TESTS_CONFORMANCE_SINGER_CASE_H
#define TESTS_CONFORMANCE_SINGER_CASE_H

#include "connectors/base/arena.h"

void singer_prepare(const char *dir);
const char *singer_config(struct arena *mem, const char *dir);
const char *singer_broken(struct arena *mem, const char *dir);

#endif
