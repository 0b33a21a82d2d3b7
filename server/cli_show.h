/*
 * cli_show.h - what `connectord sync` shows: a table that is redrawn on a terminal, otherwise the
 * events of the run as NDJSON.
 */
#ifndef SERVER_CLI_SHOW_H
#define SERVER_CLI_SHOW_H

#include <stdbool.h>

#include "connectors/base/redact.h"
#include "server/sync/run.h"

struct cli_show; /* opaque */

/* `fd` is standard output; a terminal decides the form. What is shown is without the `secrets`,
 * which are borrowed. */
struct cli_show *cli_show_new(int fd, struct redactor *secrets);
void cli_show_free(struct cli_show *s); /* accepts NULL */

/* To be given to a run; lives as long as `s`. `origin` as in logstream_log. */
struct run_observer *cli_show_observer(struct cli_show *s);
struct log *cli_show_log(struct cli_show *s, const char *origin);

/* From now on there are numbers to show. */
void cli_show_begin(struct cli_show *s, const struct progress *progress);
/* The last word; `progress` is NULL when the run could not begin. */
void cli_show_end(struct cli_show *s, const struct run_result *r, const struct progress *progress);

#endif
