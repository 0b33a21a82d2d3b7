/*
 * reload.h - SIGHUP: reads the settings again and takes over what may change while the service
 * runs.
 */
#ifndef SERVER_RELOAD_H
#define SERVER_RELOAD_H

#include "connectors/base/log.h"
#include "server/app.h"
#include "server/config.h"

/*
 * Everything is validated first; with a mistake nothing changes and the log says all of them. What
 * differs from `config` (of the start) and cannot change is reported as needing a restart. Main
 * thread only.
 */
void reload_settings(struct app *app, const struct config *config, struct log *log);

#endif
