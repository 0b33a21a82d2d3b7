#include "tests/conformance/cases.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "connectors/base/jsonwrite.h"
#include "tests/conformance/rest_case.h"
#include "tests/conformance/server_cases.h"
#include "tests/conformance/singer_case.h"
#include "tests/support/fake_sink.h"

extern const struct source_connector source_counter, source_file, source_mysql, source_postgres,
    source_rest, source_sample, source_singer, source_sqlite;
extern const struct destination_connector destination_file, destination_mysql, destination_postgres,
    destination_sqlite;

#define FIXTURE_ROWS 5000 /* three batches */

static const char *counter_config(struct arena *mem, const char *dir)
{
    (void)dir;
    return arena_strdup(mem, "{\"rows\":5000}");
}

static const char *sample_config(struct arena *mem, const char *dir)
{
    (void)dir;
    return arena_strdup(mem, "{\"rows\":1500,\"updates_per_run\":100}");
}

/* Two CSV files that are one stream. */
static void make_files(const char *dir)
{
    for (int part = 0; part < 2; part++) {
        char path[256];
        FILE *f;

        snprintf(path, sizeof path, "%s/part%d.csv", dir, part);
        f = fopen(path, "w");
        if (!f)
            abort();
        fprintf(f, "id,name,price,note\n");
        for (int i = 0; i < FIXTURE_ROWS / 2; i++)
            fprintf(f, "%d,\"na\xc3\xafve, %d\",%d.50,%s\n", part * FIXTURE_ROWS / 2 + i, i, i % 90,
                    i % 3 ? "\"\"" : "");
        fclose(f);
    }
}

static const char *file_config(struct arena *mem, const char *dir)
{
    return arena_printf(mem, "{\"path\":\"%s\",\"stream\":\"rows\"}", dir);
}

static const char *file_broken(struct arena *mem, const char *dir)
{
    return arena_printf(mem, "{\"path\":\"%s/missing.csv\"}", dir);
}

/* A table with a key and a cursor in which forty rows share a value, and one with neither. */
static void make_database(const char *dir)
{
    static const char script[] =
        "CREATE TABLE items(id INTEGER PRIMARY KEY, at TIMESTAMP, name TEXT, price DECIMAL(9,2));"
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
        " INSERT INTO items SELECT i, strftime('%Y-%m-%dT%H:%M:%S', 1700000000 + i / 40,"
        " 'unixepoch'), 'item ' || i, i % 1000 / 100.0 FROM n;"
        "CREATE TABLE plain(a TEXT, b REAL);"
        "INSERT INTO plain SELECT name, id / 8.0 FROM items WHERE id <= 3000;";
    char path[256];
    sqlite3 *db;

    snprintf(path, sizeof path, "%s/in.db", dir);
    if (sqlite3_open(path, &db) != SQLITE_OK ||
        sqlite3_exec(db, script, NULL, NULL, NULL) != SQLITE_OK)
        abort();
    sqlite3_close(db);
}

static const char *database_config(struct arena *mem, const char *dir)
{
    return arena_printf(mem, "{\"path\":\"%s/in.db\"}", dir);
}

static const char *database_broken(struct arena *mem, const char *dir)
{
    return arena_printf(mem, "{\"path\":\"%s/missing.db\"}", dir);
}

const struct source_case source_cases[] = {
    {&source_counter, NULL, counter_config, NULL},
    {&source_file, make_files, file_config, file_broken},
    {&source_mysql, mysql_prepare, mysql_config, mysql_broken},
    {&source_postgres, postgres_prepare, postgres_config, postgres_broken},
    {&source_rest, rest_prepare, rest_config, rest_broken},
    {&source_sample, NULL, sample_config, NULL},
    {&source_singer, singer_prepare, singer_config, singer_broken},
    {&source_sqlite, make_database, database_config, database_broken},
    {NULL, NULL, NULL, NULL},
};

static const char *sqlite_config(struct arena *mem, const char *dir)
{
    return arena_printf(mem, "{\"path\":\"%s/out.db\"}", dir);
}

static const char *sqlite_broken(struct arena *mem, const char *dir)
{
    return arena_printf(mem, "{\"path\":\"%s/no/folder/out.db\"}", dir);
}

/* By the library itself, not by our source: what anybody else would see. */
static void sqlite_read_back(const char *dir, struct fake_stream *out)
{
    static const char *const columns[] = {"id", "name", "email"};
    char path[256];
    sqlite3 *db;
    sqlite3_stmt *rows;

    snprintf(path, sizeof path, "%s/out.db", dir);
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(db, "SELECT id, name, email FROM users", -1, &rows, NULL) == SQLITE_OK) {
        while (sqlite3_step(rows) == SQLITE_ROW) {
            struct buf line = BUF_INIT(1 << 16);
            struct jsonw w = JSONW_INIT(&line);

            jsonw_object(&w);
            for (int i = 0; i < 3; i++)
                jsonw_put_string(&w, columns[i], (const char *)sqlite3_column_text(rows, i));
            jsonw_object_end(&w);
            fake_sink_add_line(out, line.data, line.len);
            buf_release(&line);
        }
        sqlite3_finalize(rows);
    }
    sqlite3_close(db);
}

static const char *folder_config(struct arena *mem, const char *dir)
{
    return arena_printf(mem, "{\"path\":\"%s/out\"}", dir);
}

static const char *folder_broken(struct arena *mem, const char *dir)
{
    return arena_printf(mem, "{\"path\":\"%s/no/folder/out\"}", dir);
}

/* The whole file, to be freed; NULL when there is none. */
static char *text_of(const char *path)
{
    FILE *f = fopen(path, "r");
    char *text = NULL;
    size_t cap = 0;

    if (!f)
        return NULL;
    if (getdelim(&text, &cap, '\0', f) < 0) {
        free(text);
        text = xstrdup("");
    }
    fclose(f);
    return text;
}

/* The JSON file as a document; NULL when there is no such file. */
static struct doc *doc_of(const char *path)
{
    char *text = text_of(path);
    struct error err = ERROR_INIT;
    struct doc *d = NULL;

    if (text && doc_parse_trusted(text, strlen(text), &d, &err) < 0)
        abort();
    free(text);
    return d;
}

static void add_record(const char *text, size_t n, struct fake_stream *out)
{
    struct error err = ERROR_INIT;
    struct doc *d;
    struct buf line = BUF_INIT(1 << 16);
    struct jsonw w = JSONW_INIT(&line);
    char id[24];

    if (doc_parse_trusted(text, n, &d, &err) < 0)
        abort();
    snprintf(id, sizeof id, "%" PRId64, doc_int(doc_get(d, "id"), -1));
    jsonw_object(&w);
    jsonw_put_string(&w, "id", id);
    jsonw_put_string(&w, "name", doc_string(doc_get(d, "name"), NULL));
    jsonw_put_string(&w, "email", doc_string(doc_get(d, "email"), NULL));
    jsonw_object_end(&w);
    fake_sink_add_line(out, line.data, line.len);
    buf_release(&line);
    doc_free(d);
}

static void add_records(const char *path, struct fake_stream *out)
{
    char *text = text_of(path);

    if (!text)
        abort(); /* a manifest names it, so it has to be there */
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1)
        add_record(line, (size_t)(end - line), out);
    free(text);
}

/* What the manifests of the live generation name counts, and nothing else. */
static void folder_read_back(const char *dir, struct fake_stream *out)
{
    char path[256];
    struct doc *live, *manifest;

    snprintf(path, sizeof path, "%s/out/_manifests/users/live.json", dir);
    live = doc_of(path);
    for (int number = 0; live; number++) {
        const struct doc *files;

        snprintf(path, sizeof path, "%s/out/_manifests/users/%s/%010d.json", dir,
                 doc_string(doc_get(live, "directory"), "?"), number);
        manifest = doc_of(path);
        if (!manifest)
            break;
        files = doc_get(manifest, "files");
        for (size_t i = 0; i < doc_count(files); i++) {
            snprintf(path, sizeof path, "%s/out/%s", dir,
                     doc_string(doc_get(doc_at(files, i), "name"), "?"));
            add_records(path, out);
        }
        doc_free(manifest);
    }
    doc_free(live);
}

const struct destination_case destination_cases[] = {
    {&destination_file, folder_config, folder_broken, folder_read_back},
    {&destination_mysql, mysql_config, mysql_broken, mysql_read_back},
    {&destination_postgres, postgres_config, postgres_broken, postgres_read_back},
    {&destination_sqlite, sqlite_config, sqlite_broken, sqlite_read_back},
    {NULL, NULL, NULL, NULL},
};
