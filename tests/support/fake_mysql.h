/*
 * fake_mysql.h - a server that speaks just enough of the MySQL protocol to misbehave.
 *
 * It serves one connection after another in a thread of its own and keeps what clients sent.
 */
#ifndef TESTS_SUPPORT_FAKE_MYSQL_H
#define TESTS_SUPPORT_FAKE_MYSQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fake_mysql_way {
    FAKE_MYSQL_ANSWERS,        /* every statement succeeds */
    FAKE_MYSQL_SILENT,         /* takes the connection and says nothing */
    FAKE_MYSQL_SILENT_TLS,     /* offers TLS, then says nothing */
    FAKE_MYSQL_ASKS_PASSWORD,  /* wants the password in clear */
    FAKE_MYSQL_ASKS_FILE,      /* answers every statement with the wish for a file */
    FAKE_MYSQL_ASKS_FILE_LATE, /* the same once the session is set up */
    FAKE_MYSQL_SLOW,           /* every statement succeeds, after a second once it is set up */
};

struct fake_mysql; /* opaque */

struct fake_mysql *fake_mysql_start(enum fake_mysql_way way);
int64_t fake_mysql_port(const struct fake_mysql *s);
/* From now on; for the next statement. */
void fake_mysql_change(struct fake_mysql *s, enum fake_mysql_way way);
/* Whether the bytes occur in what clients sent; all that they sent. */
bool fake_mysql_saw(struct fake_mysql *s, const char *bytes, size_t n);
size_t fake_mysql_received(struct fake_mysql *s);
/* Bytes that came in answer to the wish for a file, and how often it was wished for. */
size_t fake_mysql_file(struct fake_mysql *s, char *out, size_t size);
size_t fake_mysql_wishes(struct fake_mysql *s);
void fake_mysql_stop(struct fake_mysql *s);

#endif
