/*
 * main_run.h - what the programs of sources and of destinations share. Private to main*.c.
 */
#ifndef CONNECTORS_MAIN_RUN_H
#define CONNECTORS_MAIN_RUN_H

#include "connectors/connector.h"
#include "connectors/main_line.h"

#define MAIN_MAX_FILE_BYTES ((size_t)64 << 20)

enum main_status { MAIN_DONE = 0, MAIN_FAILED = 1, MAIN_USAGE = 2 };

/* Either of them, as a program sees it. */
struct main_connector {
    enum main_kind kind;
    const char *name, *title, *docs;
    const struct option *options;
    size_t config_size;
    const void *config_start;
    const struct source_connector *source;           /* or */
    const struct destination_connector *destination; /* one of them is NULL */
};

struct main_run {
    const struct main_connector *connector;
    struct main_line line;
    struct run run;               /* with a log on standard error */
    const struct doc *config_doc; /* the configuration borrows from it */
    const void *config;           /* decoded */
};

/*
 * The whole program but for its sync: reads the command line, answers --help, --spec and
 * --show_templates, decodes the configuration, then --test_connection; for everything else it calls
 * `work`, whose result is the exit status.
 */
int main_run(int argc, char **argv, const struct main_connector *c,
             int (*work)(struct main_run *p));

/* The document in a file or in text; NULL for neither. False when it cannot be read, which is told.
 * `what` is "catalog", "state", ... Belongs to the caller. */
bool main_document(const char *what, const char *path, const char *json, struct doc **out);

/* One line on standard error; both return the exit status. */
int main_fail(const struct error *err);
int main_refuse(const char *what, const struct problems *problems);

/* Writes all of it to standard output; fails with TRANSIENT when nobody reads there any more. */
CHECKED int main_write(const char *bytes, size_t n, struct error *err);
/* The same with a line feed behind, for answers that are one document. Returns the exit status. */
int main_answer(struct buf *text);

#endif
