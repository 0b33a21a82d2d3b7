/*
 * fake_postgres.h - a server that says what a test wants it to say, on loopback.
 *
 * It takes connections one after the other in a thread of its own. To each it sends its answers in
 * turn, one whenever the client has sent something, and then stays silent until it is stopped.
 */
#ifndef TESTS_SUPPORT_FAKE_POSTGRES_H
#define TESTS_SUPPORT_FAKE_POSTGRES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fake_postgres; /* opaque */

struct fake_answer {
    const char *bytes;
    size_t n;
    size_t times; /* 0 = once */
    bool hang_up; /* behind it */
};

/* The answers are borrowed until it is stopped. */
struct fake_postgres *fake_postgres_start(const struct fake_answer *answers, size_t n);
int64_t fake_postgres_port(const struct fake_postgres *s);
/* Whether a client has sent these bytes. */
bool fake_postgres_saw(struct fake_postgres *s, const char *bytes);
void fake_postgres_stop(struct fake_postgres *s);

#endif
