/*
 * Conformance cases on servers: every fixture folder has a database of its own, whose name stands
 * in a file of the folder.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/base/doc.h"
#include "connectors/base/jsonwrite.h"
#include "tests/conformance/cases.h"
#include "tests/conformance/server_cases.h"
#include "tests/support/databases.h"
#include "tests/support/fake_sink.h"

/* The database of this folder, made when it is first asked for. */
static const char *database_of(enum database_kind kind, const char *dir, struct arena *mem)
{
    const char *path = arena_printf(mem, "%s/database", dir);
    char name[128] = "";
    const char *made;
    FILE *f = fopen(path, "r");

    if (f) {
        if (!fgets(name, sizeof name, f))
            abort();
        fclose(f);
        return arena_strdup(mem, name);
    }
    made = databases_new(kind, mem);
    f = fopen(path, "w");
    if (!f || fputs(made, f) < 0 || fclose(f) != 0)
        abort();
    return made;
}

/* ------------------------------------------------------------------- sources */

/* A table with a key and a cursor in which forty rows share a value, and one with neither. The
 * server counts its rows now: by itself it would do so between two looks at them. */
static const char *const tables[] = {
    [DATABASE_POSTGRES] =
        "create table items(id int primary key, at timestamptz, name text, price numeric(9,2));"
        "insert into items select i, to_timestamp(1700000000 + i / 40), 'item ' || i,"
        " i % 1000 / 100.0 from generate_series(1, 5000) i;"
        "create table plain(a text, b double precision);"
        "insert into plain select name, id / 8.0 from items where id <= 3000;"
        "analyze items, plain",
    [DATABASE_MYSQL] =
        "create table items(id int primary key, at datetime(6), name text, price decimal(9,2));"
        "insert into items select seq, timestampadd(second, 1700000000 + seq div 40, '1970-01-01'),"
        " concat('item ', seq), seq % 1000 / 100.0 from seq_1_to_5000;"
        "create table plain(a text, b double);"
        "insert into plain select name, id / 8.0 from items where id <= 3000;"
        "analyze table items, plain",
};

static void prepare(enum database_kind kind, const char *dir)
{
    struct arena *mem = arena_new();

    databases_run(kind, database_of(kind, dir, mem), tables[kind]);
    arena_free(mem);
}

static const char *config(enum database_kind kind, struct arena *mem, const char *dir)
{
    return databases_config(kind, database_of(kind, dir, mem), "", mem);
}

static const char *broken(enum database_kind kind, struct arena *mem)
{
    return databases_config(kind, "no_such_database", "", mem);
}

void postgres_prepare(const char *dir)
{
    prepare(DATABASE_POSTGRES, dir);
}

const char *postgres_config(struct arena *mem, const char *dir)
{
    return config(DATABASE_POSTGRES, mem, dir);
}

const char *postgres_broken(struct arena *mem, const char *dir)
{
    (void)dir;
    return broken(DATABASE_POSTGRES, mem);
}

void mysql_prepare(const char *dir)
{
    prepare(DATABASE_MYSQL, dir);
}

const char *mysql_config(struct arena *mem, const char *dir)
{
    return config(DATABASE_MYSQL, mem, dir);
}

const char *mysql_broken(struct arena *mem, const char *dir)
{
    (void)dir;
    return broken(DATABASE_MYSQL, mem);
}

/* -------------------------------------------------------------- destinations */

static const char *const all_users[] = {
    [DATABASE_POSTGRES] = "select coalesce(json_agg(json_build_array(id::text, name, email)), '[]')"
                          " from users",
    [DATABASE_MYSQL] = "select concat('[', coalesce(group_concat(json_array(cast(id as char), name,"
                       " email)), ''), ']') from users",
};

static const char *const has_users[] = {
    [DATABASE_POSTGRES] = "select count(*) from pg_class where relname = 'users' and relkind = 'r'",
    [DATABASE_MYSQL] = "select count(*) from information_schema.tables where table_name = 'users'"
                       " and table_schema = database()",
};

static void read_back(enum database_kind kind, const char *dir, struct fake_stream *out)
{
    static const char *const columns[] = {"id", "name", "email"};
    struct arena *mem = arena_new();
    const char *database = database_of(kind, dir, mem);
    struct error err = ERROR_INIT;
    struct doc *rows = NULL;
    const char *text;

    if (strcmp(databases_ask(kind, database, has_users[kind], mem), "0") != 0) {
        text = databases_ask(kind, database, all_users[kind], mem);
        if (doc_parse_trusted(text, strlen(text), &rows, &err) < 0)
            abort();
    }
    for (size_t i = 0; i < doc_count(rows); i++) {
        struct buf line = BUF_INIT(1 << 16);
        struct jsonw w = JSONW_INIT(&line);

        jsonw_object(&w);
        for (size_t k = 0; k < 3; k++)
            jsonw_put_string(&w, columns[k], doc_string(doc_at(doc_at(rows, i), k), NULL));
        jsonw_object_end(&w);
        fake_sink_add_line(out, line.data, line.len);
        buf_release(&line);
    }
    doc_free(rows);
    arena_free(mem);
}

void postgres_read_back(const char *dir, struct fake_stream *out)
{
    read_back(DATABASE_POSTGRES, dir, out);
}

void mysql_read_back(const char *dir, struct fake_stream *out)
{
    read_back(DATABASE_MYSQL, dir, out);
}
