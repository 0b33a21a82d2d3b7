/*
 * list.h - which files a path stands for: one file, a folder, or a pattern in its last part.
 *
 * Of a folder: regular files whose name tells a format, in the order of their names. Hidden files,
 * links, and names that tell nothing are passed over with a line in the log. Memory is the
 * arena's; the descriptor of the folder is released with the list.
 */
#ifndef CONNECTORS_FILES_LIST_H
#define CONNECTORS_FILES_LIST_H

#include "connectors/connector.h"
#include "connectors/files/settings.h"

#define LIST_MAX_FILES 100000
#define LIST_MAX_LINES 20 /* of the log, about files that are passed over */

struct files_entry {
    const char *name; /* in the folder */
    const char *stem; /* without extensions */
    int64_t size, mtime_us;
};

struct files_list {
    int dir;            /* -1 = nothing open */
    const char *folder; /* its path */
    const char *stem;   /* name of the stream when all files are one */
    struct files_entry *entries;
    size_t n;
    size_t n_passed; /* files that were passed over */
};

/*
 * Fails with NOT_FOUND, PERMISSION or CONFIG and a sentence about the path; with NOT_FOUND also
 * when the folder or the pattern has no file, and with TOO_LARGE when it has too many.
 */
CHECKED int files_list_open(const struct files_config *c, struct run *run, struct files_list *out,
                            struct error *err);
void files_list_close(struct files_list *l);

/* The name of the stream that this file belongs to. */
const char *files_list_stream(const struct files_list *l, const struct files_config *c, size_t i);

#endif
