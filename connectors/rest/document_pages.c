/*
 * The sections `paginate` and `incremental` of a stream.
 */
#include <string.h>

#include "connectors/rest/document_internal.h"

#define ANY .check = document_any, .schema = "{}"

/* ----------------------------------------------------------------- pagination */

static const char *const paginate_types[] = {"none",        "page",     "offset",      "cursor",
                                             "link_header", "next_url", "last_record", NULL};
/* In the order of enum rest_place, without cookies. */
static const char *const page_places[] = {"header", "query", "cookie", "body", "path", NULL};
static const char *const froms[] = {"body", "header", NULL};
static const char *const overlaps[] = {"auto", "always", "never", NULL};
static const char *const stops[] = {"empty_page", "short_page", NULL};

struct raw_paginate {
    const char *type, *param, *size_param, *limit_param, *in, *body_path, *from, *path, *header,
        *rel, *field, *total_pages_path, *total_path, *more_path, *until, *stop, *overlap,
        *token_ttl;
    int64_t start, size, limit;
    const struct doc *split;
    bool stable;
};
struct raw_split {
    int64_t max_records;
};
/* clang-format off */
static const struct option paginate_table[] = {
    OPTION(struct raw_paginate, type, .title = "Type", .help = "How pages follow each other.", .def = "none", .choices = paginate_types),
    OPTION(struct raw_paginate, param, .title = "Parameter", .help = "Of the page, offset or cursor."),
    OPTION(struct raw_paginate, size_param, .title = "Parameter of the size", .help = "page: left out without it."),
    OPTION(struct raw_paginate, size, .title = "Size", .help = "page: records asked for.", .def = "100", .min = 1, .max = 1000000),
    OPTION(struct raw_paginate, start, .title = "Start", .help = "First page or offset.", .def = "-1", .min = -1, .max = 1000000000),
    OPTION(struct raw_paginate, limit_param, .title = "Parameter of the limit", .help = "offset.", .def = "limit"),
    OPTION(struct raw_paginate, limit, .title = "Limit", .help = "offset: records asked for.", .def = "100", .min = 1, .max = 1000000),
    OPTION(struct raw_paginate, in, .title = "Place", .help = "Where it goes.", .def = "query", .choices = page_places),
    OPTION(struct raw_paginate, body_path, .title = "Path in the body", .help = "Where it goes in a JSON body."),
    OPTION(struct raw_paginate, from, .title = "From", .help = "cursor: where it comes from.", .def = "body", .choices = froms),
    OPTION(struct raw_paginate, path, .title = "Path", .help = "cursor, next_url: in the answer."),
    OPTION(struct raw_paginate, header, .title = "Header", .help = "cursor, next_url: of the answer."),
    OPTION(struct raw_paginate, rel, .title = "Relation", .help = "link_header.", .def = "next"),
    OPTION(struct raw_paginate, field, .title = "Field", .help = "last_record: path in the last record."),
    OPTION(struct raw_paginate, total_pages_path, .title = "Path of the number of pages", .help = "Ends at the last one."),
    OPTION(struct raw_paginate, total_path, .title = "Path of the number of records", .help = "Ends when all have come."),
    OPTION(struct raw_paginate, more_path, .title = "Path of more", .help = "Ends when it is false."),
    OPTION(struct raw_paginate, until, .title = "Until", .help = "A condition that ends it."),
    OPTION(struct raw_paginate, stop, .title = "Stop", .help = "short_page saves the request of an empty page.", .def = "empty_page", .choices = stops),
    OPTION(struct raw_paginate, stable, .title = "Stable", .help = "Whether pages keep their content while they are read.", .def = "false"),
    OPTION(struct raw_paginate, overlap, .title = "Overlap", .help = "offset: pages overlap by a record, which shows that none slipped between them; auto does where the newest come first.", .def = "auto", .choices = overlaps),
    OPTION(struct raw_paginate, split, .title = "Ceiling", .help = "max_records: the API gives no more; then its pages begin again at the last bookmark."),
    OPTION(struct raw_paginate, token_ttl, .title = "Life of a cursor", .help = "An older one is not used again.", .def = "1h"),
    OPTIONS_END,
};
static const struct option split_table[] = {
    OPTION(struct raw_split, max_records, .title = "Records", .help = "That the API gives for one question.", .flags = OPTION_REQUIRED, .min = 1, .max = 1000000000),
    OPTIONS_END,
};
/* clang-format on */

static void need(struct compile *c, bool there, const char *pointer, const char *member)
{
    if (!there)
        problems_add(c->problems, document_at(c, pointer, member), "required",
                     "\"%s\" is needed for this way of paging", member);
}

static void check_paginate(struct compile *c, const struct raw_paginate *raw,
                           const struct rest_paginate *p, const char *pointer)
{
    switch (p->type) {
    case REST_PAGE_CURSOR:
        need(c, p->from_header ? raw->header != NULL : raw->path != NULL, pointer,
             p->from_header ? "header" : "path");
        need(c, p->in == REST_IN_BODY ? raw->body_path != NULL : raw->param != NULL, pointer,
             p->in == REST_IN_BODY ? "body_path" : "param");
        break;
    case REST_PAGE_NEXT_URL:
        need(c, raw->path || raw->header, pointer, "path");
        break;
    case REST_PAGE_LAST_RECORD:
        need(c, raw->field != NULL, pointer, "field");
        need(c, raw->param != NULL, pointer, "param");
        break;
    case REST_PAGE_NONE:
    case REST_PAGE_NUMBER:
    case REST_PAGE_OFFSET:
    case REST_PAGE_LINK_HEADER:
        break;
    }
}

/* A key that is computed cannot be seen in a record as it comes. */
static bool is_added(const struct rest_stream *s)
{
    for (size_t i = 0; i < s->add.n; i++) {
        for (size_t k = 0; k < s->n_key; k++) {
            if (strcmp(s->add.items[i].name, s->key[k]) == 0)
                return true;
        }
    }
    return false;
}

/* What is read twice has to be one row in the end, so it takes a key. */
static void compile_overlap(struct compile *c, const char *word, const char *pointer,
                            struct rest_stream *s)
{
    struct rest_paginate *p = &s->paginate;
    bool offset = p->type == REST_PAGE_OFFSET, numbered = offset || p->type == REST_PAGE_NUMBER;
    bool newest_first = s->incremental.present && s->incremental.order == REST_ORDER_DESC;
    bool always = strcmp(word, "always") == 0, never = strcmp(word, "never") == 0;
    bool merges = !p->stable && s->n_key > 0;
    bool possible =
        offset && merges && !s->has_explode && !is_added(s) && !p->split_records && p->size > 1;

    p->front = numbered && newest_first && merges && !never;
    p->overlap = possible && (always || p->front);
    if (always && !possible)
        problems_add(c->problems, document_at(c, pointer, "overlap"), "not_allowed",
                     "it is for pages of type offset, with a limit above 1, that are neither "
                     "stable nor split, and needs a key that the records come with");
}

void document_paginate(struct compile *c, const struct doc *object, const char *pointer,
                       struct rest_stream *stream)
{
    struct rest_paginate *out = &stream->paginate;
    struct raw_paginate raw = {0};
    struct raw_split split = {0};
    bool number, offset;

    *out = (struct rest_paginate){0};
    if (!object || !options_decode(paginate_table, object, pointer, &raw, c->mem, c->problems))
        return;
    out->type = (enum rest_paginate_type)document_choice(raw.type, paginate_types);
    number = out->type == REST_PAGE_NUMBER;
    offset = out->type == REST_PAGE_OFFSET;
    out->param = document_text(c, raw.param ? raw.param
                                  : number  ? "page"
                                  : offset  ? "offset"
                                            : NULL);
    out->size_param = document_text(c, offset ? raw.limit_param : raw.size_param);
    out->size = offset ? raw.limit : raw.size;
    out->start = raw.start >= 0 ? raw.start : number;
    out->in = (enum rest_place)document_choice(raw.in, page_places);
    out->body_path = document_text(c, raw.body_path);
    out->from_header = strcmp(raw.from, "header") == 0;
    out->stable = raw.stable;
    out->stop_on_short = strcmp(raw.stop, "short_page") == 0;
    out->header = document_text(c, raw.header);
    out->rel = document_text(c, raw.rel);
    document_path(c, raw.path, false, document_at(c, pointer, "path"), &out->path);
    document_path(c, raw.field, false, document_at(c, pointer, "field"), &out->field);
    out->has_total_pages =
        document_path(c, raw.total_pages_path, false, document_at(c, pointer, "total_pages_path"),
                      &out->total_pages);
    out->has_total =
        document_path(c, raw.total_path, false, document_at(c, pointer, "total_path"), &out->total);
    out->has_more =
        document_path(c, raw.more_path, false, document_at(c, pointer, "more_path"), &out->more);
    out->until = document_condition(c, raw.until, SCOPES_ANSWER, document_at(c, pointer, "until"));
    out->token_ttl_ms =
        document_duration_ms(c, raw.token_ttl, document_at(c, pointer, "token_ttl"));
    if (raw.split && options_decode(split_table, raw.split, document_at(c, pointer, "split"),
                                    &split, c->mem, c->problems))
        out->split_records = split.max_records;
    check_paginate(c, &raw, out, pointer);
    compile_overlap(c, raw.overlap, pointer, stream);
}

/* ---------------------------------------------------------------- incremental */

static const char *const cursor_types[] = {"timestamp", "date",   "int", "epoch",
                                           "epoch_ms",  "string", NULL};
static const char *const servers[] = {"inclusive", "exclusive", "none", NULL};
static const char *const orders[] = {"none", "asc", "desc", NULL};
static const char *const missings[] = {"include", "exclude", "fail", NULL};

struct raw_incremental {
    const char *field, *type, *server, *granularity, *lookback, *window, *order, *retention,
        *missing;
    const struct doc *start, *send, *send_end, *end;
    bool client_filter;
};
struct raw_bound {
    const char *param, *body_path;
    const struct doc *value;
};
/* clang-format off */
static const struct option incremental_table[] = {
    OPTION(struct raw_incremental, field, .title = "Field", .help = "Path in the record.", .flags = OPTION_REQUIRED),
    OPTION(struct raw_incremental, type, .title = "Type", .help = "Of the field.", .def = "timestamp", .choices = cursor_types),
    OPTION(struct raw_incremental, start, .title = "Start", .help = "First lower bound.", .flags = OPTION_REQUIRED, ANY),
    OPTION(struct raw_incremental, send, .title = "Send", .help = "Where the lower bound goes."),
    OPTION(struct raw_incremental, send_end, .title = "Send the end", .help = "Where the upper bound goes."),
    OPTION(struct raw_incremental, server, .title = "Server", .help = "Whether the bound itself comes back.", .def = "inclusive", .choices = servers),
    OPTION(struct raw_incremental, granularity, .title = "Granularity", .help = "Smallest step of what is sent.", .def = "1s"),
    OPTION(struct raw_incremental, lookback, .title = "Lookback", .help = "How long changes may show up late; 10m for times."),
    OPTION(struct raw_incremental, window, .title = "Window", .help = "Asks for so much at a time."),
    OPTION(struct raw_incremental, end, .title = "End", .help = "Upper bound; the start of the run.", ANY),
    OPTION(struct raw_incremental, order, .title = "Order", .help = "In which the API sends records.", .def = "none", .choices = orders),
    OPTION(struct raw_incremental, client_filter, .title = "Filter here", .help = "Records below the bound are left out.", .def = "true"),
    OPTION(struct raw_incremental, retention, .title = "Retention", .help = "How long the API remembers."),
    OPTION(struct raw_incremental, missing, .title = "Without the field", .help = "What happens to such records.", .def = "include", .choices = missings),
    OPTIONS_END,
};
static const struct option bound_table[] = {
    OPTION(struct raw_bound, param, .title = "Parameter", .help = "Of the query."),
    OPTION(struct raw_bound, body_path, .title = "Path in the body", .help = "Of a JSON body."),
    OPTION(struct raw_bound, value, .title = "Value", .help = "What is sent.", .flags = OPTION_REQUIRED, ANY),
    OPTIONS_END,
};
/* clang-format on */

static void compile_bound(struct compile *c, const struct doc *object, const char *pointer,
                          struct rest_send *out)
{
    struct raw_bound raw = {0};

    *out = (struct rest_send){0};
    if (!object || !options_decode(bound_table, object, pointer, &raw, c->mem, c->problems))
        return;
    if (!raw.param == !raw.body_path)
        problems_add(c->problems, pointer, "not_allowed", "either param or body_path is expected");
    out->param = document_text(c, raw.param);
    out->body_path = document_text(c, raw.body_path);
    out->value = document_template(c, raw.value, SCOPES_REQUEST, document_at(c, pointer, "value"));
}

void document_incremental(struct compile *c, const struct doc *object, const char *pointer,
                          struct rest_incremental *out)
{
    struct raw_incremental raw = {0};
    bool counted;

    *out = (struct rest_incremental){0};
    if (!object || !options_decode(incremental_table, object, pointer, &raw, c->mem, c->problems))
        return;
    out->present =
        document_path(c, raw.field, false, document_at(c, pointer, "field"), &out->field);
    out->type = (enum rest_cursor_type)document_choice(raw.type, cursor_types);
    counted = out->type == REST_CURSOR_INT || out->type == REST_CURSOR_STRING;
    out->start = document_template(c, raw.start, SCOPES_CONFIG, document_at(c, pointer, "start"));
    out->end = document_template(c, raw.end, SCOPES_CONFIG, document_at(c, pointer, "end"));
    compile_bound(c, raw.send, document_at(c, pointer, "send"), &out->send);
    compile_bound(c, raw.send_end, document_at(c, pointer, "send_end"), &out->send_end);
    out->server = (enum rest_server)document_choice(raw.server, servers);
    out->order = (enum rest_order)document_choice(raw.order, orders);
    out->missing = (enum rest_missing)document_choice(raw.missing, missings);
    out->client_filter = raw.client_filter;
    out->granularity_us =
        1000 * document_duration_ms(c, raw.granularity, document_at(c, pointer, "granularity"));
    out->lookback_us = 1000 * document_duration_ms(c,
                                                   raw.lookback ? raw.lookback
                                                   : counted    ? "0s"
                                                                : "10m",
                                                   document_at(c, pointer, "lookback"));
    out->window_us = 1000 * document_duration_ms(c, raw.window, document_at(c, pointer, "window"));
    out->retention_us =
        1000 * document_duration_ms(c, raw.retention, document_at(c, pointer, "retention"));
    if (counted && out->window_us)
        problems_add(c->problems, document_at(c, pointer, "window"), "not_allowed",
                     "windows are made of time");
}
