/*
 * txn.h - transactions of the store, and what the files behind store.h share.
 *
 * Private to server/store. There is one writer at a time, in this process by a turn that is taken
 * here, between processes by SQLite's lock; readers have connections of their own and see the last
 * commit. Waiting for a turn and for the lock together is bounded by STORE_BUSY_MS.
 */
#ifndef SERVER_STORE_TXN_H
#define SERVER_STORE_TXN_H

#include "server/store/db.h"
#include "server/store/store.h"

#define STORE_BUSY_MS 5000

enum txn_kind {
    TXN_READ,
    TXN_LOOK,     /* one reading statement, which is a transaction by itself */
    TXN_WRITE,    /* durable once committed */
    TXN_PROGRESS, /* consistent, but the last ones may be lost with the power */
};

/* Declare with CLEANUP(txn_end): what was not committed is rolled back. */
struct seat;
struct txn {
    struct store *store;
    enum txn_kind kind;
    struct db *db;
    struct seat *seat; /* private to store.c; NULL before txn_begin and after txn_end */
};
CHECKED int txn_begin(struct store *s, enum txn_kind kind, struct txn *out, struct error *err);
/* Gives up after `limit_ms` instead of STORE_BUSY_MS. */
CHECKED int txn_begin_within(struct store *s, enum txn_kind kind, int64_t limit_ms, struct txn *out,
                             struct error *err);
CHECKED int txn_commit(struct txn *t, struct error *err);
void txn_end(struct txn *t);

/*
 * Writes the log back into the file and empties it, so that what was deleted is nowhere. A reader
 * that is busy just now keeps its part of the log; the next checkpoint takes it.
 */
void store_forget_log(struct store *s);

/* The descriptor that holds "<path>.lock"; -1 when another process does. */
int store_lock_fd(const struct store *s, const char **out_path);

/* The cursor of a list: the sequence number of its last row, marked with the list it is of. */
const char *cursor_write(char list, int64_t seq, struct arena *mem);
/* 0 for NULL. INVALID "invalid_cursor" for anything that cursor_write did not make. */
CHECKED __attribute__((nonnull)) int cursor_read(char list, const struct list_query *q,
                                                 int64_t *out_seq, struct error *err);

/* CONFLICT "revision_mismatch" unless `actual` (0 = there is none yet) is as expected. */
CHECKED int revision_check(int64_t actual, int64_t expected, struct error *err);

/* NULL-safe comparison of texts. */
bool same_text(const char *a, const char *b);

/* The row of a source or destination by id or name: 1 = found, 0 = there is none. */
CHECKED int resource_find(struct txn *t, enum resource_kind kind, const char *id_or_name,
                          struct arena *mem, struct resource *out, struct error *err);
/* The run of this id: 1 = found, 0 = there is none. */
CHECKED int run_find(struct txn *t, int64_t id, struct arena *mem, struct run_row *out,
                     struct error *err);
/* The active sync or clear of this connection, or the first queued one: its id, or 0. */
CHECKED int run_find_open(struct txn *t, const char *connection_id, bool queued_too,
                          int64_t *out_id, struct error *err);

/* Notes in the transaction that creates something under which key that was asked for; `key` may be
 * NULL. */
__attribute__((nonnull(1, 4), warn_unused_result)) int
idempotency_note(struct txn *t, const char *key, enum effect_kind kind, const char *id,
                 struct error *err);
/* At start: keys that a process took with it are free, or point to what they created. */
CHECKED int idempotency_recover(struct db *db, struct error *err);

#endif
