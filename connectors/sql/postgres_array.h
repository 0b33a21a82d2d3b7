/*
 * postgres_array.h - the part of postgres_decode.c for arrays; the form is described there.
 */
#ifndef CONNECTORS_SQL_POSTGRES_ARRAY_H
#define CONNECTORS_SQL_POSTGRES_ARRAY_H

#include "connectors/sql/postgres_decode.h"

/* Appends the JSON. False when the bytes are no array; an element that is not UTF-8 ends it and is
 * put into *out_bad. */
CHECKED bool postgres_put_array(const char *p, size_t n, struct buf *out, struct slice *out_bad);

#endif
