/*
 * custom.h - descriptions of APIs, registered as source connectors under names of their own.
 */
#ifndef HANDLERS_CUSTOM_H
#define HANDLERS_CUSTOM_H

#include "connectors/base/doc.h"
#include "connectors/base/problem.h"

/* Whether the document could be registered under this name; adds every mistake, with pointers into
 * it. */
bool custom_accepts(struct arena *mem, const char *name, const struct doc *document,
                    struct problems *problems);

#endif
