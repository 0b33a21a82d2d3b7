/*
 * app.h - what handlers may reach. Built by main.c, const afterwards.
 */
#ifndef SERVER_APP_H
#define SERVER_APP_H

#include <stdint.h>

#include "server/sync/sealed.h"

struct http;
struct logstreams;
struct runs;
struct settings; /* server/config.h */
struct store;

struct auth; /* server/http/auth.h */

struct app {
    struct store *store;
    struct runs *runs;
    struct logstreams *logs;
    struct http *http;
    struct http *operator_http; /* the server of admin_listen; NULL without one */
    const struct settings *settings;
    struct vault vault; /* what secrets are sealed and found with */
    struct auth *auth;  /* NULL = everybody may everything */
    int64_t started_unix_us;
};

#endif
