/*
 * docyaml.h - documents of the control plane written as YAML: the part of it that is JSON.
 *
 * Mappings, sequences and scalars, in block or flow style. An unquoted scalar is null (also ~ and
 * nothing at all), true, false or a number where it is written as JSON writes them, otherwise text:
 * yes, no, on, 010 and 12:30 are text. Anchors, aliases, tags, merge keys, keys that are not
 * scalars, keys that occur twice and further documents are refused; the limits are those of doc.h.
 */
#ifndef CONNECTORS_BASE_DOCYAML_H
#define CONNECTORS_BASE_DOCYAML_H

#include "connectors/base/doc.h"

/* Fails with INVALID "invalid_yaml" or "duplicate_key", or with TOO_LARGE; the message says where.
 */
CHECKED int doc_parse_yaml(const char *text, size_t n, struct doc **out, struct error *err);

#endif
