/*
 * openapi.h - the API description, as JSON, inside the binary. Generated from
 * openapi/openapi.yaml.
 */
#ifndef HANDLERS_OPENAPI_H
#define HANDLERS_OPENAPI_H

#include <stddef.h>

extern const char openapi_json[]; /* NUL-terminated */
extern const size_t openapi_json_bytes;
extern const char openapi_etag[]; /* with its quotes */

#endif
