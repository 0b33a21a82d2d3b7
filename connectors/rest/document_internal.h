/*
 * document_internal.h - what the files that compile a document share.
 *
 * Each section of a document has an option table, which knows its members, defaults, choices and
 * bounds; what is left to do is to compile the texts within.
 */
#ifndef CONNECTORS_REST_DOCUMENT_INTERNAL_H
#define CONNECTORS_REST_DOCUMENT_INTERNAL_H

#include "connectors/rest/document.h"

#define SCOPES_CONFIG (SCOPE_BIT(vars) | SCOPE_BIT(secret) | SCOPE_BIT(run))
#define SCOPES_REQUEST                                                                           \
    (SCOPES_CONFIG | SCOPE_BIT(state) | SCOPE_BIT(parent) | SCOPE_BIT(slice) | SCOPE_BIT(page) | \
     SCOPE_BIT(last) | SCOPE_BIT(token))
#define SCOPES_ANSWER (SCOPE_BIT(body) | SCOPE_BIT(header) | SCOPE_BIT(last) | SCOPE_BIT(page))
#define SCOPES_RECORD                                                             \
    (SCOPE_BIT(record) | SCOPE_BIT(vars) | SCOPE_BIT(state) | SCOPE_BIT(parent) | \
     SCOPE_BIT(slice) | SCOPE_BIT(run))

struct compile {
    struct arena *mem;
    struct problems *problems;
    const struct option *vars, *secrets; /* that it declares; NULL = not read yet */
};

/* For OPTION_DOC members that may be anything. */
void document_any(const struct doc *value, const char *pointer, struct problems *problems);

const char *document_at(struct compile *c, const char *pointer, const char *name);
/* A const string in the arena, NULL for NULL. */
const char *document_text(struct compile *c, const char *s);
/* All of these answer NULL, 0 or an empty list for what is absent or wrong, and say what is. */
const struct template *document_template(struct compile *c, const struct doc *value,
                                         unsigned allowed, const char *pointer);
struct rest_pairs document_pairs(struct compile *c, const struct doc *object, unsigned allowed,
                                 const char *pointer);
const struct condition *document_condition(struct compile *c, const char *text, unsigned allowed,
                                           const char *pointer);
int64_t document_duration_ms(struct compile *c, const char *text, const char *pointer);
bool document_path(struct compile *c, const char *text, bool each, const char *pointer,
                   struct path *out);
/* The place of a word in a list of choices that ends with NULL; the first for NULL. */
int document_choice(const char *word, const char *const *choices);
const char *const *document_list(struct compile *c, const struct string_list *list);

/* Sections. */
void document_client(struct compile *c, const struct doc *object, const char *pointer,
                     struct rest_client *out);
void document_request(struct compile *c, const struct doc *object, const char *pointer,
                      struct rest_request *out);
struct rest_rules document_rules(struct compile *c, const struct doc *list, const char *pointer);
/* `stream` has its key, its records, what is added, and its incremental already. */
void document_paginate(struct compile *c, const struct doc *object, const char *pointer,
                       struct rest_stream *stream);
void document_incremental(struct compile *c, const struct doc *object, const char *pointer,
                          struct rest_incremental *out);
/* All but the parent of for_each, which is found when every stream is known. */
void document_stream(struct compile *c, const struct doc *object, const char *pointer,
                     struct rest_stream *out, const char **out_parent);

#endif
