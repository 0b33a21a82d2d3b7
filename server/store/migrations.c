#include "server/store/migrations.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "connectors/base/clock.h"
#include "connectors/base/failpoint.h"
#include "connectors/base/hash.h"

/*
 * Never change a step that was released: add one. Tables are STRICT and their values are checked,
 * so that integrity_check finds damage that SQLite could otherwise read.
 */
/* clang-format off */
static const struct step {
    const char *sql[4]; /* a compiler need not take a string of more than 4,095 characters */
} steps[] = {
    {{
    "CREATE TABLE migrations ("
    "    version INTEGER PRIMARY KEY, checksum TEXT NOT NULL, applied_us INTEGER NOT NULL"
    ") STRICT;"

    "CREATE TABLE health (id INTEGER PRIMARY KEY CHECK (id = 1), pinged_us INTEGER NOT NULL) STRICT;"
    "INSERT INTO health VALUES (1, 0);"

    /* seq is the order of lists: unlike a time it never repeats and never goes back. */
    "CREATE TABLE resources ("
    "    seq INTEGER PRIMARY KEY AUTOINCREMENT,"
    "    id TEXT NOT NULL UNIQUE,"
    "    kind INTEGER NOT NULL CHECK (kind IN (0, 1)),"
    "    name TEXT NOT NULL,"
    "    display_name TEXT,"
    "    connector TEXT NOT NULL,"
    "    labels TEXT NOT NULL,"
    "    revision INTEGER NOT NULL CHECK (revision > 0),"
    "    created_us INTEGER NOT NULL,"
    "    updated_us INTEGER NOT NULL,"
    "    config TEXT NOT NULL,"
    "    UNIQUE (kind, name)"
    ") STRICT;"

    "CREATE TABLE catalogs ("
    "    id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "    source_id TEXT NOT NULL REFERENCES resources (id) ON DELETE CASCADE,"
    "    hash TEXT NOT NULL,"
    "    discovered_us INTEGER NOT NULL,"
    "    text TEXT NOT NULL"
    ") STRICT;"
    "CREATE INDEX catalogs_source ON catalogs (source_id, id);"

    "CREATE TABLE connections ("
    "    seq INTEGER PRIMARY KEY AUTOINCREMENT,"
    "    id TEXT NOT NULL UNIQUE,"
    "    name TEXT NOT NULL UNIQUE,"
    "    display_name TEXT,"
    "    source_id TEXT NOT NULL REFERENCES resources (id),"
    "    destination_id TEXT NOT NULL REFERENCES resources (id),"
    "    paused INTEGER NOT NULL CHECK (paused IN (0, 1)),"
    "    labels TEXT NOT NULL,"
    "    revision INTEGER NOT NULL CHECK (revision > 0),"
    "    state_revision INTEGER NOT NULL DEFAULT 0,"
    "    created_us INTEGER NOT NULL,"
    "    updated_us INTEGER NOT NULL,"
    "    settings TEXT NOT NULL,"
    "    streams TEXT"
    ") STRICT;"
    "CREATE INDEX connections_source ON connections (source_id);"
    "CREATE INDEX connections_destination ON connections (destination_id);"

    "CREATE TABLE states ("
    "    connection_id TEXT NOT NULL REFERENCES connections (id) ON DELETE CASCADE,"
    "    stream TEXT NOT NULL,"
    "    position TEXT,"
    "    generation INTEGER NOT NULL,"
    "    seq INTEGER NOT NULL,"
    "    counters TEXT NOT NULL,"
    "    edited INTEGER NOT NULL CHECK (edited IN (0, 1)),"
    "    updated_us INTEGER NOT NULL,"
    "    PRIMARY KEY (connection_id, stream)"
    ") STRICT;",

    /* Numbers as in enum run_kind and enum run_status. Runs outlive what they ran. The columns
     * that may be large come last: a row is read up to the last column that is asked for. */
    "CREATE TABLE runs ("
    "    id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "    kind INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 5),"
    "    status INTEGER NOT NULL CHECK (status BETWEEN 0 AND 5),"
    "    connection_id TEXT,"
    "    connection_name TEXT,"
    "    source_id TEXT,"
    "    destination_id TEXT,"
    "    started_by TEXT NOT NULL,"
    "    labels TEXT NOT NULL,"
    "    note TEXT,"
    "    cancel_reason TEXT,"
    "    retry_of INTEGER NOT NULL,"
    "    attempts INTEGER NOT NULL,"
    "    partial_success INTEGER NOT NULL CHECK (partial_success IN (0, 1)),"
    "    created_us INTEGER NOT NULL,"
    "    started_us INTEGER NOT NULL,"
    "    ended_us INTEGER NOT NULL,"
    "    heartbeat_us INTEGER NOT NULL,"
    "    error TEXT,"
    "    stats TEXT,"
    "    request TEXT NOT NULL,"
    "    result TEXT"
    ") STRICT;"
    "CREATE INDEX runs_connection ON runs (connection_id, id);"
    "CREATE INDEX runs_kind ON runs (kind, id);"
    "CREATE INDEX runs_status ON runs (status, id);"
    "CREATE INDEX runs_ended ON runs (kind, ended_us) WHERE status IN (3, 4, 5);"
    /* One active sync or clear per connection, whatever this program believes. */
    "CREATE UNIQUE INDEX runs_exclusive ON runs (connection_id)"
    "    WHERE status IN (1, 2) AND kind IN (0, 1);"

    /* effect as in enum effect_kind. */
    "CREATE TABLE idempotency ("
    "    key TEXT PRIMARY KEY,"
    "    fingerprint TEXT NOT NULL,"
    "    in_progress INTEGER NOT NULL CHECK (in_progress IN (0, 1)),"
    "    effect INTEGER NOT NULL CHECK (effect BETWEEN 0 AND 4),"
    "    effect_id TEXT,"
    "    created_us INTEGER NOT NULL,"
    "    status INTEGER,"
    "    headers TEXT,"
    "    body TEXT"
    ") STRICT;"
    "CREATE INDEX idempotency_created ON idempotency (created_us);",
    }},
    {{
    /* Sources name the connector; it is no reference, since most connectors are built in. */
    "CREATE TABLE connectors ("
    "    name TEXT PRIMARY KEY,"
    "    revision INTEGER NOT NULL CHECK (revision > 0),"
    "    created_us INTEGER NOT NULL,"
    "    updated_us INTEGER NOT NULL,"
    "    secrets TEXT NOT NULL,"
    "    binding TEXT NOT NULL,"
    "    document TEXT NOT NULL"
    ") STRICT;",
    }},
    {{
    "ALTER TABLE health ADD COLUMN backup_us INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE health ADD COLUMN backup_took_us INTEGER NOT NULL DEFAULT 0;",
    }},
    {{
    /* Of a token only a digest under the pepper of the key ring. */
    "CREATE TABLE tokens ("
    "    seq INTEGER PRIMARY KEY AUTOINCREMENT,"
    "    id TEXT NOT NULL UNIQUE,"
    "    name TEXT NOT NULL,"
    "    scope TEXT NOT NULL CHECK (scope IN ('read', 'run', 'write', 'admin')),"
    "    digest TEXT NOT NULL CHECK (length(digest) = 64),"
    "    created_by TEXT NOT NULL,"
    "    created_us INTEGER NOT NULL,"
    "    expires_us INTEGER NOT NULL,"
    "    revoked_us INTEGER NOT NULL,"
    "    used_day INTEGER NOT NULL"
    ") STRICT;"

    /* The keys that values of this store are sealed under, and how a ring shows that it has them. */
    "CREATE TABLE key_checks (id TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;",
    }},
};
/* clang-format on */

#define NEWEST ((int64_t)(sizeof steps / sizeof steps[0]))
#define PARTS  (sizeof steps[0].sql / sizeof steps[0].sql[0])

static void checksum(int64_t version, char out[static HASH_HEX_BYTES])
{
    const struct step *step = &steps[version - 1];
    struct hash_stream *h = hash_new();

    for (size_t i = 0; i < PARTS && step->sql[i]; i++)
        hash_update(h, step->sql[i], strlen(step->sql[i]));
    hash_hex(h, out);
    hash_free(h);
}

static int foreign(struct error *err)
{
    return error_set_reason(err, ERR_DATA, "store_corrupt",
                            "the file is a database, but not one of this service");
}

/* Every step that the file says it has was the one we know. */
static int check_steps(struct db *db, int64_t version, struct error *err)
{
    CLEANUP(query_close) struct query q = {0};
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    char known[HASH_HEX_BYTES];
    int row;

    if (query_open(db, "SELECT version, checksum FROM migrations ORDER BY version", &q, err) < 0)
        return -1;
    for (int64_t i = 1; i <= version; i++) {
        row = query_next(&q, err);
        if (row < 0)
            return -1;
        checksum(i, known);
        if (row == 0 || query_get_int(&q, 0) != i ||
            strcmp(query_get_string(&q, 1, mem), known) != 0)
            return error_set_reason(err, ERR_DATA, "store_corrupt",
                                    "step %" PRId64 " of its schema is not the one we know", i);
    }
    return 0;
}

int migrations_check(struct db *db, struct error *err)
{
    int64_t application, version, objects;

    if (db_get_int(db, "PRAGMA application_id", &application, err) < 0 ||
        db_get_int(db, "PRAGMA user_version", &version, err) < 0 ||
        db_get_int(db, "SELECT count(*) FROM sqlite_schema", &objects, err) < 0)
        return -1;
    if (application == 0 && version == 0 && objects == 0)
        return 1;
    if (application != STORE_APPLICATION_ID || version < 1 || objects == 0)
        return foreign(err);
    if (version > NEWEST)
        return error_set_reason(err, ERR_CONFLICT, "store_newer",
                                "it has version %" PRId64 ", this program knows %" PRId64
                                ": run the newer program, or restore a backup of before",
                                version, NEWEST);
    return check_steps(db, version, err);
}

static int note_step(struct db *db, int64_t version, struct error *err)
{
    CLEANUP(query_close) struct query q = {0};
    char sum[HASH_HEX_BYTES];

    checksum(version, sum);
    if (query_open(db, "INSERT INTO migrations VALUES (?, ?, ?)", &q, err) < 0)
        return -1;
    query_int(&q, version);
    query_text(&q, sum);
    query_int(&q, clock_unix_us());
    return query_run(&q, err);
}

static int run_parts(struct db *db, const struct step *step, struct error *err)
{
    for (size_t i = 0; i < PARTS && step->sql[i]; i++) {
        if (db_exec(db, step->sql[i], err) < 0)
            return -1;
    }
    return 0;
}

static int run_step(struct db *db, int64_t version, struct error *err)
{
    char mark[96];

    snprintf(mark, sizeof mark, "PRAGMA application_id=%d; PRAGMA user_version=%" PRId64,
             STORE_APPLICATION_ID, version);
    if (db_exec(db, "BEGIN EXCLUSIVE", err) < 0)
        return -1;
    if (run_parts(db, &steps[version - 1], err) < 0 || note_step(db, version, err) < 0 ||
        db_exec(db, mark, err) < 0 || failpoint("migration_commit", err) < 0 ||
        db_exec(db, "COMMIT", err) < 0) {
        db_rollback(db);
        return error_wrap(err, "step %" PRId64 " of its schema", version);
    }
    return 0;
}

int migrations_are_due(struct db *db, int64_t *out_version, bool *out_old, struct error *err)
{
    if (db_get_int(db, "PRAGMA user_version", out_version, err) < 0)
        return -1;
    *out_old = *out_version > 0 && *out_version < NEWEST;
    return 0;
}

int migrations_missing(struct db *db, int64_t *out, struct error *err)
{
    int64_t version;

    if (db_get_int(db, "PRAGMA user_version", &version, err) < 0)
        return -1;
    *out = NEWEST - version;
    return 0;
}

int migrations_run(struct db *db, struct error *err)
{
    int64_t version;

    if (db_get_int(db, "PRAGMA user_version", &version, err) < 0)
        return -1;
    while (version < NEWEST) {
        if (run_step(db, ++version, err) < 0)
            return -1;
    }
    return 0;
}
