/*
 * scan.h - what the source `file` does: look at files, tell their columns, read them.
 */
#ifndef CONNECTORS_FILES_SCAN_H
#define CONNECTORS_FILES_SCAN_H

#include "connectors/connector.h"
#include "connectors/files/infer.h"
#include "connectors/files/list.h"

/* The callbacks of struct source_connector; `config` is a struct files_config. */
int files_check(const void *config, struct run *run, struct error *err);
int files_discover(const void *config, struct run *run, struct catalog *out, struct error *err);
/* Exact up to FILES_COUNT_EXACT stored bytes, an estimate from the first records beyond. */
int files_count(const void *config, struct run *run, const struct stream *stream,
                int64_t *out_count, bool *out_exact, struct error *err);
int files_read(const void *config, struct run *run, const struct read_request *req,
               struct sink *out, struct error *err);

#define FILES_COUNT_EXACT  ((int64_t)64 << 20)
#define FILES_COUNT_SAMPLE 20000 /* records of each of INFER_FILES files for an estimate */

/* The files of one stream, in the order of their names. */
struct files_group {
    const struct files_entry **files;
    size_t n;
};

/* The group with this name; empty when there is none. */
struct files_group files_group_find(const struct files_list *l, const struct files_config *c,
                                    const char *stream, struct arena *mem);

/* Looks at files of the group. */
CHECKED int files_group_sample(const struct files_config *c, struct run *run,
                               const struct files_list *l, const struct files_group *g,
                               struct infer *infer, struct error *err);

#endif
