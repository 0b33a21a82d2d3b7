#include "connectors/rest/fetch.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "connectors/base/clock.h"
#include "connectors/base/hash.h"
#include "connectors/base/jsonwrite.h"
#include "connectors/base/redact.h"
#include "connectors/http/retry.h"
#include "connectors/rest/fetch_internal.h"

#define RATE_WAITS_MAX  1000 /* in a row, for one page: then something else is wrong */
#define UNDECODABLE_MAX 2    /* more tries for a body that is not what it should be */

/* --------------------------------------------------------------------- records */

static void spool_clear(struct spool *s)
{
    buf_clear(&s->text);
    s->n = 0;
    s->passing = false;
}

struct taking {
    struct fetcher *f;
    const struct fetch_taker *to;
    int64_t n; /* of this try, handed on or not */
    bool hashed;
};

static void keep(struct buf *to, struct slice record)
{
    buf_clear(to);
    buf_put(to, record.ptr, record.len);
}

static uint64_t mixed(uint64_t h, uint64_t word, uint64_t factor)
{
    h = (h ^ word) * factor;
    return h ^ h >> 29;
}

/* Two pages with the same records in the same order have the same sum, which nobody outside can
 * foresee: it begins at a number drawn by chance. */
static void add_hash(struct fetcher *f, struct slice record)
{
    uint64_t a = mixed(f->hash.a, record.len, UINT64_C(0x9e3779b97f4a7c15)), b = f->hash.b, word;
    size_t at = 0;

    for (; at + sizeof word <= record.len; at += sizeof word) {
        memcpy(&word, record.ptr + at, sizeof word);
        a = mixed(a, word, UINT64_C(0xff51afd7ed558ccd));
        b = mixed(b, word, UINT64_C(0xc4ceb9fe1a85ec53));
    }
    word = 0;
    memcpy(&word, record.ptr + at, record.len - at);
    f->hash.a = mixed(a, word, UINT64_C(0xff51afd7ed558ccd));
    f->hash.b = mixed(b, word, UINT64_C(0xc4ceb9fe1a85ec53));
}

static int drain(struct taking *t, struct error *err)
{
    struct spool *s = &t->f->spool;
    size_t at = 0;

    for (size_t i = 0; i < s->n; i++) {
        struct slice record = {buf_str(&s->text) + at, s->ends[i] - at};

        at = s->ends[i];
        if (t->to->each(t->to->arg, record, err) < 0)
            return -1;
    }
    buf_clear(&s->text);
    s->n = 0;
    return 0;
}

static int take_record(void *arg, struct slice record, struct error *err)
{
    struct taking *t = arg;
    struct spool *s = &t->f->spool;

    if (t->to->look && t->to->look(t->to->arg, t->n, record, err) < 0)
        return -1;
    if (t->n++ == 0)
        keep(&t->f->first, record);
    keep(&t->f->last, record);
    if (t->hashed)
        add_hash(t->f, record);
    if (!s->passing && s->text.len + record.len > FETCH_SPOOL) {
        s->passing = true;
        if (drain(t, err) < 0)
            return -1;
    }
    if (s->passing)
        return t->to->each(t->to->arg, record, err);
    if (s->n == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 1024;
        s->ends = xrealloc(s->ends, s->cap * sizeof *s->ends);
    }
    buf_put(&s->text, record.ptr, record.len);
    s->ends[s->n++] = s->text.len;
    return 0;
}

/* ----------------------------------------------------------------------- notes */

void fetch_note_add(struct fetcher *f, const struct http_request *r, int status, int64_t began_us,
                    int64_t n_records)
{
    const struct run_host *host = f->run->host;
    CLEANUP(arena_free_cleanup) struct arena *mem = NULL;

    if (!host)
        return;
    mem = arena_new();
    host->requested(host->arg,
                    &(struct request_note){r->method, mask_text(f, mem, r->url), status,
                                           (clock_monotonic_us() - began_us) / 1000, n_records});
}

/* ------------------------------------------------------------------------ pages */

/* One page being asked for. */
struct asking {
    struct fetcher *f;
    const struct rest_stream *stream;
    const struct fetch_request *r;
    struct taking *take;
    struct fetch_result *out;
    int64_t tries, rate_waits, undecodable;
    bool refreshed;
};

static const char *request_key(struct arena *mem, const struct fetch_request *r)
{
    char hex[HASH_HEX_BYTES];

    hash_bytes_hex(r->body.ptr ? r->body.ptr : "", r->body.len, hex);
    return arena_printf(mem, "%s %s %s", r->method, r->url, hex);
}

static void forget_ahead(struct fetcher *f)
{
    http_end(f->ahead);
    f->ahead = NULL;
    arena_free(f->ahead_mem);
    f->ahead_mem = NULL;
}

static int start(struct asking *a, struct http_request *req, struct http_exchange **out,
                 struct error *err)
{
    struct fetcher *f = a->f;

    if (f->ahead && strcmp(f->ahead_key, request_key(f->page, a->r)) == 0) {
        *out = TAKE(f->ahead);
        arena_free(f->ahead_mem);
        f->ahead_mem = NULL;
        return auth_apply(f, a->r, f->page, req, err);
    }
    forget_ahead(f);
    if (auth_ready(f, err) < 0 || limit_wait(f, a->r, err) < 0 ||
        auth_apply(f, a->r, f->page, req, err) < 0)
        return -1;
    return http_send(f->client, req, out, err);
}

void fetch_ahead(struct fetcher *f, const struct rest_stream *stream, const struct fetch_request *r)
{
    struct error ignored = ERROR_INIT;
    struct http_request req;

    (void)stream;
    forget_ahead(f);
    if (f->doc->client.concurrency < 2 || !f->client || limit_wait_ms(f, r) > 0)
        return;
    f->ahead_mem = arena_new();
    f->ahead_key = request_key(f->ahead_mem, r);
    if (auth_apply(f, r, f->ahead_mem, &req, &ignored) < 0 ||
        http_send(f->client, &req, &f->ahead, &ignored) < 0) {
        forget_ahead(f);
        return;
    }
    http_move(f->client); /* onto the wire: the server works while we do */
}

/* Headers of the answer as a JSON object with names in lower case. */
static void read_headers(struct fetcher *f, const struct http_exchange *x)
{
    struct jsonw w = JSONW_INIT(&f->headers);
    const char *at = NULL, *name, *value;
    char lower[256];

    buf_clear(&f->headers);
    jsonw_object(&w);
    while ((at = http_header_next(x, at, &name, &value))) {
        size_t n = (size_t)(strchr(name, ':') - name);

        if (n >= sizeof lower)
            continue;
        for (size_t i = 0; i < n; i++)
            lower[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + ('a' - 'A') : name[i]);
        jsonw_key_n(&w, lower, n);
        jsonw_string(&w, value);
    }
    jsonw_object_end(&w);
}

/* The body of what is no page: enough of it for a rule to look at. */
static int read_error_body(struct fetcher *f, struct http_exchange *x, struct error *err)
{
    struct error not_json = ERROR_INIT;
    struct rest_value v;
    const char *piece;
    size_t n;

    buf_clear(&f->envelope);
    do {
        if (http_read(x, &piece, &n, err) < 0)
            return -1;
        if (f->envelope.len + n <= FETCH_ERROR_MAX)
            buf_put(&f->envelope, piece, n);
        else
            n = 0;
    } while (n > 0);
    if (f->envelope.len == 0 ||
        rest_value_read((struct slice){buf_str(&f->envelope), f->envelope.len}, f->page, &v,
                        &not_json) < 0) {
        buf_clear(&f->envelope);
        buf_puts(&f->envelope, "{}");
    }
    return 0;
}

static int read_page(struct asking *a, struct http_exchange *x, struct error *err)
{
    struct fetcher *f = a->f;
    CLEANUP(page_free_cleanup) struct page *p = NULL;
    struct page_settings how = a->stream->records;
    struct slice envelope;
    const char *piece;
    size_t n;

    if (how.by_content_type) {
        how.format = page_format_of(http_header(x, "Content-Type"), how.format);
        how.packing = page_packing_of(http_header(x, "Content-Type"), how.packing);
    }
    p = page_new(&how, take_record, a->take);
    spool_clear(&f->spool);
    a->take->n = 0;
    f->hash = f->hash_start;
    do {
        if (http_read(x, &piece, &n, err) < 0 || (n > 0 && page_feed(p, piece, n, err) < 0))
            return -1;
    } while (n > 0);
    if (page_end(p, &envelope, &a->out->found_records, err) < 0)
        return -1;
    buf_clear(&f->envelope);
    buf_put(&f->envelope, envelope.ptr, envelope.len);
    return buf_ok(&f->envelope, "what is around the records", err);
}

/* Waits before the next try. 1 = try again, -1 = that was the last. */
static int again(struct asking *a, int64_t wait_ms, const struct error *why, struct error *err)
{
    const struct rest_client *c = &a->f->doc->client;
    int64_t ms;

    if (++a->tries >= c->retry_tries || a->f->spool.passing) {
        *err = *why;
        return -1;
    }
    ms = wait_ms >= 0 ? retry_jitter_ms(wait_ms)
                      : retry_backoff_ms(c->retry_base_ms, c->retry_cap_ms, a->tries - 1);
    if (ms > c->retry_max_wait_ms) {
        *err = *why;
        return -1;
    }
    log_info(a->f->run->log, .message = "asking again",
             .fields = {log_text("stream", a->stream->name), log_int("wait_ms", ms),
                        log_text("why", mask_text(a->f, a->f->page, why->message))});
    return cancel_sleep_ms(a->f->run->cancel, ms, err) < 0 ? -1 : 1;
}

static int slow_down(struct asking *a, const struct decision *d, struct error *err)
{
    const struct rest_client *c = &a->f->doc->client;
    int64_t ms = d->wait_ms >= 0 ? retry_jitter_ms(d->wait_ms)
                                 : retry_backoff_ms(1000, c->retry_cap_ms, a->rate_waits) + 1000;

    if (d->wait_ms > c->retry_max_wait_ms)
        return error_set_reason(err, ERR_RATE_LIMITED, "wait_too_long",
                                "the API asks to wait %lld seconds, and at most %lld are waited",
                                (long long)(d->wait_ms / 1000),
                                (long long)(c->retry_max_wait_ms / 1000));
    if (++a->rate_waits > RATE_WAITS_MAX)
        return error_set_reason(err, ERR_RATE_LIMITED, "rate_limited",
                                "the API refuses every request for its rate");
    limit_close(a->f, a->r, ms);
    log_info(a->f->run->log, .message = "the API asks to slow down",
             .fields = {log_text("stream", a->stream->name), log_int("wait_ms", ms)});
    return cancel_sleep_ms(a->f->run->cancel, ms, err) < 0 ? -1 : 1;
}

static int decided_error(struct asking *a, const struct decision *d, int status, struct error *err)
{
    error_set_at(err, d->as, d->reason, __FILE__, __LINE__, "%s (status %d)", d->message, status);
    (void)a;
    return -1;
}

/* Nothing objects: what is known of the page, then its records. */
static int hand_on(struct asking *a, struct error *err)
{
    const struct fetch_taker *to = a->take->to;
    struct fetcher *f = a->f;
    struct fetch_result *out = a->out;

    out->outcome = FETCH_PAGE;
    out->n_records = a->take->n;
    out->envelope = (struct slice){buf_str(&f->envelope), f->envelope.len};
    out->headers = (struct slice){buf_str(&f->headers), f->headers.len};
    if (out->n_records > 0) {
        out->first = (struct slice){buf_str(&f->first), f->first.len};
        out->last = (struct slice){buf_str(&f->last), f->last.len};
    }
    memcpy(out->hash, &f->hash, sizeof out->hash);
    if (to->complete && to->complete(to->arg, out, err) < 0)
        return -1;
    return drain(a->take, err);
}

/* 0 = the page is done with, 1 = once more, -1 = failed. */
static int act(struct asking *a, const struct decision *d, int status, struct error *err)
{
    struct error why = ERROR_INIT;

    if (d->page)
        return hand_on(a, err);
    if (a->f->spool.passing)
        return decided_error(a, d, status, err);
    spool_clear(&a->f->spool);
    switch (d->action) {
    case REST_DO_RETRY:
        decided_error(a, d, status, &why);
        return again(a, d->wait_ms, &why, err);
    case REST_DO_RATE_LIMITED:
        return slow_down(a, d, err);
    case REST_DO_REFRESH_AUTH:
        if (a->refreshed || !auth_can_refresh(a->f))
            return decided_error(a, d, status, err);
        a->refreshed = true;
        return auth_refresh(a->f, err) < 0 ? -1 : 1;
    case REST_DO_RESET_PAGINATION:
        a->out->outcome = FETCH_RESET;
        return 0;
    case REST_DO_EMPTY:
        a->out->outcome = FETCH_EMPTY;
        return 0;
    case REST_DO_SKIP_SLICE:
        a->out->outcome = FETCH_SKIP;
        a->out->why = d->message;
        return 0;
    case REST_DO_STOP:
        a->out->outcome = FETCH_STOP;
        return 0;
    case REST_DO_FAIL:
        break;
    }
    return decided_error(a, d, status, err);
}

static void fill_result(struct asking *a, const struct http_exchange *x)
{
    struct fetcher *f = a->f;
    const char *date = http_header(x, "Date"), *etag = http_header(x, "ETag");

    a->out->status = http_status(x);
    a->out->url = arena_strdup(f->page, http_url(x));
    a->out->etag = etag ? arena_strdup(f->page, etag) : NULL;
    if (!date || !retry_parse_date(date, &a->out->date_unix_us))
        a->out->date_unix_us = 0;
}

/* What the network does may pass; everything else is said at once. */
static int after_failure(struct asking *a, const struct error *why, struct error *err)
{
    if (why->code == ERR_TRANSIENT)
        return again(a, -1, why, err);
    *err = *why;
    return -1;
}

/* A try: request, answer, what it means. As act(). */
static int try_once(struct asking *a, struct error *err)
{
    CLEANUP(http_end_cleanup) struct http_exchange *x = NULL;
    struct fetcher *f = a->f;
    int64_t began = clock_monotonic_us();
    struct http_request req;
    struct error why = ERROR_INIT;
    struct decision d;
    int status, rc;

    if (start(a, &req, &x, &why) < 0 || http_wait(x, &why) < 0)
        return after_failure(a, &why, err);
    status = http_status(x);
    read_headers(f, x);
    limit_hear(f, a->r, x);
    fill_result(a, x);
    if (status == 304) {
        a->out->outcome = FETCH_NOT_MODIFIED;
        fetch_note_add(f, &req, status, began, 0);
        return 0;
    }
    rc = status >= 200 && status < 300 ? read_page(a, x, &why) : read_error_body(f, x, &why);
    fetch_note_add(f, &req, status, began, a->take->n);
    if (rc < 0) {
        bool broken =
            why.code == ERR_DATA && why.reason && strcmp(why.reason, "body_not_decodable") == 0;

        if (broken && a->undecodable++ < UNDECODABLE_MAX)
            return again(a, -1, &why, err);
        return after_failure(a, &why, err);
    }
    if (rules_decide(f, a->stream, status, (struct slice){buf_str(&f->envelope), f->envelope.len},
                     http_header(x, "Retry-After"), http_header(x, "Date"), f->page, &d, err) < 0)
        return -1;
    return act(a, &d, status, err);
}

int fetch_page(struct fetcher *f, const struct rest_stream *stream, const struct fetch_request *r,
               const struct fetch_taker *to, struct fetch_result *out, struct error *err)
{
    /* Only pages that are numbered are compared. */
    bool hashed =
        stream->paginate.type == REST_PAGE_NUMBER || stream->paginate.type == REST_PAGE_OFFSET;
    struct taking take = {f, to, 0, hashed};
    struct asking a = {.f = f, .stream = stream, .r = r, .take = &take, .out = out};
    int rc;

    *out = (struct fetch_result){0};
    arena_clear(f->page);
    buf_clear(&f->first);
    buf_clear(&f->last);
    do
        rc = try_once(&a, err);
    while (rc > 0);
    spool_clear(&f->spool);
    if (rc < 0) {
        mask_error(f, err);
        return -1;
    }
    return 0;
}

int fetch_once(struct fetcher *f, struct http_client *client, const struct http_request *r,
               struct arena *mem, int *out_status, struct slice *out_body, struct error *err)
{
    CLEANUP(buf_release) struct buf body = BUF_INIT((size_t)1 << 20);
    const struct rest_client *c = &f->doc->client;

    for (int64_t tries = 1;; tries++) {
        CLEANUP(http_end_cleanup) struct http_exchange *x = NULL;
        int64_t began = clock_monotonic_us();
        struct error why = ERROR_INIT;

        buf_clear(&body);
        if (http_send(client, r, &x, err) < 0)
            return -1;
        if (http_wait(x, &why) == 0 && http_read_all(x, &body, &why) == 0) {
            *out_status = http_status(x);
            fetch_note_add(f, r, *out_status, began, 0);
            if (*out_status < 500 || tries >= c->retry_tries) {
                *out_body = (struct slice){arena_memdup(mem, buf_str(&body), body.len), body.len};
                return 0;
            }
        } else if (why.code != ERR_TRANSIENT || tries >= c->retry_tries) {
            *err = why;
            mask_error(f, err);
            return -1;
        }
        if (cancel_sleep_ms(f->run->cancel,
                            retry_backoff_ms(c->retry_base_ms, c->retry_cap_ms, tries - 1),
                            err) < 0)
            return -1;
    }
}

/* -------------------------------------------------------------------------- life */

static struct slice copy(struct arena *mem, struct slice s)
{
    return s.ptr ? (struct slice){arena_memdup(mem, s.ptr, s.len), s.len} : s;
}

int fetcher_new(const struct rest_document *d, const struct scopes *base, struct run *run,
                const char *secrets_at, struct fetcher **out, struct error *err)
{
    struct fetcher *f = xalloc(sizeof *f);

    f->doc = d;
    f->run = run;
    f->redactor = redactor_new();
    f->mem = arena_new();
    f->page = arena_new();
    for (int i = 0; i < SCOPE_COUNT; i++)
        f->base.json[i] = copy(f->mem, base->json[i]);
    f->secrets_at = arena_strdup(f->mem, secrets_at);
    f->spool.text = BUF_INIT(FETCH_SPOOL + PAGE_MAX_RECORD);
    f->first = f->last = BUF_INIT(PAGE_MAX_RECORD);
    f->headers = f->envelope = BUF_INIT(2 * PAGE_MAX_ENVELOPE);
    buf_puts(&f->headers, "{}");
    if (f->base.json[SCOPE_secret].ptr)
        mask_add_scope(f, f->base.json[SCOPE_secret]);
    hash_random(&f->hash_start, sizeof f->hash_start);
    if (limit_init(f, err) < 0) {
        fetcher_free(f);
        return -1;
    }
    *out = f;
    return 0;
}

void fetcher_free(struct fetcher *f)
{
    if (!f)
        return;
    forget_ahead(f);
    limit_release(f);
    http_client_free(f->client);
    redactor_free(f->redactor);
    buf_release(&f->spool.text);
    free(f->spool.ends);
    buf_release(&f->first);
    buf_release(&f->last);
    buf_release(&f->headers);
    buf_release(&f->envelope);
    arena_free(f->mem);
    arena_free(f->page);
    free(f);
}
