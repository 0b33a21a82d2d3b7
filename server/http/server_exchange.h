/*
 * server_exchange.h - the callbacks that libmicrohttpd gets: one exchange from its request line to
 * its last byte. Event threads only.
 */
#ifndef SERVER_HTTP_SERVER_EXCHANGE_H
#define SERVER_HTTP_SERVER_EXCHANGE_H

#include <microhttpd.h>

#include "server/http/internal.h"

void *exchange_begin(void *cls, const char *uri, struct MHD_Connection *c);
enum MHD_Result exchange_handle(void *cls, struct MHD_Connection *c, const char *url,
                                const char *method, const char *version, const char *data,
                                size_t *data_n, void **state);
void exchange_end(void *cls, struct MHD_Connection *c, void **state,
                  enum MHD_RequestTerminationCode why);
void exchange_connection(void *cls, struct MHD_Connection *c, void **state,
                         enum MHD_ConnectionNotificationCode what);
enum MHD_Result exchange_accept(void *cls, const struct sockaddr *address, socklen_t n);

/* server_reply.c: hands the finished response to libmicrohttpd; `close` ends the connection. */
enum MHD_Result reply_send(struct request *req, struct response *res, bool close);

#endif
