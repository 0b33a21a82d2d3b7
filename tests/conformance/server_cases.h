/*
 * server_cases.h - fixtures of the cases that need a PostgreSQL or MariaDB; see cases.h.
 */
#ifndef TESTS_CONFORMANCE_SERVER_CASES_H
#define TESTS_CONFORMANCE_SERVER_CASES_H

#include "connectors/base/arena.h"

struct fake_stream;

void postgres_prepare(const char *dir);
const char *postgres_config(struct arena *mem, const char *dir);
const char *postgres_broken(struct arena *mem, const char *dir);
void postgres_read_back(const char *dir, struct fake_stream *out);

void mysql_prepare(const char *dir);
const char *mysql_config(struct arena *mem, const char *dir);
const char *mysql_broken(struct arena *mem, const char *dir);
void mysql_read_back(const char *dir, struct fake_stream *out);

#endif
