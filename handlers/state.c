/* Bookmarks: native and Singer, whole and per stream. */
#include <string.h>

#include "connectors/catalog.h"
#include "handlers/body.h"
#include "handlers/encode.h"
#include "handlers/precondition.h"
#include "handlers/query.h"
#include "handlers/routes.h"
#include "handlers/state_tap.h"
#include "server/app.h"

/* The state of one connection as it was read. */
struct state {
    struct connection connection;
    struct state_row *rows;
    size_t n;
    int64_t revision;
};

static int read_state(struct app *app, struct request *req, struct state *out, struct error *err)
{
    if (store_get_connection(app->store, request_param(req, "connection"), request_mem(req),
                             &out->connection, err) < 0)
        return -1;
    return store_get_state(app->store, out->connection.id, request_mem(req), &out->rows, &out->n,
                           &out->revision, err);
}

static int read_format(struct request *req, bool *out_singer, struct error *err)
{
    static const char *const known[] = {"format", NULL};

    if (request_query_only(req, known, err) < 0)
        return -1;
    return query_singer(req, out_singer, err);
}

/* -------------------------------------------------------------------- encoding */

static void write_row(struct jsonw *w, const struct state_row *r)
{
    jsonw_object(w);
    jsonw_put_string(w, "stream", r->stream);
    jsonw_put_raw(w, "position", r->position);
    jsonw_put_int(w, "generation", r->generation);
    jsonw_put_int(w, "seq", r->seq);
    jsonw_put_raw(w, "counters", r->counters ? r->counters : "{}");
    jsonw_put_bool(w, "edited", r->edited);
    jsonw_put_time_ms(w, "updated_at", r->updated_us);
    jsonw_object_end(w);
}

static void write_native(struct jsonw *w, const struct state *s)
{
    jsonw_object(w);
    jsonw_put_string(w, "connection", s->connection.name);
    jsonw_key(w, "streams");
    jsonw_array(w);
    for (size_t i = 0; i < s->n; i++)
        write_row(w, &s->rows[i]);
    jsonw_array_end(w);
    jsonw_put_int(w, "revision", s->revision);
    jsonw_object_end(w);
}

static void write_singer(struct jsonw *w, const struct state *s)
{
    jsonw_object(w);
    jsonw_key(w, "bookmarks");
    jsonw_object(w);
    for (size_t i = 0; i < s->n; i++) {
        if (s->rows[i].position)
            jsonw_put_raw(w, s->rows[i].stream, s->rows[i].position);
    }
    jsonw_object_end(w);
    jsonw_object_end(w);
}

static int answer(struct app *app, struct request *req, struct response *res, const struct state *s,
                  bool singer, struct error *err)
{
    struct jsonw w = JSONW_INIT(&res->body);
    const char *value;
    bool of_tap = false;

    if (singer && state_tap_is(app, request_mem(req), &s->connection, &of_tap, err) < 0)
        return -1;
    if (of_tap && state_tap_value(request_mem(req), s->rows, s->n, &value, err) < 0)
        return -1;
    response_etag(res, s->revision);
    if (of_tap)
        buf_puts(&res->body, value);
    else if (singer)
        write_singer(&w, s);
    else
        write_native(&w, s);
    return 0;
}

int handle_state(struct app *app, struct request *req, struct response *res, struct error *err)
{
    struct state s;
    bool singer;

    if (read_format(req, &singer, err) < 0 || read_state(app, req, &s, err) < 0)
        return -1;
    return answer(app, req, res, &s, singer, err);
}

/* -------------------------------------------------------------------- decoding */

/* Members that GET shows may come back; only these two mean something. */
struct entry_body {
    const char *stream;
    const struct doc *position, *counters;
    int64_t generation, seq;
    bool edited;
    const char *updated_at;
};

struct state_body {
    const char *connection;
    const struct doc *streams, *bookmarks;
    int64_t revision;
};

/* clang-format off */
static const struct option entry_options[] = {
    OPTION(struct entry_body, stream, .title = "Stream", .min = 1, .max = 8192,
           .help = "\"namespace.name\" or \"name\"."),
    OPTION(struct entry_body, position, .title = "Position",
           .help = "Where the next run begins, as the source writes it; null = at the beginning."),
    OPTION(struct entry_body, counters, .title = "Counters", .help = "As shown; not changed."),
    OPTION(struct entry_body, generation, .title = "Generation", .help = "As shown; not changed."),
    OPTION(struct entry_body, seq, .title = "Commits", .help = "As shown; not changed."),
    OPTION(struct entry_body, edited, .title = "Edited", .help = "As shown; not changed."),
    OPTION(struct entry_body, updated_at, .title = "Updated", .help = "As shown; not changed."),
    OPTIONS_END,
};
/* clang-format on */

static void check_entries(const struct doc *value, const char *pointer, struct problems *problems)
{
    if (!doc_is(value, DOC_ARRAY)) {
        problems_add(problems, pointer, "wrong_type", "expected an array of streams, found %s",
                     doc_kind_name(doc_kind(value)));
        return;
    }
    for (size_t i = 0; i < doc_count(value); i++) {
        const char *at = arena_printf(problems->mem, "%s/%zu", pointer, i);
        struct entry_body e = {0};

        if (options_decode(entry_options, doc_at(value, i), at, &e, problems->mem, problems) &&
            !e.stream)
            problems_add(problems, arena_printf(problems->mem, "%s/stream", at), "required",
                         "\"stream\" is required");
    }
}

static void check_bookmarks(const struct doc *value, const char *pointer, struct problems *problems)
{
    CLEANUP(buf_release) struct buf at = BUF_INIT(BODY_MAX_TEXT);

    if (!doc_is(value, DOC_OBJECT)) {
        problems_add(problems, pointer, "wrong_type", "expected an object, found %s",
                     doc_kind_name(doc_kind(value)));
        return;
    }
    for (const struct doc_member *it = doc_first(value); it; it = doc_next(value, it)) {
        const struct doc *v = doc_member_value(it);

        if (doc_is(v, DOC_OBJECT) || doc_is(v, DOC_NULL))
            continue;
        buf_clear(&at);
        buf_puts(&at, pointer);
        doc_pointer_put(&at, doc_member_key(it));
        problems_add(problems, buf_str(&at), "wrong_type", "expected an object, found %s",
                     doc_kind_name(doc_kind(v)));
    }
}

/* clang-format off */
static const struct option state_options[] = {
    OPTION(struct state_body, connection, .title = "Connection", .help = "As shown; not changed."),
    OPTION(struct state_body, streams, .title = "Streams", .check = check_entries,
           .schema = "{\"type\":\"array\"}", .help = "Native form: the positions."),
    OPTION(struct state_body, bookmarks, .title = "Bookmarks", .check = check_bookmarks,
           .help = "Singer form: a position by stream."),
    OPTION(struct state_body, revision, .title = "Revision",
           .help = "As shown; use If-Match to name a revision."),
    OPTIONS_END,
};
/* clang-format on */

static void rows_from_entries(struct arena *mem, const struct doc *entries, struct state_row *rows)
{
    for (size_t i = 0; i < doc_count(entries); i++) {
        const struct doc *e = doc_at(entries, i), *position = doc_get(e, "position");

        rows[i].stream = doc_string(doc_get(e, "stream"), "");
        if (doc_is(position, DOC_OBJECT))
            rows[i].position = body_text(mem, position);
    }
}

static void rows_from_bookmarks(struct arena *mem, const struct doc *bookmarks,
                                struct state_row *rows)
{
    size_t i = 0;

    for (const struct doc_member *it = doc_first(bookmarks); it; it = doc_next(bookmarks, it)) {
        rows[i].stream = doc_member_key(it);
        if (doc_is(doc_member_value(it), DOC_OBJECT))
            rows[i].position = body_text(mem, doc_member_value(it));
        i++;
    }
}

static void refuse_repeated(const struct state_row *rows, size_t n, struct problems *problems)
{
    CLEANUP(doc_free_cleanup) struct doc *seen = doc_new_object();

    for (size_t i = 0; i < n; i++) {
        if (doc_get(seen, rows[i].stream))
            problems_add(problems, arena_printf(problems->mem, "/streams/%zu/stream", i),
                         "duplicate_stream", "stream \"%s\" is there already", rows[i].stream);
        doc_set(seen, rows[i].stream, doc_new_null());
    }
}

/* The rows of either form. */
static int read_rows(struct request *req, struct response *res, struct state_row **out,
                     size_t *out_n, struct error *err)
{
    struct problems *problems = body_problems(req, res);
    struct state_body body = {0};
    const struct doc *sent;

    *out = arena_alloc(request_mem(req), sizeof **out);
    *out_n = 0;
    if (body_read(req, res, false, state_options, &body, &sent, err) < 0)
        return -1;
    if (!body.streams == !body.bookmarks) {
        problems_add(problems, "", "required",
                     "expected \"streams\" (native) or \"bookmarks\" (Singer), one of them");
        return body_accept(res, err);
    }
    *out_n = doc_count(body.streams ? body.streams : body.bookmarks);
    *out = arena_array(request_mem(req), *out_n, sizeof **out);
    if (body.streams)
        rows_from_entries(request_mem(req), body.streams, *out);
    else
        rows_from_bookmarks(request_mem(req), body.bookmarks, *out);
    refuse_repeated(*out, *out_n, problems);
    return body_accept(res, err);
}

/* ---------------------------------------------------------------------- edits */

enum edit { EDIT_REPLACE, EDIT_MERGE };

/* `rows` are written if the state is still what the caller saw. */
static int edit(struct app *app, const struct request *req, const struct state *s,
                const struct state_row *rows, size_t n, enum edit how, struct error *err)
{
    int64_t expected, revision;

    if (precondition_read(app, req, s->revision, &expected, err) < 0)
        return -1;
    return store_edit_state(app->store, s->connection.id, rows, n, how == EDIT_REPLACE, expected,
                            &revision, err);
}

static int change(struct app *app, struct request *req, struct response *res, enum edit how,
                  struct error *err)
{
    struct state_row *rows;
    struct state s;
    bool singer, of_tap = false;
    size_t n;

    if (read_format(req, &singer, err) < 0 || read_state(app, req, &s, err) < 0 ||
        (singer && state_tap_is(app, request_mem(req), &s.connection, &of_tap, err) < 0))
        return -1;
    if ((of_tap ? state_tap_rows(app, req, &s.connection, &rows, &n, err)
                : read_rows(req, res, &rows, &n, err)) < 0 ||
        edit(app, req, &s, rows, n, how, err) < 0 || read_state(app, req, &s, err) < 0)
        return -1;
    return answer(app, req, res, &s, singer, err);
}

int handle_state_put(struct app *app, struct request *req, struct response *res, struct error *err)
{
    return change(app, req, res, EDIT_REPLACE, err);
}

int handle_state_patch(struct app *app, struct request *req, struct response *res,
                       struct error *err)
{
    return change(app, req, res, EDIT_MERGE, err);
}

int handle_state_delete(struct app *app, struct request *req, struct response *res,
                        struct error *err)
{
    const struct state_row none = {0};
    struct state s;

    if (read_state(app, req, &s, err) < 0 || edit(app, req, &s, &none, 0, EDIT_REPLACE, err) < 0)
        return -1;
    res->status = 204;
    return 0;
}

/* ---------------------------------------------------------------- one stream */

static const struct state_row *row_of(const struct state *s, const char *stream)
{
    for (size_t i = 0; i < s->n; i++) {
        if (!strcmp(s->rows[i].stream, stream))
            return &s->rows[i];
    }
    return NULL;
}

static int need_row(const struct request *req, const struct state *s, const struct state_row **out,
                    struct error *err)
{
    const char *stream = request_param(req, "stream");

    *out = row_of(s, stream);
    if (!*out)
        return error_set(err, ERR_NOT_FOUND, "connection \"%s\" has no state of stream \"%s\"",
                         s->connection.name, stream);
    return 0;
}

static int answer_row(struct request *req, struct response *res, const struct state *s,
                      struct error *err)
{
    struct jsonw w = JSONW_INIT(&res->body);
    const struct state_row *row;

    if (need_row(req, s, &row, err) < 0)
        return -1;
    response_etag(res, s->revision);
    write_row(&w, row);
    return 0;
}

int handle_state_stream(struct app *app, struct request *req, struct response *res,
                        struct error *err)
{
    struct state s;

    if (read_state(app, req, &s, err) < 0)
        return -1;
    return answer_row(req, res, &s, err);
}

int handle_state_stream_put(struct app *app, struct request *req, struct response *res,
                            struct error *err)
{
    struct state_row row = {.stream = request_param(req, "stream")};
    struct entry_body body = {0};
    const struct doc *sent;
    struct state s;

    if (read_state(app, req, &s, err) < 0 ||
        body_read(req, res, false, entry_options, &body, &sent, err) < 0)
        return -1;
    if (!body.position)
        problems_add(body_problems(req, res), "/position", "required",
                     "\"position\" is required; DELETE forgets a stream");
    if (body.stream && strcmp(body.stream, row.stream) != 0)
        problems_add(body_problems(req, res), "/stream", "invalid_name", "the address says \"%s\"",
                     row.stream);
    if (body_accept(res, err) < 0)
        return -1;
    row.position = body_text(request_mem(req), body.position);
    if (edit(app, req, &s, &row, 1, EDIT_MERGE, err) < 0 || read_state(app, req, &s, err) < 0)
        return -1;
    return answer_row(req, res, &s, err);
}

int handle_state_stream_delete(struct app *app, struct request *req, struct response *res,
                               struct error *err)
{
    struct state_row gone = {.stream = request_param(req, "stream")};
    const struct state_row *row;
    struct state s;

    if (read_state(app, req, &s, err) < 0 || need_row(req, &s, &row, err) < 0 ||
        edit(app, req, &s, &gone, 1, EDIT_MERGE, err) < 0)
        return -1;
    res->status = 204;
    return 0;
}
