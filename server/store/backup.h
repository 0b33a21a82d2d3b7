/*
 * backup.h - what copying and opening a store share. Private to server/store.
 */
#ifndef SERVER_STORE_BACKUP_H
#define SERVER_STORE_BACKUP_H

#include "server/store/db.h"
#include "server/store/store.h"

/* Keeps "<path>.version-<version>", a copy of the store as it is, when there is room for it. */
CHECKED int store_copy_before(struct db *db, const char *path, int64_t version, struct error *err);

/* Takes "<path>.lock" until the descriptor is closed; -1 with CONFLICT "store_in_use". */
CHECKED int store_lock(const char *path, struct error *err);

#endif
