/*
 * logs.h - the log of a run as a response: read, tailed or followed.
 */
#ifndef HANDLERS_LOGS_H
#define HANDLERS_LOGS_H

#include "server/app.h"
#include "server/http/http.h"
#include "server/sync/logstream.h"

/* What form the log is asked for, by ?format or Accept; 406 when none of ours is acceptable. */
CHECKED int logs_format(struct request *req, enum log_format *out, struct error *err);

enum logs_disconnect { LOGS_LEAVE, LOGS_CANCEL }; /* what happens to the run when the caller goes */

/* Makes `res` the log of this run. */
CHECKED int logs_answer(struct app *app, struct request *req, struct response *res, int64_t run,
                        const struct log_query *q, enum logs_disconnect gone, struct error *err);

#define LOGS_HEARTBEAT_US 15000000

#endif
