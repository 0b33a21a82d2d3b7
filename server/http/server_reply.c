#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>

#include "connectors/base/clock.h"
#include "server/http/server_exchange.h"

/* A chunk is written into the memory of the connection; only HTTP/1.0 needs a buffer of its own. */
#define STREAM_BLOCK_10 ((size_t)16 << 10)
#define STREAM_BLOCK_11 ((size_t)128)
#define DRY_BYTES       2048 /* a piece that stays within the first page of the buffer */

static bool is_text(const char *type)
{
    return !strncasecmp(type, "text/", 5);
}

static bool is_json(const char *type)
{
    return !strncasecmp(type, "application/json", 16) ||
           !strncasecmp(type, "application/problem+json", 24);
}

static void add(struct MHD_Response *m, const char *name, const char *value)
{
    /* Fails for nothing but characters that response_header has already taken out. */
    (void)MHD_add_response_header(m, name, value);
}

/* Indented if asked for, and with a newline at its end, for people at a terminal. */
static void finish_body(struct request *req, struct response *res, const char *type)
{
    struct buf *body = &res->body;

    if (!body->len)
        return;
    if (is_json(type) && request_query(req, "pretty")) {
        struct buf pretty = BUF_INIT(HTTP_MAX_RESPONSE);

        json_indent(&pretty, body->data, body->len);
        buf_release(body);
        *body = pretty;
    }
    if ((is_json(type) || is_text(type)) && body->data[body->len - 1] != '\n')
        buf_putc(body, '\n');
}

/* A GET whose answer the client already has. */
static void check_etag(struct request *req, struct response *res)
{
    const char *etag = response_find_header(res, "ETag");
    const char *known = request_header(req, "If-None-Match");

    if (res->status == 200 && etag && known && !res->priv->streaming &&
        (req->method == METHOD_GET || req->method == METHOD_HEAD) && etag_matches(known, etag)) {
        /* The body stays for its length; the library does not send it. */
        res->status = 304;
    }
}

/* Handlers name routes as the table does; what is put in front of them is known here. */
static const char *as_seen_from_outside(struct request *req, const struct pair *header)
{
    if (!strcasecmp(header->name, "Location") && *header->value == '/')
        return arena_printf(req->mem, "%s%s", req->http->config.base_path, header->value);
    return header->value;
}

static void add_headers(struct request *req, struct response *res, struct MHD_Response *m,
                        const char *type, bool close)
{
    struct response_private *priv = res->priv;

    if (type && is_text(type) && !strstr(type, "charset"))
        add(m, "Content-Type", arena_printf(req->mem, "%s; charset=utf-8", type));
    else if (type)
        add(m, "Content-Type", type);
    add(m, "X-Content-Type-Options", "nosniff");
    add(m, "X-Request-Id", req->id);
    if (!response_find_header(res, "Cache-Control"))
        add(m, "Cache-Control", "no-store");
    if ((res->status == 503 || res->status == 429) && !response_find_header(res, "Retry-After"))
        add(m, "Retry-After", HTTP_RETRY_AFTER_S);
    for (size_t i = 0; i < priv->n_headers; i++)
        add(m, priv->headers[i].name, as_seen_from_outside(req, &priv->headers[i]));
    if (close)
        add(m, "Connection", "close");
}

/*
 * The library has cleared half the memory of the connection when it made room for the answer, so a
 * follower that says little would hold 28 KiB of it. `out` is ours to fill: whole pages that are
 * left empty go back to the system, but for one that has room for a few lines.
 */
static void give_back(char *out, size_t max)
{
    const size_t page = 4096;
    size_t rest = (page - (uintptr_t)out % page) % page;
    size_t skip = rest >= DRY_BYTES ? rest : rest + page;
    size_t n = skip < max ? (max - skip) / page * page : 0;

    if (n)
        madvise(out + skip, n, MADV_DONTNEED);
}

static ssize_t read_stream(void *cls, uint64_t position, char *out, size_t max)
{
    struct request *req = cls;
    struct http *h = req->http;
    int64_t wake_us = 0, n;

    (void)position;
    if (atomic_load(&req->conn->gone))
        return MHD_CONTENT_READER_END_WITH_ERROR;
    /* Counted before the look: what changes during it is not missed. */
    req->wait.seen = atomic_load(&h->keeper.changes);
    n = req->stream.read(req->stream.ctx, out, max, &wake_us);
    if (n > 0) {
        req->bytes_out += n;
        req->dirty |= n > DRY_BYTES;
        return (ssize_t)n;
    }
    if (n == STREAM_END)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (n != STREAM_AGAIN)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (req->dirty)
        give_back(out, max);
    req->dirty = false;
    req->wait.conn = req->conn;
    req->wait.ready = req->stream.ready;
    req->wait.ctx = req->stream.ctx;
    req->wait.deadline_us = wake_us;
    if (!keeper_suspend(h, &req->wait))
        return MHD_CONTENT_READER_END_OF_STREAM; /* the server stops */
    return 0;
}

static struct MHD_Response *new_stream(struct request *req, struct response *res)
{
    size_t block = req->http10 ? STREAM_BLOCK_10 : STREAM_BLOCK_11;
    struct MHD_Response *m;

    buf_release(&res->body); /* a handler may have begun one before it chose to stream */
    req->stream = res->priv->stream;
    req->streaming = true;
    req->dirty = true;
    res->priv->streaming = false;
    atomic_fetch_add(&req->http->streams, 1);
    m = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, block, read_stream, req, NULL);
    /* The library would end the missing body of a HEAD with a last chunk, which the client takes
     * for the beginning of the next answer; without chunks it closes instead. */
    if (m && req->method == METHOD_HEAD)
        (void)MHD_set_response_options(m, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
    return m;
}

static struct MHD_Response *new_plain(struct request *req, struct response *res)
{
    static char nothing[1];
    struct MHD_Response *m;
    size_t n = res->body.len;
    char *data = res->body.data;

    res->body.data = NULL;
    buf_release(&res->body);
    if (req->method != METHOD_HEAD && res->status != 304)
        req->bytes_out = (int64_t)n;
    m = MHD_create_response_from_buffer(n, data ? data : nothing,
                                        data ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    if (!m)
        free(data);
    return m;
}

enum MHD_Result reply_send(struct request *req, struct response *res, bool close)
{
    const char *type = res->content_type ? res->content_type : "application/json";
    struct MHD_Response *m;
    enum MHD_Result rc;
    bool empty;

    check_etag(req, res);
    finish_body(req, res, type);
    empty = !res->priv->streaming && !res->body.len;
    /* To keep a connection the library would clear all of its memory for the next request, which a
     * thousand streams that end together would fill at the same moment. */
    close |= res->priv->streaming;
    m = res->priv->streaming ? new_stream(req, res) : new_plain(req, res);
    if (!m)
        return MHD_NO;
    add_headers(req, res, m, empty ? NULL : type, close);
    req->status = res->status;
    conn_mark(req->conn, PHASE_WRITE);
    rc = MHD_queue_response(req->conn->mhd, (unsigned)res->status, m);
    MHD_destroy_response(m);
    return rc;
}
