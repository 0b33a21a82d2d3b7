/*
 * html.h - pages for people: the frame around each, and text that is safe in it.
 *
 * A page works without scripts, links by relative addresses so that any path may stand in front of
 * the service, and asks nothing of any other host: the headers forbid it.
 */
#ifndef HANDLERS_HTML_H
#define HANDLERS_HTML_H

#include "server/http/http.h"

struct page {
    const char *title;
    const char *root;     /* from the page to the root of the service: "" or "../../" */
    const char *kind;     /* of the connector that the page is about, or NULL */
    const char *name;     /* of that connector */
    const char *contents; /* HTML below the connectors at the side, or NULL; "" = no side at all */
};

void html_begin(struct response *res, const struct page *p);
void html_end(struct response *res);

/* Characters that mean something in HTML are escaped, in text and in attributes. */
void html_text(struct buf *out, const char *s);
/* The same, but `words` between backquotes become code. */
void html_prose(struct buf *out, const char *s);

#endif
