/*
 * cell.h - text of a file into cells of a batch, without altering it.
 *
 * A column whose type was guessed takes only what the guess would have seen: "007" in a column of
 * integers is no 7, it is an odd cell. A type the user declared takes everything that can be read
 * as it.
 */
#ifndef CONNECTORS_FILES_CELL_H
#define CONNECTORS_FILES_CELL_H

#include "connectors/data/batch.h"
#include "connectors/files/settings.h"

/* What a text looks like, for guesses: canonical integers and decimals, true and false. */
bool cell_looks_int(const char *s, size_t n, int64_t *out);
bool cell_looks_decimal(const char *s, size_t n);
bool cell_looks_bool(const char *s, size_t n, bool *out);

/* Whether unquoted text stands for NULL. */
bool cell_is_null(const struct string_list *null_values, const char *s, size_t n);

/* Appends Latin-1 text as UTF-8. */
void cell_put_latin1(struct buf *out, const char *s, size_t n);

/* A field of a CSV file that is not NULL. */
void cell_put_text(struct batch *rows, size_t column, bool declared, const char *s, size_t n);

#endif
