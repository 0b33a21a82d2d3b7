/*
 * renames.h - columns that have another name at the source now: {"old": "new"}.
 *
 * Nothing at a source says that a column was renamed; it looks like one that went and one that
 * came. A user who knows better says so for each stream.
 */
#ifndef CONNECTORS_RENAMES_H
#define CONNECTORS_RENAMES_H

#include "connectors/base/doc.h"
#include "connectors/base/problem.h"

struct column_rename {
    const char *from, *to;
};

/* Of an option: an object of names, none of which two columns get. */
void renames_check(const struct doc *value, const char *pointer, struct problems *problems);
/* `value` may be NULL, else it has been checked; names are copied into `mem`. */
__attribute__((nonnull(2, 3, 4))) void renames_resolve(const struct doc *value, struct arena *mem,
                                                       const struct column_rename **out,
                                                       size_t *out_n);
struct doc *renames_to_doc(const struct column_rename *renames, size_t n);

#endif
