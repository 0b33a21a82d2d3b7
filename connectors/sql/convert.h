/*
 * convert.h - values on their way into a column of a wider type, as text.
 *
 * When a column has grown along the lattice (int to decimal, date to string, anything to json),
 * what comes in the narrower type is written as the canonical text of the wider one. Pure.
 */
#ifndef CONNECTORS_SQL_CONVERT_H
#define CONNECTORS_SQL_CONVERT_H

#include "connectors/data/batch.h"

/* Appends the text that a column of type `to` holds for canonical text of type `from`. The lattice
 * must join the two to `to`. */
void sql_convert_text(enum type from, enum type to, const char *s, size_t n, struct buf *out);

/* Appends the text of a cell that has a value, in a column of type `to`. */
void sql_convert_cell(const struct batch *b, size_t column, size_t row, enum type from,
                      enum type to, struct buf *out);

/* The bytes of a canonical decimal without the zeros that end its fraction: how a key is stored
 * where decimals are text, since 1.0 and 1.00 are one key. */
size_t sql_trim_decimal(const char *s, size_t n);

#endif
