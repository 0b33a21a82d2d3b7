#include "tests/conformance/cases.h"

#include <stdio.h>
#include <stdlib.h>

#include <sqlite3.h>

#include "connectors/base/jsonwrite.h"
#include "tests/support/fake_sink.h"

extern const struct source_connector source_counter, source_file, source_sample;
extern const struct destination_connector destination_sqlite;

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

const struct source_case source_cases[] = {
    {&source_counter, NULL, counter_config, NULL},
    {&source_file, make_files, file_config, file_broken},
    {&source_sample, NULL, sample_config, NULL},
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

const struct destination_case destination_cases[] = {
    {&destination_sqlite, sqlite_config, sqlite_broken, sqlite_read_back},
    {NULL, NULL, NULL, NULL},
};
