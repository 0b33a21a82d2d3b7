/*
 * doc.h - JSON documents of the control plane: requests, configurations, catalogs, states.
 *
 * A tree over jansson behind limits: depth, number of values, length of strings and of numbers
 * are checked in one pass before the tree is built, duplicate keys and broken UTF-8 are refused.
 * Row data never comes here, since numbers would be altered (use jsonread). Getters borrow;
 * builders take. A document is owned by whoever parsed or made it; not shared between threads
 * unless it is only read.
 */
#ifndef CONNECTORS_BASE_DOC_H
#define CONNECTORS_BASE_DOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "connectors/base/buf.h"
#include "connectors/base/error.h"

struct doc; /* opaque: one JSON value of any kind */

enum doc_kind { DOC_NULL, DOC_BOOL, DOC_INT, DOC_REAL, DOC_STRING, DOC_ARRAY, DOC_OBJECT };

#define DOC_MAX_DEPTH  32          /* nesting of objects and arrays */
#define DOC_MAX_VALUES 50000       /* keys counted too; 8 MiB of [0,0,...] would cost 169 MiB */
#define DOC_MAX_STRING (256 << 10) /* bytes of one string as written */
#define DOC_MAX_NUMBER 64          /* characters of one number */

/*
 * Parses exactly one JSON value. Fails with INVALID and reason "invalid_json" or "duplicate_key",
 * or with TOO_LARGE; the message says where.
 */
CHECKED int doc_parse(const char *text, size_t n, struct doc **out, struct error *err);
/* The same for text of our own making (a stored row): limits of values and strings are lifted. */
CHECKED int doc_parse_trusted(const char *text, size_t n, struct doc **out, struct error *err);

void doc_free(struct doc *d); /* accepts NULL */
DEFINE_CLEANUP(struct doc *, doc_free_cleanup, doc_free);

enum doc_kind doc_kind(const struct doc *d);
const char *doc_kind_name(enum doc_kind kind); /* "object", "integer", ... for messages */

/* Borrowed; all of them accept NULL and any kind, and answer NULL, 0 or the fallback then. */
const struct doc *doc_get(const struct doc *object, const char *key);
const struct doc *doc_at(const struct doc *array, size_t i);
size_t doc_count(const struct doc *d); /* members or elements */
const char *doc_string(const struct doc *d, const char *fallback);
int64_t doc_int(const struct doc *d, int64_t fallback);
double doc_real(const struct doc *d, double fallback); /* integers too */
bool doc_bool(const struct doc *d, bool fallback);
bool doc_is(const struct doc *d, enum doc_kind kind); /* false for NULL */

/* Members in the order in which they were written: for (it = doc_first(o); it; it = doc_next(o,
 * it)). */
struct doc_member; /* opaque cursor, valid while the object is not changed */
const struct doc_member *doc_first(const struct doc *object);
const struct doc_member *doc_next(const struct doc *object, const struct doc_member *it);
const char *doc_member_key(const struct doc_member *it);
const struct doc *doc_member_value(const struct doc_member *it);

/* Builders. `value` is taken. Setting replaces; a NULL string becomes null. */
struct doc *doc_new_object(void);
struct doc *doc_new_array(void);
struct doc *doc_new_string(const char *s);
struct doc *doc_new_string_n(const char *s, size_t n);
struct doc *doc_new_int(int64_t v);
struct doc *doc_new_real(double v);
struct doc *doc_new_bool(bool v);
struct doc *doc_new_null(void);
void doc_set(struct doc *object, const char *key, struct doc *value);
void doc_remove(struct doc *object, const char *key);
void doc_append(struct doc *array, struct doc *value);
/* The member as a thing to change, or NULL. */
struct doc *doc_get_mutable(struct doc *object, const char *key);
struct doc *doc_copy(const struct doc *d); /* deep */
bool doc_equal(const struct doc *a, const struct doc *b);

/* `target` changed by the merge patch of RFC 7396: null removes, objects merge, the rest replaces.
 */
struct doc *doc_merge_patch(const struct doc *target, const struct doc *patch);

/* Appends the text: compact, or indented by two blanks. Member order is kept. */
void doc_write(const struct doc *d, struct buf *out);
void doc_write_pretty(const struct doc *d, struct buf *out);

/* Appends "/" and `token` with ~ and / escaped (RFC 6901): builds pointers for error lists. */
void doc_pointer_put(struct buf *pointer, const char *token);

#endif
