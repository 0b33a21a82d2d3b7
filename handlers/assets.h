/*
 * assets.h - what the build put into the binary: the API description as JSON, the reference that
 * is rendered from it, and what the pages look like. Generated from the folder openapi.
 */
#ifndef HANDLERS_ASSETS_H
#define HANDLERS_ASSETS_H

#include <stddef.h>

struct asset {
    const char *text; /* NUL-terminated */
    size_t bytes;
    const char *etag; /* with its quotes */
};

extern const struct asset asset_openapi_json, asset_docs_reference, asset_docs_contents,
    asset_docs_css, asset_docs_js;

#endif
