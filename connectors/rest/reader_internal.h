/*
 * reader_internal.h - shared by reader.c, which reads streams, and reader_look.c, which looks at
 * them.
 */
#ifndef CONNECTORS_REST_READER_INTERNAL_H
#define CONNECTORS_REST_READER_INTERNAL_H

#include "connectors/rest/reader.h"

CHECKED int rest_open(const struct rest_source *src, struct run *run, struct fetcher **out,
                      struct error *err);

#endif
