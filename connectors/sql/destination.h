/*
 * destination.h - the SQL destination: one engine over a dialect and a driver.
 *
 * Rows and the position that covers them become durable in one transaction, together with the row
 * of `_connectord_state` that is the fence against older workers. What each mode does:
 *
 *   full refresh, overwrite   rows go to `t__g<n>`; finish verifies, indexes and swaps it in
 *   full refresh, append      rows go to `t__g<n>`; finish moves them into t in one transaction
 *   incremental, append       rows go straight into t
 *   append_dedup, insert_only rows are staged, folded by key and merged: the last version of a key
 *                             wins, for insert_only the first
 *
 * An incremental stream that starts over (restart, another key, cursor, write mode, or a dropped
 * table) is built beside the live table as well and swapped in when it is complete, so rows of two
 * generations never mix. A generation that was not finished is continued when stream, key, modes
 * and schema are the same, else it is dropped.
 */
#ifndef CONNECTORS_SQL_DESTINATION_H
#define CONNECTORS_SQL_DESTINATION_H

#include "connectors/sql/dialect.h"

#define SQL_WRITE_MODES                                                      \
    (1u << WRITE_OVERWRITE | 1u << WRITE_APPEND | 1u << WRITE_APPEND_DEDUP | \
     1u << WRITE_INSERT_ONLY)

/* `config` is the driver's. With `adopt`, a table that is there and is nobody's is taken over: its
 * columns are kept, and nothing about them but new ones is changed. */
CHECKED int sql_destination_open(const struct sql_driver *driver, const void *config, bool adopt,
                                 struct run *run, const struct write_plan *plan,
                                 struct destination **out, struct error *err);

/* Drops the tables and the state of the plan's streams, if this pipeline owns them. */
CHECKED int sql_destination_clear(const struct sql_driver *driver, const void *config,
                                  struct run *run, const struct write_plan *plan,
                                  struct error *err);

#endif
