/*
 * reload.h - SIGHUP: reads the settings again and takes over what may change while the service
 * runs: the level of the log, where connectors may connect to, who may ask, the key ring.
 */
#ifndef SERVER_RELOAD_H
#define SERVER_RELOAD_H

#include "connectors/base/log.h"
#include "server/config.h"
#include "server/identity.h"

struct reload; /* opaque; the main thread's */

/* `start` and `identity` are those of the service, and stay. */
struct reload *reload_new(const struct config *start, struct identity *identity, struct log *log);
void reload_free(struct reload *r); /* accepts NULL */

/*
 * Everything is read and judged first, files of keys and tokens included: with a mistake nothing
 * changes and the log says all of them. What has changed and cannot be taken over is reported as
 * needing a restart, each time anew.
 */
void reload_settings(struct reload *r);

#endif
