/*
 * scripted_source.h - a source like a server's: rows come from a SQLite file, but its clock, its
 * open transactions and the numbers it gave out are what a test says.
 *
 * A transaction that is open is a token here and nothing in the file; the test inserts its rows
 * when it "commits". So every order of events between writers and a run can be played, without a
 * server and without waiting.
 */
#ifndef TESTS_SUPPORT_SCRIPTED_SOURCE_H
#define TESTS_SUPPORT_SCRIPTED_SOURCE_H

#include "connectors/connector.h"

#define SCRIPTED_MAX_OPEN 6000

struct scripted {
    int64_t now_us;
    bool hidden; /* open transactions cannot be told */
    const char *open[SCRIPTED_MAX_OPEN];
    size_t n_open;
    const char *also;  /* a token that is only looked for; NULL = none */
    bool knows_number; /* the database numbers the cursor itself */
    int64_t number;
    /* Called before the n-th look (from 1) and before the snapshot is taken; may be NULL. */
    void (*at_moment)(int n);
    void (*at_snapshot)(void);
    int n_moments;
    char calls[200]; /* "number moment moment snapshot " */
};

extern struct scripted scripted;
/* Reads with the configuration of the SQLite source, which discovers: open a harness with that one
 * and put this in its place. */
extern const struct source_connector source_scripted;

void scripted_reset(void);
void scripted_begin(const char *token); /* borrowed */
void scripted_end(const char *token);   /* must be open */

#endif
