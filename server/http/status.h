/*
 * status.h - the table behind status_of and status_title.
 */
#ifndef SERVER_HTTP_STATUS_H
#define SERVER_HTTP_STATUS_H

#include <stdbool.h>
#include <stddef.h>

struct status_row {
    const char *reason;
    int status;
    bool retryable;
    const char *title;
};

/* The row of a reason, or NULL. */
const struct status_row *status_find(const char *reason);
/* The whole table, for tests. */
const struct status_row *status_rows(size_t *out_n);

#endif
