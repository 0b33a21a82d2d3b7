/*
 * client_internal.h - one request and its answer, shared by client.c and request.c alone.
 */
#ifndef CONNECTORS_HTTP_CLIENT_INTERNAL_H
#define CONNECTORS_HTTP_CLIENT_INTERNAL_H

#include <curl/curl.h>

#include "connectors/base/arena.h"
#include "connectors/http/client.h"
#include "connectors/http/url.h"

struct http_client {
    CURLM *multi;
    const struct cancel *cancel;
    struct arena *mem;
    struct http_settings set;
    struct url_origin base;
    CURL *idle; /* a handle kept for the next request: making one costs as much as a small answer */
    size_t n_open;
};

enum stage { STAGE_HEAD, STAGE_BODY, STAGE_DONE };

struct http_exchange {
    struct http_client *client;
    CURL *easy;
    struct arena *mem;
    struct curl_slist *list; /* headers as curl takes them */
    const char *method, *url;
    const char *host;    /* of the url */
    struct error denied; /* why the last socket was not opened */
    const struct http_header *headers;
    size_t n_headers;
    struct slice body;
    bool keep_credentials;
    int hops;

    enum stage stage;
    bool in_multi, paused, head_too_large, bomb;
    CURLcode result;
    char why[CURL_ERROR_SIZE];
    int status;
    struct buf head;           /* "name: value\0" one behind the other */
    struct buf inbox, handed;  /* received, and lent to the reader */
    int64_t n_body, waited_us; /* decoded bytes; time the server was waited for */
    int64_t last_us;           /* when something came last */
};

/* The name of every header and the method are tokens, and none is the client's own. */
CHECKED int request_check(const struct http_request *r, struct error *err);
/* Whether the address may be asked at all; *out is its origin. */
CHECKED int request_check_host(const struct http_client *c, const char *url, struct arena *mem,
                               struct url_origin *out, struct error *err);
void request_copy(struct http_exchange *x, const struct http_request *r);
/* Puts the request as it stands now on its way. */
CHECKED int request_launch(struct http_exchange *x, struct error *err);

#endif
