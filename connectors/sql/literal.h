/*
 * literal.h - constants as SQL writes them, out of the catalogs of databases.
 *
 * Where it is not certain that a text is a constant, and which one, it is none.
 */
#ifndef CONNECTORS_SQL_LITERAL_H
#define CONNECTORS_SQL_LITERAL_H

#include "connectors/base/buf.h"

/* Whether it is a number in decimal notation, with an exponent or without. */
__attribute__((pure)) bool literal_is_number(const char *sql);
/* Whether it is an integer of 64 bits as every program writes it: no sign before it but a minus, no
 * zeros. */
__attribute__((pure)) bool literal_is_plain_integer(const char *sql);

enum literal_escape {
    LITERAL_DOUBLED,   /* a quote within is doubled */
    LITERAL_BACKSLASH, /* and a backslash means something, as in MariaDB */
};
/* Appends what stands within the quotes; false when it is not one quoted text. */
CHECKED bool literal_read_text(const char *sql, char quote, enum literal_escape how,
                               struct buf *out);
/* x'00ff': appends it as base64. */
CHECKED bool literal_read_bytes(const char *sql, struct buf *out);
/* b'101': appends it as a number of at most 63 bits. */
CHECKED bool literal_read_bits(const char *sql, struct buf *out);

#endif
