/*
 * candidates.h - which columns of a table may be its cursor. Pure.
 */
#ifndef CONNECTORS_SQL_CANDIDATES_H
#define CONNECTORS_SQL_CANDIDATES_H

#include "connectors/sql/dialect.h"

/* Fills `cursors` of the stream, best first, and `incremental`: what is not suggested may still be
 * right, since a user knows more than the names of columns say. Memory of `mem`. */
void candidates_choose(const struct sql_dialect *d, struct arena *mem, struct stream *s);

#endif
