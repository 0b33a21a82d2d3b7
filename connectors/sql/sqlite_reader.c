/*
 * The SQLite source: one connection that can only read, and for a moment a second one that proves
 * that nobody is writing.
 */
#include <sqlite3.h>
#include <stdlib.h>

#include "connectors/base/clock.h"
#include "connectors/sql/sqlite_source.h"

#define MOMENT_BUSY_MS 50 /* a gap between two short writers is found by asking quickly */

static int open_reader(const void *config, struct run *run, struct sql_reader **out,
                       struct error *err)
{
    const struct sqlite_source *from = config;
    struct sqlite_reader *r;
    struct sqlite_conn *c;

    if (sqlite_open_conn(from->path, SQLITE_MODE_READ, from->busy_timeout_s * 1000, run, &c, err) <
        0)
        return -1;
    r = xalloc(sizeof *r);
    r->base = (struct sql_reader){&sqlite_source_driver, &sql_sqlite, run};
    r->conn = c;
    r->config = from;
    *out = &r->base;
    return 0;
}

static void close_reader(struct sql_reader *base)
{
    struct sqlite_reader *r = (struct sqlite_reader *)base;

    sqlite_close_conn(r->conn);
    free(r);
}

/*
 * A writer that is open holds the lock that BEGIN IMMEDIATE asks for; where that succeeds, all that
 * were open have ended. Writers have no names, so one token stands for whoever it is: as long as
 * somebody writes whenever we look, nothing is proven. Where the file cannot be written there is no
 * such proof, and nothing of ours is written to it in any case.
 */
static int moment(struct sql_reader *base, struct arena *mem, struct sql_moment *out,
                  struct error *err)
{
    static const char *const writer[] = {"writer"};
    struct sqlite_reader *r = (struct sqlite_reader *)base;
    int64_t busy_ms = r->config->safe_wait_s > 0 ? MOMENT_BUSY_MS : 0;
    struct error why = ERROR_INIT;
    struct sqlite_conn *c;
    int rc = SQLITE_READONLY;

    (void)mem;
    *out = (struct sql_moment){.unix_us = clock_unix_us(), .open = writer};
    if (sqlite_open_conn(r->config->path, SQLITE_MODE_WRITE, busy_ms, base->run, &c, &why) < 0) {
        rc = why.code == ERR_CONTENTION ? SQLITE_BUSY : SQLITE_READONLY;
    } else {
        sqlite3_db_config(c->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        if (sqlite3_db_readonly(c->db, "main") == 0)
            rc = sqlite3_exec(c->db, "BEGIN IMMEDIATE; ROLLBACK", NULL, NULL, NULL);
        sqlite_close_conn(c);
    }
    out->n_open = (rc & 0xff) == SQLITE_BUSY;
    out->visible = rc == SQLITE_OK || out->n_open;
    return cancel_check(base->run->cancel, err);
}

static int snapshot(struct sql_reader *base, struct error *err)
{
    struct sqlite_reader *r = (struct sqlite_reader *)base;
    /* BEGIN alone takes nothing; the first read does. */
    int rc =
        sqlite3_exec(r->conn->db, "BEGIN; SELECT count(*) FROM sqlite_master", NULL, NULL, NULL);

    return rc == SQLITE_OK ? 0 : sqlite_fail(r->conn, rc, "beginning to read", err);
}

int sqlite_number(struct sqlite_conn *c, const char *sql, const struct sql_value *params, size_t n,
                  int64_t *out, bool *out_null, struct error *err)
{
    CLEANUP(sqlite_finalize_cleanup) struct sqlite3_stmt *stmt = NULL;
    int rc;

    if (sqlite_prepare(c, sql, &stmt, err) < 0 || sqlite_bind(c, stmt, params, n, err) < 0)
        return -1;
    rc = sqlite3_step(stmt);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return sqlite_fail(c, rc, "reading", err);
    *out_null = rc == SQLITE_DONE || sqlite3_column_type(stmt, 0) == SQLITE_NULL;
    *out = *out_null ? 0 : sqlite3_column_int64(stmt, 0);
    return 0;
}

static int number(struct sql_reader *base, const char *sql, const struct sql_value *params,
                  size_t n, int64_t *out, bool *out_null, struct error *err)
{
    return sqlite_number(((struct sqlite_reader *)base)->conn, sql, params, n, out, out_null, err);
}

/* AUTOINCREMENT never gives a number twice, even when the newest rows were deleted. */
static int last_number(struct sql_reader *base, const char *schema, const char *table,
                       const char *column, int64_t *out, bool *out_known, struct error *err)
{
    struct sqlite_conn *c = ((struct sqlite_reader *)base)->conn;
    const struct sql_value params[] = {sql_text(table), sql_text(column)};
    int64_t n = 0;
    bool is_null;

    (void)schema;
    *out_known = false;
    if (sqlite_number(c, "SELECT count(*) FROM sqlite_master WHERE name = 'sqlite_sequence'", NULL,
                      0, &n, &is_null, err) < 0)
        return -1;
    if (n == 0)
        return 0;
    if (sqlite_number(c,
                      "SELECT s.seq FROM sqlite_sequence AS s, pragma_table_info(?1) AS p"
                      " WHERE s.name = ?1 COLLATE NOCASE AND p.pk = 1 AND p.name = ?2",
                      params, 2, out, &is_null, err) < 0)
        return -1;
    *out_known = !is_null;
    return 0;
}

const struct sql_source_driver sqlite_source_driver = {
    .single_writer = true,
    .open = open_reader,
    .discover = sqlite_discover,
    .moment = moment,
    .snapshot = snapshot,
    .number = number,
    .last_number = last_number,
    .count_columns = "SELECT count(*) FROM pragma_table_xinfo(?2, 'main')"
                     " WHERE hidden <> 1 AND ?1 IS NOT NULL",
    .select = sqlite_select,
    .fetch = sqlite_fetch,
    .put_key = sqlite_put_key,
    .end = sqlite_end,
    .close = close_reader,
};
