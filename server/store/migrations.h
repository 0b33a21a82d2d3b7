/*
 * migrations.h - the schema of the store, as numbered steps forward.
 *
 * Private to server/store. Each step is one transaction and leaves its checksum in the file, so
 * that a step that was edited after its release is noticed.
 */
#ifndef SERVER_STORE_MIGRATIONS_H
#define SERVER_STORE_MIGRATIONS_H

#include "server/store/db.h"

#define STORE_APPLICATION_ID 0x636f6e64 /* "cond", in the header of the file */

/* Fails with DATA "store_corrupt" when the file is a database of somebody else's, and with CONFLICT
 * "store_newer" when a newer version of this program has written it. 1 = it is empty. */
CHECKED int migrations_check(struct db *db, struct error *err);
/* Which version the file has, and whether that is an old one; a new file has version 0 and is not
 * old. */
CHECKED int migrations_are_due(struct db *db, int64_t *out_version, bool *out_old,
                               struct error *err);
/* How many steps are missing. */
CHECKED int migrations_missing(struct db *db, int64_t *out, struct error *err);
/* Brings the file to the newest version. */
CHECKED int migrations_run(struct db *db, struct error *err);

#endif
