/*
 * log.h - progress for people and machines: a constant message and typed fields.
 *
 * The receiver decides where a line goes (the run's log, the service's standard output, a
 * terminal). Messages are constant text, everything that varies is a field; secrets are never
 * given. Failures are returned, not logged: only the edges (worker, HTTP adapter) log errors. A
 * line may be emitted from any thread if the receiver allows it; all of ours do.
 */
#ifndef CONNECTORS_BASE_LOG_H
#define CONNECTORS_BASE_LOG_H

#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

#define LOG_MAX_FIELDS 8

struct log_field {
    const char *key;  /* NULL ends the list */
    const char *text; /* NULL means `number` counts */
    int64_t number;
};

struct log_line {
    const char *message;
    struct log_field fields[LOG_MAX_FIELDS];
};

/* Open: embed it first in a struct of your own, or declare it static. */
struct log {
    void (*emit)(struct log *log, enum log_level level, const struct log_line *line);
    enum log_level threshold; /* lines below it are dropped before they are built */
};

static inline struct log_field log_text(const char *key, const char *text)
{
    return (struct log_field){key, text ? text : "", 0};
}

static inline struct log_field log_int(const char *key, int64_t number)
{
    return (struct log_field){key, NULL, number};
}

void log_emit(struct log *log, enum log_level level, const struct log_line *line);

/* log_info(log, .message = "batch committed", .fields = {log_int("rows", n)}); */
#define log_debug(log, ...) log_emit((log), LOG_DEBUG, &(struct log_line){__VA_ARGS__})
#define log_info(log, ...)  log_emit((log), LOG_INFO, &(struct log_line){__VA_ARGS__})
#define log_warn(log, ...)  log_emit((log), LOG_WARN, &(struct log_line){__VA_ARGS__})
#define log_error(log, ...) log_emit((log), LOG_ERROR, &(struct log_line){__VA_ARGS__})

/* Drops every line: for tests and for callers that have no audience. */
extern struct log log_nowhere;

const char *log_level_name(enum log_level level); /* "debug", "info", "warn", "error" */
/* The level of this name, or -1. */
int log_level_from_name(const char *name);

#endif
