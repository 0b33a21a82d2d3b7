#include "handlers/html.h"

#include <string.h>

#include "handlers/connectors.h"

void html_text(struct buf *out, const char *s)
{
    for (; *s; s++) {
        switch (*s) {
        case '<':
            buf_puts(out, "&lt;");
            break;
        case '>':
            buf_puts(out, "&gt;");
            break;
        case '&':
            buf_puts(out, "&amp;");
            break;
        case '"':
            buf_puts(out, "&quot;");
            break;
        case '\'':
            buf_puts(out, "&#39;");
            break;
        default:
            buf_putc(out, *s);
        }
    }
}

void html_prose(struct buf *out, const char *s)
{
    char piece[2] = "";
    bool code = false;

    for (; *s; s++) {
        if (*s == '`' && (code || strchr(s + 1, '`'))) {
            buf_puts(out, code ? "</code>" : "<code>");
            code = !code;
        } else {
            piece[0] = *s;
            html_text(out, piece);
        }
    }
}

static void put_connectors(struct buf *out, const struct page *p, enum resource_kind kind)
{
    const char *word = connector_kind_name(kind);
    struct connector c;

    buf_printf(out, "<h2>%s</h2><ul>", kind == RESOURCE_SOURCE ? "Reading from" : "Writing to");
    for (size_t i = 0; connector_at(kind, i, &c); i++) {
        bool here = p->kind && !strcmp(p->kind, word) && !strcmp(p->name, c.name);

        buf_printf(out, "<li><a href=\"%sdocs/connectors/%s/%s\"%s>", p->root, word, c.name,
                   here ? " aria-current=\"page\"" : "");
        html_text(out, c.title);
        buf_puts(out, "</a></li>");
    }
    buf_puts(out, "</ul>");
}

static void put_head(struct buf *out, const struct page *p)
{
    buf_puts(out, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                  "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
                  "<meta name=\"color-scheme\" content=\"light dark\"><title>");
    html_text(out, p->title);
    buf_printf(out,
               "</title><link rel=\"icon\" href=\"data:,\">"
               "<link rel=\"stylesheet\" href=\"%sdocs/docs.css\">"
               "<script defer src=\"%sdocs/docs.js\"></script></head>\n<body>",
               p->root, p->root);
}

static void put_bar(struct buf *out, const struct page *p)
{
    bool side = !p->contents || *p->contents;

    if (side)
        buf_puts(out, "<input type=\"checkbox\" id=\"menu\" aria-label=\"Contents\">");
    buf_puts(out, "<header class=\"bar\">");
    if (side)
        buf_puts(out, "<label class=\"menu-button\" for=\"menu\">&#9776;</label>");
    buf_printf(
        out,
        "<a class=\"brand\" href=\"%s./\"><svg width=\"24\" height=\"24\" viewBox=\"0 0 24 24\" "
        "fill=\"none\" stroke=\"currentColor\" stroke-width=\"2\" stroke-linecap=\"round\" "
        "aria-hidden=\"true\"><circle cx=\"5\" cy=\"12\" r=\"3\"/><circle cx=\"19\" "
        "cy=\"12\" r=\"3\"/><path d=\"M8 12h7m-3-3 3 3-3 3\"/></svg>connectord</a>"
        "<span class=\"version\">%s</span><span class=\"links\">"
        "<a href=\"%sdocs\">Reference</a><a href=\"%sopenapi.json\">OpenAPI</a></span>"
        "</header>\n",
        p->root, CONNECTORD_VERSION, p->root, p->root);
}

void html_begin(struct response *res, const struct page *p)
{
    struct buf *out = &res->body;

    res->content_type = "text/html; charset=utf-8";
    response_header(
        res, "Content-Security-Policy",
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    response_header(res, "Referrer-Policy", "no-referrer");
    put_head(out, p);
    put_bar(out, p);
    if (p->contents && !*p->contents) {
        buf_puts(out, "<div class=\"frame wide\"><main>");
        return;
    }
    buf_puts(out, "<div class=\"frame\"><nav class=\"side\" aria-label=\"Contents\">"
                  "<input class=\"filter dormant\" type=\"search\" placeholder=\"Filter\" "
                  "aria-label=\"Filter the contents\">");
    put_connectors(out, p, RESOURCE_SOURCE);
    put_connectors(out, p, RESOURCE_DESTINATION);
    if (p->contents)
        buf_puts(out, p->contents);
    buf_puts(out, "</nav>\n<main>");
}

void html_end(struct response *res)
{
    buf_puts(&res->body, "</main></div></body></html>\n");
}
