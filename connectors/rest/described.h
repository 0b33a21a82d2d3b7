/*
 * described.h - a source connector made of a document while the program runs.
 *
 * Its configuration is flat: the vars of the document, then its secrets, each a row of an option
 * table like that of a built-in connector. A var that the client's part of the document mentions
 * says where secrets go (OPTION_BINDING). What is made lives in the arena given, so that replacing
 * the document elsewhere disturbs nobody who uses it.
 */
#ifndef CONNECTORS_REST_DESCRIBED_H
#define CONNECTORS_REST_DESCRIBED_H

#include "connectors/connector.h"

/* NULL after adding to `problems`, with pointers below `pointer`. Name and document are copied. */
const struct source_connector *described_source(struct arena *mem, const char *name,
                                                const struct doc *document, const char *pointer,
                                                struct problems *problems);

/*
 * What decides to which place the secrets of a configuration are sent, as text to compare: who the
 * client talks to and how it says who it is, with the variables that this depends on.
 */
const char *described_binding(struct arena *mem, const struct doc *document);

#endif
