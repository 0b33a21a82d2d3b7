/*
 * docs.c - what people read: the page at the root, the reference of the API, and a page for each
 * connector, made of its option table.
 */
#include <inttypes.h>
#include <string.h>

#include "handlers/assets.h"
#include "handlers/connectors.h"
#include "handlers/html.h"
#include "handlers/routes.h"

/* ------------------------------------------------------------------- small parts */

/* Relative links count from the last slash: an address with one too many is sent to its name. */
static bool is_sent_on(struct request *req, struct response *res)
{
    CLEANUP(buf_release) struct buf location = BUF_INIT(4096);
    const char *target = request_target(req);
    size_t n = strcspn(target, "?"), end = n, begin;

    for (; end > 1 && target[end - 1] == '/'; end--)
        buf_puts(&location, "../");
    if (end == n)
        return false;
    for (begin = end; begin > 0 && target[begin - 1] != '/'; begin--)
        ;
    buf_put(&location, target + begin, end - begin);
    res->status = 308;
    response_header(res, "Location", "%s", buf_str(&location));
    return true;
}

static void send_asset(struct response *res, const struct asset *asset, const char *type)
{
    res->content_type = type;
    response_header(res, "ETag", "%s", asset->etag);
    response_header(res, "Cache-Control", "no-cache");
    buf_put(&res->body, asset->text, asset->bytes);
}

int handle_openapi(struct app *app, struct request *req, struct response *res, struct error *err)
{
    (void)app;
    (void)req;
    (void)err;
    send_asset(res, &asset_openapi_json, NULL);
    return 0;
}

int handle_docs_asset(struct app *app, struct request *req, struct response *res, struct error *err)
{
    const char *name = request_param(req, "asset");

    (void)app;
    if (!strcmp(name, "docs.css"))
        send_asset(res, &asset_docs_css, "text/css");
    else if (!strcmp(name, "docs.js"))
        send_asset(res, &asset_docs_js, "text/javascript");
    else
        return error_set(err, ERR_NOT_FOUND, "there is no page \"%s\"", name);
    return 0;
}

int handle_docs(struct app *app, struct request *req, struct response *res, struct error *err)
{
    const struct page p = {
        .title = "connectord: API reference", .root = "", .contents = asset_docs_contents.text};

    (void)app;
    (void)err;
    if (is_sent_on(req, res))
        return 0;
    html_begin(res, &p);
    buf_put(&res->body, asset_docs_reference.text, asset_docs_reference.bytes);
    html_end(res);
    return 0;
}

/* ---------------------------------------------------------------- one connector */

static void put_chip(struct buf *out, const char *text)
{
    buf_puts(out, "<li>");
    html_text(out, text);
    buf_puts(out, "</li>");
}

static void put_modes(struct buf *out, const struct connector *c)
{
    buf_puts(out, "<h2>Modes</h2><ul class=\"chips\">");
    if (c->kind == RESOURCE_SOURCE) {
        put_chip(out, "full_refresh");
        put_chip(out, "incremental");
        if (c->filters_rows)
            put_chip(out, "filters rows itself");
    }
    for (enum write_mode m = WRITE_OVERWRITE; m <= WRITE_INSERT_ONLY; m++) {
        if (c->write_modes & 1u << m)
            put_chip(out, write_mode_name(m));
    }
    if (c->value_policies)
        put_chip(out, "on_unrepresentable, nul");
    if (c->delivery)
        put_chip(out, strcmp(c->delivery, "exactly_once") ? "delivers at least once"
                                                          : "delivers exactly once");
    buf_puts(out, "</ul>");
}

static const char *type_word(const struct option *o)
{
    switch (o->type) {
    case OPTION_STRING:
        return "string";
    case OPTION_INT:
        return "integer";
    case OPTION_BOOL:
        return "boolean";
    case OPTION_LIST:
        return "array of string";
    case OPTION_DOC:
        return "object";
    }
    return "";
}

static void put_choices(struct buf *out, const struct option *o)
{
    for (size_t i = 0; o->choices && o->choices[i]; i++) {
        buf_puts(out, i ? " | <code>" : ": <code>");
        html_text(out, o->choices[i]);
        buf_puts(out, "</code>");
    }
}

static void put_bounds(struct buf *out, const struct option *o)
{
    buf_puts(out, " <span class=\"bounds\">");
    if (o->type == OPTION_INT && o->min < o->max)
        buf_printf(out, "%" PRId64 " to %" PRId64 " ", o->min, o->max);
    else if (o->type == OPTION_STRING && o->max > 0)
        buf_printf(out, "at most %" PRId64 " bytes ", o->max);
    if (o->def) {
        buf_puts(out, "default ");
        html_text(out, *o->def ? o->def : "\"\"");
    }
    buf_puts(out, "</span>");
}

static void put_option(struct buf *out, const struct option *o)
{
    buf_printf(out, "<li id=\"option-%s\"><code class=\"name\">%s</code> <span class=\"type\">%s",
               o->name, o->name, type_word(o));
    put_choices(out, o);
    buf_puts(out, "</span>");
    if (o->flags & OPTION_REQUIRED)
        buf_puts(out, " <span class=\"required\">required</span>");
    if (o->flags & OPTION_SECRET)
        buf_puts(out, " <span class=\"required\">secret: never shown again</span>");
    put_bounds(out, o);
    buf_puts(out, "<div class=\"text\">");
    html_prose(out, o->help);
    buf_puts(out, "</div></li>");
}

static void put_options(struct buf *out, const struct connector *c)
{
    buf_puts(out, "<h2>Options</h2><ul class=\"members\">");
    for (const struct option *o = c->options; o->name; o++)
        put_option(out, o);
    buf_puts(out, "</ul>");
}

/* Of a source that knows them before anybody connects. */
static void put_streams(struct buf *out, const struct known_stream *s)
{
    if (!s || !s->name)
        return;
    buf_puts(out, "<h2>Streams</h2><ul class=\"members\">");
    for (; s->name; s++) {
        buf_puts(out, "<li><code class=\"name\">");
        html_text(out, s->name);
        buf_puts(out, "</code><div class=\"text\">");
        html_prose(out, s->notes);
        buf_puts(out, "</div></li>");
    }
    buf_puts(out, "</ul>");
}

static void put_shell(struct buf *out, const struct buf *text)
{
    buf_puts(out, "<pre class=\"shell\"><code>");
    html_text(out, buf_str(text));
    buf_puts(out, "</code></pre>");
}

/* One that can be pasted into a shell: a quote inside ends the string and begins it again. */
static void put_example(struct buf *out, const struct connector *c)
{
    CLEANUP(doc_free_cleanup) struct doc *body = doc_new_object();
    CLEANUP(buf_release) struct buf json = BUF_INIT(1 << 20), text = BUF_INIT(1 << 20);
    const char *kind = connector_kind_name(c->kind);

    doc_set(body, "connector", doc_new_string(c->name));
    doc_set(body, "config", options_template(c->options, true));
    doc_write_pretty(body, &json);
    buf_printf(&text,
               "curl -fsS -X PUT \"$U/v1/%ss/my-%s\" -H 'Content-Type: application/json' -d '",
               kind, c->name);
    for (const char *s = buf_str(&json); *s; s++) {
        if (*s == '\'')
            buf_puts(&text, "'\\'");
        buf_putc(&text, *s);
    }
    buf_printf(&text, "'\ncurl -fsS -X POST \"$U/v1/%ss/my-%s/check?pretty\"", kind, c->name);
    buf_puts(out,
             "<h2>Example</h2><p>What must be said, with values to replace; <code>$U</code> is "
             "the address of the service.</p>");
    put_shell(out, &text);
}

/* What a value is on its way, and what becomes of it where it arrives. */
static void put_types(struct buf *out, const struct connector *c)
{
    static const char *const meaning[TYPE_COUNT] = {
        [TYPE_BOOL] = "true or false",
        [TYPE_INT] = "64 bits, signed",
        [TYPE_DECIMAL] = "exact, any number of digits",
        [TYPE_FLOAT] = "IEEE 754, 32 or 64 bits",
        [TYPE_STRING] = "UTF-8",
        [TYPE_BYTES] = "any bytes",
        [TYPE_DATE] = "proleptic Gregorian",
        [TYPE_TIME] = "of the day, microseconds",
        [TYPE_TIMESTAMP] = "without a zone, microseconds",
        [TYPE_TIMESTAMPTZ] = "an instant, microseconds",
        [TYPE_INTERVAL] = "months, days and microseconds apart",
        [TYPE_UUID] = "128 bits",
        [TYPE_JSON] = "any JSON, kept as written",
    };

    buf_printf(out,
               "<h2>Types</h2><p>%s</p><table><thead><tr><th>Type</th><th>Values</th>%s</tr>"
               "</thead><tbody>",
               c->kind == RESOURCE_SOURCE
                   ? "Every column is read as one of these; <code>discover</code> tells which."
                   : "What arrives is one of these.",
               c->types ? "<th>Column</th>" : "");
    for (enum type t = 0; t < TYPE_COUNT; t++) {
        buf_printf(out, "<tr><td><code>%s</code></td><td>%s</td>", type_name(t), meaning[t]);
        if (c->types) {
            buf_puts(out, "<td><code>");
            html_text(out, c->types[t]);
            buf_puts(out, "</code></td>");
        }
        buf_puts(out, "</tr>");
    }
    buf_puts(out, "</tbody></table>");
}

static void put_native(void *arg, const char *native, const char *text)
{
    struct buf *out = arg;

    buf_puts(out, "<tr><td><code>");
    html_text(out, native);
    buf_puts(out, "</code></td><td>");
    html_text(out, text);
    buf_puts(out, "</td></tr>");
}

/* What the types of the other side become. */
static void put_native_types(struct buf *out, const struct connector *c)
{
    if (!c->tell_types)
        return;
    buf_printf(
        out,
        "<h3 id=\"native-types\">%s</h3><table><thead><tr><th>%s</th><th>%s</th></tr></thead>"
        "<tbody>",
        c->kind == RESOURCE_SOURCE ? "What native types become" : "What our types become",
        c->kind == RESOURCE_SOURCE ? "There" : "Here",
        c->kind == RESOURCE_SOURCE ? "Read as" : "Written as");
    c->tell_types(put_native, out);
    buf_puts(out, "</tbody></table>");
}

static void put_limit(void *arg, const char *what, const char *text)
{
    struct buf *out = arg;

    buf_puts(out, "<tr><td>");
    html_text(out, what);
    buf_puts(out, "</td><td>");
    html_text(out, text);
    buf_puts(out, "</td></tr>");
}

static void put_limits(struct buf *out, const struct connector *c)
{
    buf_puts(out,
             "<h2>Limits</h2><table><thead><tr><th>Of</th><th>At most</th></tr></thead><tbody>");
    connector_tell_limits(put_limit, out);
    if (c->tell_limits)
        c->tell_limits(put_limit, out);
    buf_puts(out, "</tbody></table>");
}

static void put_links(struct buf *out, const struct connector *c, const char *root)
{
    const char *kind = connector_kind_name(c->kind);

    buf_printf(
        out,
        "<h2>For programs</h2><p><a href=\"%sv1/connectors/%s/%s?pretty\">All of this as "
        "JSON</a>, the <a href=\"%sv1/connectors/%s/%s/schema?pretty\">JSON Schema of a "
        "configuration</a>, a <a href=\"%sv1/connectors/%s/%s/template?pretty\">configuration "
        "with every default</a>.</p>",
        root, kind, c->name, root, kind, c->name, root, kind, c->name);
}

/* Built-in ones only: what a user registered is not told to whoever comes along. */
static bool built_in(const char *kind, const char *name, struct connector *out)
{
    enum resource_kind k;

    if (!connector_kind_from_name(kind, &k))
        return false;
    for (size_t i = 0; connector_at(k, i, out); i++) {
        if (!strcmp(out->name, name))
            return true;
    }
    return false;
}

int handle_docs_connector(struct app *app, struct request *req, struct response *res,
                          struct error *err)
{
    struct page p = {.root = "../../../",
                     .kind = request_param(req, "kind"),
                     .name = request_param(req, "name")};
    struct buf *out = &res->body;
    struct connector c;

    (void)app;
    if (!built_in(p.kind, p.name, &c))
        return error_set(err, ERR_NOT_FOUND, "there is no built-in %s \"%s\"", p.kind, p.name);
    if (is_sent_on(req, res))
        return 0;
    p.title = arena_printf(request_mem(req), "connectord: %s, %s", c.title, p.kind);
    html_begin(res, &p);
    buf_printf(out, "<p class=\"kind\">%s &middot; <code>%s</code></p><h1>", p.kind, c.name);
    html_text(out, c.title);
    buf_puts(out, "</h1><p class=\"lead\">");
    html_prose(out, c.docs);
    buf_puts(out, "</p>");
    put_modes(out, &c);
    put_example(out, &c);
    put_options(out, &c);
    put_streams(out, c.streams);
    put_types(out, &c);
    put_native_types(out, &c);
    put_limits(out, &c);
    put_links(out, &c, p.root);
    html_end(res);
    return 0;
}

/* -------------------------------------------------------------------- the root */

static const char welcome[] =
    "<h1>Data from where it is to where it is needed</h1>"
    "<p class=\"lead\">connectord moves data from sources to destinations: no row lost, none "
    "doubled, no value silently altered. Everything it does is a request over HTTP.</p>"
    "<div class=\"cards\">"
    "<a class=\"card\" href=\"docs\"><b>Reference</b><span>Every route, parameter, body and "
    "answer, with examples</span></a>"
    "<a class=\"card\" href=\"openapi.json\"><b>OpenAPI</b><span>The same for programs: generate "
    "a client from it</span></a>"
    "<a class=\"card\" href=\"v1/connectors?pretty\"><b>Connectors</b><span>What can be connected, "
    "as JSON</span></a>"
    "<a class=\"card\" href=\"v1/connections?pretty\"><b>Connections</b><span>What is connected, "
    "and how its newest run went</span></a>"
    "<a class=\"card\" href=\"v1/runs?pretty\"><b>Runs</b><span>What ran, with exact "
    "counts</span></a>"
    "<a class=\"card\" href=\"v1/info?pretty\"><b>This service</b><span>Version, limits and time "
    "limits</span></a></div>"
    "<h2>A first sync</h2><pre class=\"shell\"><code>"
    "curl -fsS -X PUT \"$U/v1/sources/shop\" -d '{\"connector\": \"sample\", \"config\": "
    "{\"rows\": "
    "1000}}'\n"
    "curl -fsS -X PUT \"$U/v1/destinations/lake\" -d '{\"connector\": \"sqlite\", \"config\": "
    "{\"path\": \"/tmp/lake.db\"}}'\n"
    "curl -fsS -X PUT \"$U/v1/connections/shop-to-lake\" -d '{\"source\": \"shop\", "
    "\"destination\": \"lake\"}'\n"
    "curl -fsSN -X POST \"$U/v1/connections/shop-to-lake/runs?follow=true&amp;format=text\""
    "</code></pre>"
    "<p><code>$U</code> is the address of this service.</p>";

static void put_cards(struct buf *out, enum resource_kind kind)
{
    struct connector c;

    buf_printf(out, "<h2>%s</h2><div class=\"cards\">",
               kind == RESOURCE_SOURCE ? "Sources" : "Destinations");
    for (size_t i = 0; connector_at(kind, i, &c); i++) {
        buf_printf(out, "<a class=\"card\" href=\"docs/connectors/%s/%s\"><b>",
                   connector_kind_name(kind), c.name);
        html_text(out, c.title);
        buf_printf(out, "</b><span><code>%s</code></span></a>", c.name);
    }
    buf_puts(out, "</div>");
}

int handle_root(struct app *app, struct request *req, struct response *res, struct error *err)
{
    const struct page p = {.title = "connectord", .root = "", .contents = ""};
    const char *accept = request_header(req, "Accept");

    if (!accept || !strstr(accept, "text/html"))
        return handle_info(app, req, res, err);
    html_begin(res, &p);
    buf_puts(&res->body, welcome);
    put_cards(&res->body, RESOURCE_SOURCE);
    put_cards(&res->body, RESOURCE_DESTINATION);
    html_end(res);
    return 0;
}
