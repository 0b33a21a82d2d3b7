/*
 * target.h - what the destination `file` does: rows into files that count once a manifest names
 * them.
 */
#ifndef CONNECTORS_FILES_TARGET_H
#define CONNECTORS_FILES_TARGET_H

#include "connectors/connector.h"
#include "connectors/files/settings.h"

/* The callbacks of struct destination_connector; `config` is a struct files_target_config. */
int files_target_check(const void *config, struct run *run, struct error *err);
int files_target_open(const void *config, struct run *run, const struct write_plan *plan,
                      struct destination **out, struct error *err);
int files_target_clear(const void *config, struct run *run, const struct write_plan *plan,
                       struct error *err);

#endif
