/* The statements against a golden file, and the engine with these types on a database that is not
 * there. "test_redshift write" makes the golden file anew. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/sql/destination.h"
#include "connectors/sql/statement.h"
#include "redshift.h"
#include "tests/support/fake_driver.h"

static const struct column columns[] = {
    {.name = "id", .type = {.type = TYPE_INT}, .source_type = "", .nullable = false},
    {.name = "price", .type = {.type = TYPE_DECIMAL}, .source_type = "", .nullable = true},
    {.name = "name", .type = {.type = TYPE_STRING}, .source_type = "", .nullable = true},
    {.name = "extra", .type = {.type = TYPE_JSON}, .source_type = "", .nullable = true},
    {.name = "at", .type = {.type = TYPE_TIMESTAMP}, .source_type = "", .nullable = true},
    {.name = "day", .type = {.type = TYPE_DATE}, .source_type = "", .nullable = true},
    {.name = "rate", .type = {.type = TYPE_FLOAT, .bits = 64}, .source_type = "", .nullable = true},
    {.name = "is_new", .type = {.type = TYPE_BOOL}, .source_type = "", .nullable = true},
};
static const size_t key[] = {0};
static const struct schema schema = {columns, 8, key, 1};
static const struct stream stream = {.namespace = "", .name = "orders", .schema = &schema};

static void must(bool ok, const char *what, const struct error *err)
{
    if (ok)
        return;
    fprintf(stderr, "%s: %s\n", what, err->message);
    exit(1);
}

static void put_statements(struct buf *out)
{
    struct sql_column c[8];
    const struct sql_table t = {"public", "orders", c, 8};

    for (size_t i = 0; i < 8; i++)
        c[i] = (struct sql_column){.name = columns[i].name,
                                   .type = columns[i].type,
                                   .role = i ? SQL_ROLE_DATA : SQL_ROLE_KEY};
    sql_put_create(redshift_dialect(false), &t, SQL_CREATE_KEYED, out);
    buf_puts(out, "\n");
    sql_put_create(redshift_dialect(true), &t, SQL_CREATE_PLAIN, out);
    buf_puts(out, "\n");
    sql_put_add_column(redshift_dialect(false), &t, &c[3], out);
    buf_puts(out, "\n");
}

static void test_statements(bool write)
{
    CLEANUP(buf_release) struct buf now = BUF_INIT(1 << 16), golden = BUF_INIT(1 << 16);
    struct error err = ERROR_INIT;
    FILE *f = fopen("golden.sql", write ? "w+" : "r");
    char *room = buf_reserve(&golden, 1 << 15);

    must(f != NULL, "opening golden.sql", &err);
    put_statements(&now);
    if (write)
        fputs(buf_str(&now), f);
    rewind(f);
    golden.len = fread(room, 1, 1 << 15, f);
    room[golden.len] = '\0';
    fclose(f);
    must(!strcmp(buf_str(&golden), buf_str(&now)), buf_str(&now), &err);
}

/* A load of a stream: the engine builds, fills and exchanges tables with these types. */
static void test_load(void)
{
    const struct selected_stream want = {.stream = &stream,
                                         .schema = &schema,
                                         .sync_mode = SYNC_FULL_REFRESH,
                                         .write_mode = WRITE_OVERWRITE,
                                         .cursor = -1,
                                         .alias = "orders",
                                         .destination_namespace = ""};
    const struct write_plan plan = {.pipeline = "test", .streams = &want, .n = 1};
    struct fake_database db = {.dialect = redshift_dialect(false), .statements = BUF_INIT(1 << 20)};
    struct arena *mem = arena_new();
    struct run run = {.mem = mem, .log = &log_nowhere, .id = "test"};
    struct batch *rows = batch_new(&schema);
    struct stream_position was;
    struct destination *d;
    struct error err = ERROR_INIT;

    must(cancel_new(&run.cancel, &err) == 0, "preparing", &err);
    must(sql_destination_open(&fake_driver, &db, false, &run, &plan, &d, &err) == 0, "opening",
         &err);
    must(d->ops->recover(d, &was, &err) == 0, "recovering", &err);
    batch_put_int64(rows, 0, 1);
    batch_put_text(rows, 1, "12.500000", 9);
    batch_end_row(rows);
    must(d->ops->write(d, 0, rows, &err) == 0, "writing", &err);
    must(db.rows == 1, "the row", &err);
    must(fake_database_saw(&db, "\"price\" DECIMAL(18,6)"), buf_str(&db.statements), &err);
    must(fake_database_saw(&db, "\"extra\" SUPER"), buf_str(&db.statements), &err);
    d->ops->close(d);
    batch_free(rows);
    cancel_free(run.cancel);
    arena_free(mem);
    buf_release(&db.statements);
}

int main(int argc, char **argv)
{
    redshift_prepare();
    test_statements(argc > 1 && !strcmp(argv[1], "write"));
    test_load();
    return 0;
}
