/*
 * One sequence of pages: the requests they are asked for with, and what is done with each.
 */
#include <string.h>

#include "connectors/base/jsonwrite.h"
#include "connectors/http/url.h"
#include "connectors/rest/jsonset.h"
#include "connectors/rest/walk_internal.h"

static struct slice json_of(const char *s)
{
    return (struct slice){s, strlen(s)};
}

/* -------------------------------------------------------------------- requests */

/* Everything a request can be made from. */
void walk_scopes(struct walk *w, struct arena *mem)
{
    const struct increment *i = w->increment;

    w->scopes.json[SCOPE_vars] = w->values->json[SCOPE_vars];
    w->scopes.json[SCOPE_secret] = w->values->json[SCOPE_secret];
    w->scopes.json[SCOPE_run] = json_of(w->run_json);
    w->scopes.json[SCOPE_page] = json_of(pager_scope(&w->pager, mem));
    if (w->slice < w->n_slices && w->slices[w->slice])
        w->scopes.json[SCOPE_slice] = json_of(w->slices[w->slice]);
    if (i) {
        struct bound from = increment_sent_from(i), to = increment_sent_to(i);

        w->scopes.json[SCOPE_state] = json_of(arena_printf(
            mem, "{\"start\":%s,\"end\":%s,\"cursor\":%s}", bound_json(i->how->type, &from, mem),
            bound_json(i->how->type, &to, mem), bound_json(i->how->type, &i->high, mem)));
    }
}

static int send_bound(struct walk *w, const struct rest_send *send, const struct bound *b,
                      struct arena *mem, struct fetch_request *r, struct error *err)
{
    CLEANUP(buf_release) struct buf json = BUF_INIT(TEMPLATE_MAX_OUTPUT);
    CLEANUP(buf_release) struct buf body = BUF_INIT(TEMPLATE_MAX_OUTPUT);
    struct rest_value v;
    struct path path;

    if (!send->value || !b->known)
        return 0;
    if (template_render(send->value, &w->scopes, mem, &v, err) < 0)
        return error_wrap(err, "the bound that is sent");
    if (v.kind == VALUE_NULL)
        return 0;
    if (send->param) {
        r->url = url_add_query(mem, r->url, send->param, rest_value_text(&v, mem));
        return 0;
    }
    if (path_compile(mem, send->body_path, false, &path))
        return error_set(err, ERR_CONFIG, "\"%s\" is no path into a body", send->body_path);
    rest_value_put_json(&v, &json);
    if (json_set(r->body.ptr ? r->body : (struct slice){"{}", 2}, &path, buf_str(&json), &body,
                 err) < 0)
        return -1;
    r->body = (struct slice){arena_memdup(mem, buf_str(&body), body.len), body.len};
    return 0;
}

static int render(struct walk *w, struct arena *mem, struct fetch_request *out, struct error *err)
{
    const struct rest_incremental *inc = &w->stream->incremental;
    bool follows = w->pager.has_token && (w->stream->paginate.type == REST_PAGE_LINK_HEADER ||
                                          w->stream->paginate.type == REST_PAGE_NEXT_URL);
    struct bound from, to;

    walk_scopes(w, mem);
    if (fetch_render(w->fetcher, &w->stream->request, &w->scopes, mem, out, err) < 0)
        return -1;
    if (w->increment && !follows) {
        from = increment_sent_from(w->increment);
        to = increment_sent_to(w->increment);
        if (send_bound(w, &inc->send, &from, mem, out, err) < 0 ||
            send_bound(w, &inc->send_end, &to, mem, out, err) < 0)
            return -1;
    }
    if (pager_apply(&w->pager, out, mem, err) < 0)
        return -1;
    out->etag = w->stream->etag && w->pager.pages == 0 ? w->etag : NULL;
    return 0;
}

/* ----------------------------------------------------------------------- pages */

static int take_record(void *arg, struct slice record, struct error *err)
{
    struct walk *w = arg;

    w->page_records++;
    w->total_records++;
    return w->to.record(w->to.arg, record, &w->scopes, err);
}

/* {"response":{"body":..,"headers":..,"status":200},"record":..,"first_record":..,"count":2} */
static const char *last_json(struct walk *w, const struct fetch_result *page)
{
    struct slice none = {"null", 4};
    struct slice first = page->first.ptr ? page->first : none;
    struct slice last = page->last.ptr ? page->last : none;

    return arena_printf(w->next_mem,
                        "{\"response\":{\"body\":%.*s,\"headers\":%.*s,\"status\":%d},"
                        "\"record\":%.*s,\"first_record\":%.*s,\"count\":%lld}",
                        (int)page->envelope.len, page->envelope.ptr, (int)page->headers.len,
                        page->headers.ptr, page->status, (int)last.len, last.ptr, (int)first.len,
                        first.ptr, (long long)page->n_records);
}

static bool reads_last(const struct walk *w)
{
    const struct rest_pairs *p = &w->stream->request.params, *h = &w->stream->request.headers;
    unsigned scopes = template_scopes(w->stream->request.path);

    for (size_t i = 0; i < p->n; i++)
        scopes |= template_scopes(p->items[i].value);
    for (size_t i = 0; i < h->n; i++)
        scopes |= template_scopes(h->items[i].value);
    if (w->stream->request.body)
        scopes |= template_scopes(w->stream->request.body);
    return w->stream->paginate.until || (scopes & SCOPE_BIT(last));
}

/* The API gives no more than this: what is behind it is asked for from the last bookmark on. That
 * record comes again, with all that share its bookmark, and is merged by its key. */
static int move_bound(struct walk *w, const struct fetch_result *page, struct error *err)
{
    struct increment *i = w->increment;
    struct rest_value v;
    struct bound last;

    if (path_find(&i->how->field, page->last, w->mem, &v, err) < 0)
        return -1;
    if (!bound_read(i->how->type, &v, w->mem, &last))
        return error_set_reason(err, ERR_DATA, "null_cursor",
                                "the last record that the API gives has no \"%s\" to go on from",
                                i->how->field.text);
    if (i->from.known && bound_compare(&last, &i->from) <= 0)
        return error_set_reason(err, ERR_DATA, "page_ceiling",
                                "more records share one \"%s\" than the API gives, %lld",
                                i->how->field.text, (long long)w->stream->paginate.split_records);
    i->from = last;
    w->at_ceiling = true;
    return 0;
}

static int look(void *arg, int64_t number, struct slice record, struct error *err)
{
    return overlap_look(&((struct walk *)arg)->overlap, number, record, err);
}

static bool newest_first(const struct walk *w)
{
    return w->increment && w->stream->incremental.order == REST_ORDER_DESC;
}

static bool bound_of(const struct walk *w, struct slice record, struct arena *mem,
                     struct bound *out)
{
    struct error ignored = ERROR_INIT;
    struct rest_value v;

    return record.ptr && path_find(&w->increment->how->field, record, mem, &v, &ignored) == 0 &&
           bound_read(w->increment->how->type, &v, mem, out);
}

/* Where this page stands to what was first when the reading last began at the front. */
static enum overlap_front find_front(struct walk *w, const struct fetch_result *page)
{
    struct bound last;

    if (!newest_first(w))
        return OVERLAP_NO_FRONT;
    if (w->overlap.pass_pages == 0 || !w->next_front.known) {
        w->front = w->next_front;
        if (!bound_of(w, page->first, w->mem, &w->next_front))
            w->next_front = (struct bound){0};
    }
    if (!w->next_front.known)
        return OVERLAP_NO_FRONT;
    if (!w->front.known)
        return OVERLAP_ABOVE;
    return bound_of(w, page->last, w->next_mem, &last) && bound_compare(&last, &w->front) <= 0
               ? OVERLAP_REACHED
               : OVERLAP_ABOVE;
}

/* Where the next page is. */
static int find_next(struct walk *w, const struct fetch_result *page, struct error *err)
{
    struct scopes s = w->scopes;
    bool repeated;

    s.json[SCOPE_body] = page->envelope;
    s.json[SCOPE_header] = page->headers;
    if (pager_next(&w->pager, page, &s, w->next_mem, &w->has_next, &repeated, err) < 0)
        return -1;
    if (repeated)
        log_warn(w->run->log, .message = "a page came twice, which ends the stream",
                 .fields = {log_text("stream", w->stream->name), log_int("pages_repeated", 1)});
    if (!overlap_is_on(&w->overlap))
        return 0;
    return overlap_next(&w->overlap, &w->pager, find_front(w, page), &w->has_next, err);
}

/* Before the records are handed on: where the next page is, and the request for it. */
static int on_complete(void *arg, const struct fetch_result *page, struct error *err)
{
    struct walk *w = arg;

    if (!page->found_records && page->n_records == 0)
        log_warn(w->run->log, .message = "the path of the records leads nowhere in this page",
                 .fields = {log_text("stream", w->stream->name),
                            log_text("path", w->stream->records.records.text)});
    if (w->date_us == 0)
        w->date_us = page->date_unix_us;
    arena_clear(w->next_mem);
    if (reads_last(w))
        w->scopes.json[SCOPE_last] = json_of(last_json(w, page));
    if (find_next(w, page, err) < 0)
        return -1;
    if (w->has_next && w->increment && w->stream->paginate.split_records &&
        w->pager.records >= w->stream->paginate.split_records) {
        w->has_next = false;
        return move_bound(w, page, err);
    }
    if (w->has_next && w->pager.pages >= (w->max_pages ? w->max_pages : w->stream->max_pages)) {
        w->has_next = false;
        if (!w->max_pages)
            return error_set_reason(err, ERR_DATA, "max_pages", "there are more than %lld pages",
                                    (long long)w->stream->max_pages);
    }
    if (!w->has_next)
        return 0;
    if (render(w, w->next_mem, &w->next, err) < 0)
        return error_wrap(err, "page %lld", (long long)w->pager.pages + 1);
    fetch_ahead(w->fetcher, w->stream, &w->next);
    return 0;
}

static void begin_pages(struct walk *w)
{
    const struct rest_paginate *how = &w->stream->paginate;
    bool twice = w->to.merges && (how->overlap || how->front);

    w->front = w->next_front = (struct bound){0};
    pager_release(&w->pager);
    pager_init(&w->pager, &w->stream->paginate);
    overlap_begin(&w->overlap, twice ? w->stream : NULL, &w->pager);
}

static int begin_again(struct walk *w, struct error *err)
{
    if (w->reset_once)
        return error_set_reason(err, ERR_TRANSIENT, "cursor_expired",
                                "the API forgets its cursors faster than they are used");
    w->reset_once = true;
    begin_pages(w);
    log_info(w->run->log, .message = "the cursor is no longer known, its pages begin again",
             .fields = {log_text("stream", w->stream->name)});
    w->has_next = true;
    return render(w, w->next_mem, &w->next, err);
}

static int skip(struct walk *w, const char *why, struct error *err)
{
    log_warn(w->run->log, .message = "a part of the stream is given up",
             .fields = {log_text("stream", w->stream->name), log_text("why", why)});
    if (++w->skipped > w->stream->max_skipped)
        return error_set_reason(err, ERR_DATA, "too_many_skipped",
                                "%lld parts were given up, and at most %lld may be: %s",
                                (long long)w->skipped, (long long)w->stream->max_skipped, why);
    return 0;
}

static int begin_behind_ceiling(struct walk *w, struct error *err)
{
    begin_pages(w);
    log_info(w->run->log, .message = "the API gives no more, its pages begin again behind them",
             .fields = {log_text("stream", w->stream->name)});
    w->has_next = true;
    if (render(w, w->next_mem, &w->next, err) < 0)
        return -1;
    return w->to.page ? w->to.page(w->to.arg, w, true, err) : 0;
}

/* A feed, newest first: behind a page that is all too old there is nothing new. */
static int stop_at_old(struct walk *w, struct error *err)
{
    enum overlap_front front = w->next_front.known ? OVERLAP_ABOVE : OVERLAP_NO_FRONT;

    if (!overlap_is_on(&w->overlap)) {
        w->has_next = false;
        return 0;
    }
    if (overlap_stop(&w->overlap, &w->pager, front, &w->has_next, err) < 0)
        return -1;
    return w->has_next ? render(w, w->next_mem, &w->next, err) : 0;
}

static int after_page(struct walk *w, const struct fetch_result *r, struct error *err)
{
    switch (r->outcome) {
    case FETCH_PAGE:
        if (w->at_ceiling)
            return begin_behind_ceiling(w, err);
        if (w->pager.pages == 1)
            w->etag = r->etag ? arena_strdup(w->mem, r->etag) : NULL;
        if (w->to.keeps && newest_first(w) && w->page_records > 0 && w->page_kept == 0 &&
            stop_at_old(w, err) < 0)
            return -1;
        return w->to.page ? w->to.page(w->to.arg, w, w->has_next, err) : 0;
    case FETCH_RESET:
        return begin_again(w, err);
    case FETCH_SKIP:
        return skip(w, r->why, err);
    case FETCH_STOP:
        w->ended = true;
        return 0;
    case FETCH_EMPTY:
    case FETCH_NOT_MODIFIED:
        return 0;
    }
    return 0;
}

int walk_pages(struct walk *w, struct error *err)
{
    const struct fetch_taker to = {.each = take_record,
                                   .look = overlap_is_on(&w->overlap) ? look : NULL,
                                   .complete = on_complete,
                                   .arg = w};

    arena_clear(w->page_mem);
    if (render(w, w->page_mem, &w->request, err) < 0)
        return -1;
    do {
        struct fetch_result r;
        struct arena *spent;
        int64_t number = w->pager.pages + 1;

        w->has_next = w->at_ceiling = false;
        w->page_records = w->page_kept = 0;
        if (cancel_check(w->run->cancel, err) < 0 ||
            fetch_page(w->fetcher, w->stream, &w->request, &to, &r, err) < 0)
            return error_wrap(err, "page %lld", (long long)number);
        if (after_page(w, &r, err) < 0)
            return -1;
        /* The request that was rendered ahead is the next one. */
        spent = w->page_mem;
        w->page_mem = w->next_mem;
        w->next_mem = spent;
        w->request = w->next;
    } while (w->has_next && !w->ended);
    if (!w->stream->empty_ok && w->total_records == 0)
        return error_set_reason(err, ERR_DATA, "empty_stream", "there are no records");
    return 0;
}

void walk_new_sequence(struct walk *w)
{
    begin_pages(w);
    w->reset_once = false;
}
