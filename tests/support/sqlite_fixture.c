#include "tests/support/sqlite_fixture.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const struct source_connector source_sqlite;
extern const struct destination_connector destination_sqlite;

static void die(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    abort();
}

void fixture_open(struct sqlite_fixture *f)
{
    *f = (struct sqlite_fixture){.options = "", .to_options = "", .err = ERROR_INIT};
    tempdir_make(f->dir);
    snprintf(f->from, sizeof f->from, "%s/from.db", f->dir);
    snprintf(f->to, sizeof f->to, "%s/to.db", f->dir);
}

static void forget(struct sqlite_fixture *f)
{
    if (f->open)
        harness_close(&f->h);
    doc_free(f->to_doc);
    f->to_doc = NULL;
    f->open = false;
}

void fixture_close(struct sqlite_fixture *f)
{
    forget(f);
    tempdir_remove(f->dir);
}

static sqlite3 *open_db(const char *path)
{
    sqlite3 *db;

    if (sqlite3_open(path, &db) != SQLITE_OK)
        die(path, sqlite3_errmsg(db));
    sqlite3_busy_timeout(db, 5000);
    return db;
}

void fixture_exec(const char *path, const char *sql)
{
    sqlite3 *db = open_db(path);

    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        die(sql, sqlite3_errmsg(db));
    sqlite3_close(db);
}

static void put_cell(struct buf *out, sqlite3_stmt *stmt, int i)
{
    const unsigned char *bytes;

    switch (sqlite3_column_type(stmt, i)) {
    case SQLITE_NULL:
        buf_puts(out, "~");
        return;
    case SQLITE_BLOB:
        bytes = sqlite3_column_blob(stmt, i);
        buf_puts(out, "x'");
        for (int n = 0; n < sqlite3_column_bytes(stmt, i); n++)
            buf_printf(out, "%02x", (unsigned)bytes[n]);
        buf_putc(out, '\'');
        return;
    default:
        buf_put(out, sqlite3_column_text(stmt, i), (size_t)sqlite3_column_bytes(stmt, i));
    }
}

const char *fixture_text(const char *path, const char *sql)
{
    static struct buf ring[8];
    static unsigned next;
    struct buf *out = &ring[next++ % 8];
    sqlite3 *db = open_db(path);
    sqlite3_stmt *stmt;
    bool first = true;
    int rc;

    buf_release(out);
    *out = BUF_INIT((size_t)1 << 24);
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
        die(sql, sqlite3_errmsg(db));
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        if (!first)
            buf_putc(out, ';');
        first = false;
        for (int i = 0; i < sqlite3_column_count(stmt); i++) {
            if (i > 0)
                buf_putc(out, '|');
            put_cell(out, stmt, i);
        }
    }
    if (rc != SQLITE_DONE)
        die(sql, sqlite3_errmsg(db));
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return buf_str(out);
}

long long fixture_int(const char *path, const char *sql)
{
    return strtoll(fixture_text(path, sql), NULL, 10);
}

void fixture_select(struct sqlite_fixture *f, const char *streams_json)
{
    struct error err = ERROR_INIT;
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    const char *json = arena_printf(mem, "{\"path\":\"%s\"%s}", f->from, f->options);

    forget(f);
    f->open = true;
    if (harness_open(&f->h, &source_sqlite, json, &err) < 0 ||
        harness_select(&f->h, streams_json, &err) < 0)
        die("selecting", err.message);
    json = arena_printf(mem, "{\"path\":\"%s\"%s}", f->to, f->to_options);
    if (harness_decode(destination_sqlite.options, destination_sqlite.config_size, json, f->h.mem,
                       &f->to_config, &f->to_doc, &err) < 0)
        die("configuring", err.message);
    f->h.run.id = f->run_id;
    pump_init(&f->pump, &source_sqlite, f->h.config, &destination_sqlite, f->to_config, &f->h.run,
              &f->h.selection);
}

void fixture_next_run(struct sqlite_fixture *f)
{
    snprintf(f->run_id, sizeof f->run_id, "%d", 17 + f->n_runs);
}

void fixture_run(struct sqlite_fixture *f)
{
    f->err = ERROR_INIT;
    fixture_next_run(f);
    if (pump_attempt(&f->pump, &f->err) < 0)
        die("the run failed", f->err.message);
    f->n_runs++;
}

const struct error *fixture_fail(struct sqlite_fixture *f)
{
    f->err = ERROR_INIT;
    fixture_next_run(f);
    if (pump_attempt(&f->pump, &f->err) == 0)
        die("the run", "it was to fail and succeeded");
    return &f->err;
}
