/*
 * apis.h - the documents in connectors/sources/apis, as they lie in the program.
 */
#ifndef CONNECTORS_SOURCES_APIS_H
#define CONNECTORS_SOURCES_APIS_H

#define APIS_MAX 64

struct api_document {
    const char *name;
    const char *text; /* JSON */
};

extern const struct api_document api_documents[]; /* NULL behind the last; at most APIS_MAX */

#endif
