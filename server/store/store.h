/*
 * store.h - what the service remembers: resources, catalogs, state copies, runs. SQLite.
 *
 * One file, WAL, one writer at a time behind a lock of our own, readers beside it. Every function
 * is one transaction and safe from any thread. Rows come back as structs of text in the arena
 * given. Ids are UUIDv7 text, a name is a slug unique per kind, and either is accepted wherever a
 * resource is named. What a function has answered is durable (synchronous=FULL), progress
 * numbers aside (NORMAL, through a connection of their own).
 *
 * Any function may fail with CONTENTION "database_busy" after five seconds of waiting for another
 * writer, RESOURCE "insufficient_storage" or "store_io", PERMISSION "read_only", DATA
 * "store_corrupt".
 * "<path>.lock" is held as long as the store is open and stays behind.
 */
#ifndef SERVER_STORE_STORE_H
#define SERVER_STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "connectors/base/arena.h"
#include "connectors/base/error.h"

struct store; /* opaque */

/* Creates or migrates the file. Fails with CONFLICT "store_in_use" when another process has it,
 * "store_newer" for a newer schema, DATA "store_corrupt" when it is not intact. */
CHECKED int store_open(const char *path, struct store **out, struct error *err);
/*
 * The same for a command beside a service that may be running: with another process in the store it
 * is opened all the same, if its schema is ours, and nothing is repaired. There must be a store, or
 * it fails with NOT_FOUND.
 */
CHECKED int store_open_beside(const char *path, struct store **out, struct error *err);
void store_close(struct store *s); /* checkpoints; accepts NULL */
/* Gives up what nobody uses just now, of memory: when the work so far is not done again soon. */
void store_trim(struct store *s);
/* A write and a read, for readiness; gives up after `limit_ms` of waiting for other writers. */
CHECKED int store_ping(struct store *s, int64_t limit_ms, struct error *err);
/* Is the schema still the one that this program knows? Fails as store_open does when it is not; 1 =
 * it is an older one, which only a start brings up to date. */
CHECKED int store_check_schema(struct store *s, int64_t limit_ms, struct error *err);
/* False when the lock file was removed or replaced: another process may take the store then. */
bool store_has_lock(const struct store *s);

struct store_stats {
    int64_t bytes, wal_bytes, free_bytes; /* of the file, its log, its file system */
    int64_t schema_version;
    int64_t backup_us, backup_took_us; /* the last backup that was completed; 0 = never */
};
CHECKED int store_get_stats(struct store *s, struct store_stats *out, struct error *err);

/* ---------------------------------------------------------------------- backups */

/* What is in a copy. */
struct store_summary {
    int64_t schema_version, resources, connections, runs;
};

/*
 * Copies the store at `path`, open in whichever process and being written to, as it is at one
 * moment. `to` appears as a whole or not at all; one that exists is replaced. The copy has been
 * checked. Logs of runs and the keys of sealed values are not in it.
 */
CHECKED int store_backup(const char *path, const char *to, struct store_summary *out,
                         struct error *err);
/* Notes in the store, for metrics, that a backup is complete. */
CHECKED int store_note_backup(const char *path, int64_t took_us, struct error *err);
/* Reads a whole copy: DATA "store_corrupt", CONFLICT "store_newer". */
CHECKED int store_verify(const char *path, struct store_summary *out, struct error *err);
/* Makes the store at `path` of a copy, which is verified first. CONFLICT "store_exists" unless
 * there is none, "store_in_use". Numbers of later runs begin a million above those in the copy. */
CHECKED int store_restore(const char *from, const char *path, struct store_summary *out,
                          struct error *err);

/* ------------------------------------------------------ sources and destinations */

enum resource_kind { RESOURCE_SOURCE, RESOURCE_DESTINATION };

struct resource {
    const char *id, *name, *display_name;
    const char *connector;
    const char *config; /* JSON object, its secrets sealed */
    const char *labels; /* JSON object of strings */
    int64_t revision, created_us, updated_us;
    const char *idempotency_key; /* creating only: see store_idempotency_begin */
};

/*
 * What a page of a list is asked for by. Strings may be NULL. `connector`, `source`, `destination`
 * and `status` (that of the last sync or clear) may be comma-separated: any of them. `q` is looked
 * for in both names, `label_value` NULL means any value. Oldest first; rows that are added
 * meanwhile come on later pages. INVALID "invalid_cursor", "invalid_query".
 */
struct list_query {
    const char *connector, *q, *label_key, *label_value;
    const char *source, *destination, *status; /* connections */
    int paused;                                /* connections: -1 = any */
    const char *after;                         /* opaque cursor of the previous page */
    int64_t limit;
};

#define REVISION_ANY  (-1) /* no If-Match */
#define REVISION_NONE (-2) /* If-None-Match: *: it must not exist */

/* A UUIDv7 of now; later ones of this process compare greater, but for the same microsecond. */
#define STORE_ID_BYTES 37
void store_new_id(int64_t now_us, char out[static STORE_ID_BYTES]);

/*
 * Creates (with in->id, a fresh one of store_new_id, or NULL for the store to draw one; it is
 * written back) or replaces. `expected` is the revision it must
 * have. Fails with CONFLICT "name_taken", NOT_FOUND, CONFLICT "revision_mismatch". *in gets the
 * stored row. Writing what is stored already keeps the revision.
 */
CHECKED int store_create_resource(struct store *s, enum resource_kind kind, struct resource *in,
                                  struct arena *mem, struct error *err);
CHECKED int store_update_resource(struct store *s, enum resource_kind kind, struct resource *in,
                                  int64_t expected, struct arena *mem, struct error *err);
CHECKED int store_get_resource(struct store *s, enum resource_kind kind, const char *id_or_name,
                               struct arena *mem, struct resource *out, struct error *err);
/* CONFLICT "in_use" when connections use it; *out_users lists their names, comma-separated. */
CHECKED int store_delete_resource(struct store *s, enum resource_kind kind, const char *id_or_name,
                                  int64_t expected, struct arena *mem, const char **out_users,
                                  struct error *err);
/* *out_next is NULL on the last page. */
CHECKED int store_list_resources(struct store *s, enum resource_kind kind,
                                 const struct list_query *q, struct arena *mem,
                                 struct resource **out, size_t *out_n, const char **out_next,
                                 struct error *err);

/* How many there are in all; `after` and `limit` mean nothing. */
CHECKED int store_count_resources(struct store *s, enum resource_kind kind,
                                  const struct list_query *q, int64_t *out, struct error *err);

/* ------------------------------------------------------------ custom connectors */

/* A source connector that somebody described: see connectors/rest. */
struct stored_connector {
    const char *name;
    const char *document; /* JSON object, as it was sent */
    /* Who may be talked to, as text: changes only while no source uses the connector. */
    const char *binding;
    /* JSON array: every name that ever was a secret, since a source may still hold its value. */
    const char *secrets;
    int64_t revision, created_us, updated_us;
};

#define STORE_MAX_CONNECTORS 500 /* a list of them is always whole */

/*
 * Registers or replaces; `expected` as for resources. *in gets the stored row; revision 1 = new.
 * CONFLICT "revision_mismatch"; "in_use" when the binding changes under sources, whose names
 * *out_users lists, comma-separated; RESOURCE "too_many_connectors".
 */
CHECKED int store_put_connector(struct store *s, struct stored_connector *in, int64_t expected,
                                struct arena *mem, const char **out_users, struct error *err);
CHECKED int store_get_connector(struct store *s, const char *name, struct arena *mem,
                                struct stored_connector *out, struct error *err);
/* CONFLICT "in_use" as above. */
CHECKED int store_delete_connector(struct store *s, const char *name, int64_t expected,
                                   struct arena *mem, const char **out_users, struct error *err);
/* All of them, by name. */
CHECKED int store_list_connectors(struct store *s, struct arena *mem, struct stored_connector **out,
                                  size_t *out_n, struct error *err);

/* ------------------------------------------------------------------- catalogs */

struct stored_catalog {
    int64_t id;
    const char *source_id, *hash, *text; /* native catalog JSON */
    int64_t discovered_us;
};

/* The same hash as the newest one of this source only moves its time. The oldest beyond 100 go. */
CHECKED int store_put_catalog(struct store *s, struct stored_catalog *io, struct arena *mem,
                              struct error *err);
/* id 0 = the newest. NOT_FOUND with reason "not_discovered" when there is none at all. */
CHECKED int store_get_catalog(struct store *s, const char *source_id, int64_t id, struct arena *mem,
                              struct stored_catalog *out, struct error *err);
/* Newest first, without text, at most 100. */
CHECKED int store_list_catalogs(struct store *s, const char *source_id, struct arena *mem,
                                struct stored_catalog **out, size_t *out_n, struct error *err);

/* ----------------------------------------------------------------- connections */

struct connection {
    const char *id, *name, *display_name;
    const char *source_id, *destination_id;
    const char *source_name, *destination_name; /* filled on reading */
    bool paused;
    const char *labels;   /* JSON object */
    const char *streams;  /* JSON array as the user gave it, or NULL = every stream */
    const char *settings; /* JSON object: namespace, prefix, schema_change, run_policy, ... */
    int64_t revision, created_us, updated_us;
    const char *idempotency_key; /* creating only: see store_idempotency_begin */
};

/* As resources; source_id and destination_id may be names and come back as ids. NOT_FOUND when one
 * of them is not there. */
CHECKED int store_create_connection(struct store *s, struct connection *in, struct arena *mem,
                                    struct error *err);
CHECKED int store_update_connection(struct store *s, struct connection *in, int64_t expected,
                                    struct arena *mem, struct error *err);
CHECKED int store_get_connection(struct store *s, const char *id_or_name, struct arena *mem,
                                 struct connection *out, struct error *err);
/* CONFLICT "run_active" while a run is active or queued. State copies go with it; runs stay. */
CHECKED int store_delete_connection(struct store *s, const char *id_or_name, int64_t expected,
                                    struct error *err);
CHECKED int store_list_connections(struct store *s, const struct list_query *q, struct arena *mem,
                                   struct connection **out, size_t *out_n, const char **out_next,
                                   struct error *err);

CHECKED int store_count_connections(struct store *s, const struct list_query *q, int64_t *out,
                                    struct error *err);

/* ----------------------------------------------------------------- state copies */

/*
 * A copy of what the destination holds, for people and for the reconcile table of a run. A user's
 * edit is marked `edited` until the next run has carried it to the destination.
 */
struct state_row {
    const char *stream;   /* "namespace.name" or "name" */
    const char *position; /* JSON object or NULL */
    int64_t generation, seq;
    const char *counters; /* JSON object; NULL on copying keeps what is there */
    bool edited;          /* with position NULL: the stream is to be forgotten */
    int64_t updated_us;
};

/* *out_revision is the ETag of the whole; 0 when there is no state yet. */
CHECKED int store_get_state(struct store *s, const char *connection_id, struct arena *mem,
                            struct state_row **out, size_t *out_n, int64_t *out_revision,
                            struct error *err);
/* Upserts these rows as the runner copies them after a commit. */
CHECKED int store_copy_state(struct store *s, const char *connection_id,
                             const struct state_row *rows, size_t n, struct error *err);
/* Removes the rows of these streams, as a clear run does; n = 0 removes all. */
CHECKED int store_forget_state(struct store *s, const char *connection_id,
                               const char *const *streams, size_t n, struct error *err);
/*
 * A user's edit: sets these rows (position NULL = forget the stream) and, when `replace`, forgets
 * all others. Of the rows only stream and position count. A forgotten stream stays as an edited row
 * without position until a run has copied its state, since the destination has to forget it too.
 * CONFLICT "connection_busy" while a run is active, "revision_mismatch".
 */
CHECKED int store_edit_state(struct store *s, const char *connection_id,
                             const struct state_row *rows, size_t n, bool replace, int64_t expected,
                             int64_t *out_revision, struct error *err);

/* ------------------------------------------------------------------------- runs */

enum run_kind { RUN_SYNC, RUN_CLEAR, RUN_CHECK, RUN_DISCOVER, RUN_SAMPLE, RUN_COUNT };
enum run_status {
    RUN_QUEUED,
    RUN_RUNNING,
    RUN_CANCELLING,
    RUN_SUCCEEDED,
    RUN_FAILED,
    RUN_CANCELLED
};
const char *run_kind_name(enum run_kind k);     /* "sync", ... */
const char *run_status_name(enum run_status s); /* "queued", ... */
bool run_status_is_final(enum run_status s);

struct run_row {
    int64_t id;
    enum run_kind kind;
    enum run_status status;
    const char *connection_id, *connection_name; /* NULL for check, discover and ad-hoc runs */
    const char *source_id, *destination_id;      /* NULL when inline */
    const char *trigger;                         /* "api", "retry", "cli" */
    const char *request; /* JSON: streams, full_refresh, inline configs, ...: what to do */
    const char *labels, *note;
    const char *error;  /* JSON object of run errors, or NULL */
    const char *result; /* JSON of check, discover, sample, count; or NULL */
    const char *stats;  /* JSON: totals and per-stream counts; written at each progress */
    const char *cancel_reason;
    int64_t retry_of; /* 0 = none */
    int64_t attempts;
    bool partial_success;
    int64_t created_us, started_us, ended_us, heartbeat_us;
    const char *idempotency_key; /* creating only: see store_idempotency_begin */
};

#define STORE_MAX_QUEUED 1000 /* a queue that long is a fault of whoever fills it */

/* Creates a queued run; in->id, status and times are written back. Source and destination come from
 * the connection when there is one. NOT_FOUND when it is not there. CONFLICT "run_already_active"
 * (with *out_active, else 0) when the connection has an active or queued sync or clear, this is
 * another one and `allow_queue` is false; RESOURCE "queue_full" beyond STORE_MAX_QUEUED. */
CHECKED int store_create_run(struct store *s, struct run_row *in, bool allow_queue,
                             int64_t *out_active, struct error *err);
/* The oldest queued run of these kinds (bits 1u << enum run_kind) whose connection has no active
 * one becomes running: 0 with *out, or 1 when there is nothing to do. */
CHECKED int store_claim_run(struct store *s, unsigned kinds, struct arena *mem, struct run_row *out,
                            struct error *err);
/* NORMAL durability: numbers for people, heartbeat included. CONFLICT "run_not_active" when it has
 * ended. */
CHECKED int store_progress_run(struct store *s, int64_t id, const char *stats, int64_t attempts,
                               struct error *err);
/* To a final status; 1 when it already was final. Of `done` count id, status, error, result, stats,
 * cancel_reason, attempts, partial_success and ended_us (0 = now); NULL keeps what is there. */
CHECKED int store_finish_run(struct store *s, const struct run_row *done, struct error *err);
/* Queued becomes cancelled at once, running becomes cancelling: *out is the status afterwards.
 * CONFLICT "run_not_active" when it has succeeded or failed. */
CHECKED int store_cancel_run(struct store *s, int64_t id, const char *reason, enum run_status *out,
                             struct error *err);
/* At start: whatever was left active becomes failed, code worker_lost. Returns how many. */
CHECKED int store_recover_runs(struct store *s, int64_t *out_n, struct error *err);
CHECKED int store_get_run(struct store *s, int64_t id, struct arena *mem, struct run_row *out,
                          struct error *err);
/* The newest sync or clear of a connection; NOT_FOUND when there is none. */
CHECKED int store_latest_run(struct store *s, const char *connection_id, struct arena *mem,
                             struct run_row *out, struct error *err);
/* What became of the syncs of a connection, as far as they are in the history. */
struct activity {
    const char *id, *name; /* of the connection */
    int64_t succeeded_us;  /* the last one that succeeded ended then; 0 = none has */
    int64_t took_us;       /* the last one that ended; 0 = none has */
};
/* Of the oldest `limit` connections. */
CHECKED int store_list_activity(struct store *s, int64_t limit, struct arena *mem,
                                struct activity **out, size_t *out_n, struct error *err);
/* CONFLICT "run_active" unless it has ended. */
CHECKED int store_delete_run(struct store *s, int64_t id, struct error *err);
/* Deletes runs that ended before `long_us` (syncs and clears, but the newest of each connection) or
 * `short_us` (all other kinds), at most `limit` of them so that nobody waits long: call it again
 * while *out_n is `limit`. out_ids[limit] gets which. */
CHECKED int store_prune_runs(struct store *s, int64_t long_us, int64_t short_us, size_t limit,
                             int64_t *out_ids, size_t *out_n, struct error *err);

struct run_query {
    const char *connection_id;
    unsigned kinds;             /* bits 1u << enum run_kind; 0 = sync and clear */
    unsigned statuses;          /* bits; 0 = any */
    int64_t since_us, until_us; /* of creation, both inclusive; 0 = any */
    const char *trigger;
    bool ascending;
    int64_t after; /* run id of the cursor; 0 = from the start */
    int64_t limit;
};
/* Newest first unless `ascending`. Rows come with request "{}" and result NULL: those may be large.
 * *out_next is 0 on the last page. */
CHECKED int store_list_runs(struct store *s, const struct run_query *q, struct arena *mem,
                            struct run_row **out, size_t *out_n, int64_t *out_next,
                            struct error *err);
/* How many such runs there are; `after`, `limit` and the order mean nothing. */
CHECKED int store_count_listed_runs(struct store *s, const struct run_query *q, int64_t *out,
                                    struct error *err);
CHECKED int store_count_runs(struct store *s, int64_t *out_queued, int64_t *out_active,
                             struct error *err);

/* ----------------------------------------------------------------------- tokens */

#define STORE_MAX_TOKENS 100 /* that are neither revoked nor expired */

struct stored_token {
    const char *id, *name, *scope;
    const char *digest;     /* hexadecimal; of the token, which is nowhere */
    const char *created_by; /* the id of a token, or "cli" */
    int64_t created_us, expires_us;
    int64_t revoked_us; /* 0 = it is not */
    int64_t used_day;   /* days since 1970; 0 = never */
};

/* created_us is written back. CONFLICT "too_many_tokens"; "name_taken" for an id there is. */
CHECKED int store_create_token(struct store *s, struct stored_token *in, struct error *err);
/* All of them, oldest first; those that ended more than a year ago are forgotten. */
CHECKED int store_list_tokens(struct store *s, struct arena *mem, struct stored_token **out,
                              size_t *out_n, struct error *err);
/* NOT_FOUND; once more is as good as once. */
CHECKED int store_revoke_token(struct store *s, const char *id, struct error *err);
CHECKED int store_touch_token(struct store *s, const char *id, int64_t day, struct error *err);

/* ---------------------------------------------------------------- sealed values */

/* What a key ring must show to be the one of this store. */
struct key_check {
    const char *id, *value;
};
CHECKED int store_get_key_checks(struct store *s, struct arena *mem, struct key_check **out,
                                 size_t *out_n, struct error *err);

/* In place of those before. */
CHECKED int store_put_key_checks(struct store *s, const struct key_check *checks, size_t n,
                                 struct error *err);

/* Sources and destinations with values that are sealed under another key. */
CHECKED int store_count_pending(struct store *s, const char *key_id, int64_t *out,
                                struct error *err);

/* A text with sealed values in it: the configuration of a resource, or the request of a run. */
struct sealed_text {
    bool is_run; /* then `id` is its number, and `kind` and `connector` mean nothing */
    enum resource_kind kind;
    const char *id, *connector, *text;
};

/*
 * Calls `each` for every such text, which may replace it (*out_text; NULL = leave it), and replaces
 * all key checks by these, in one transaction. Afterwards nothing of the old texts is left in the
 * files. For a store that nobody else uses.
 */
CHECKED int store_reseal(struct store *s, const struct key_check *checks, size_t n,
                         int (*each)(void *arg, const struct sealed_text *t, struct arena *mem,
                                     const char **out_text, struct error *err),
                         void *arg, struct error *err);

/* ------------------------------------------------------------------ idempotency */

/* What was created under a key. */
enum effect_kind { EFFECT_NONE, EFFECT_SOURCE, EFFECT_DESTINATION, EFFECT_CONNECTION, EFFECT_RUN };

struct stored_answer {
    int64_t status;
    const char *headers; /* JSON object */
    const char *body;
    /* Only when `begin` answered 2: */
    enum effect_kind effect;
    const char *effect_id; /* of a run: its number as text */
};

/*
 * Remembers the answer to a POST by its Idempotency-Key for 24 hours. `begin` answers 0 when the
 * key is new (and now in progress), 1 with the stored answer, or fails with CONFLICT
 * "idempotency_in_progress" or INVALID "idempotency_key_reused" (another fingerprint).
 *
 * A crash between the effect and `end` must not let the effect happen twice: whoever creates
 * something under a key gives the key to store_create_... (member idempotency_key), which notes
 * what it created in the same transaction. A key left in progress by a crash, or abandoned, is free
 * again when nothing was created under it; otherwise `begin` answers 2 and out->effect tells what
 * there is (it may have been deleted since), for the caller to answer with; `end` may follow.
 * Creating under a key that is not in progress, or twice under one, fails with CONFLICT
 * "idempotency_in_progress".
 */
CHECKED int store_idempotency_begin(struct store *s, const char *key, const char *fingerprint,
                                    struct arena *mem, struct stored_answer *out,
                                    struct error *err);
/* NOT_FOUND for a key that was not begun. */
CHECKED int store_idempotency_end(struct store *s, const char *key,
                                  const struct stored_answer *answer, struct error *err);
/* 5xx answers are not kept. A key that is not there is fine. */
CHECKED int store_idempotency_abandon(struct store *s, const char *key, struct error *err);

#endif
