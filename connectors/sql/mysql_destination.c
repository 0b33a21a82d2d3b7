/* What a destination asks before a run: whether it may write, and how. */
#include "connectors/sql/mysql_bulk.h"

/* A table of our own, made and dropped; LOAD DATA LOCAL is tried where it would be used. */
#define PROBE "_connectord_probe"

static const struct sql_column probe_columns[] = {{.name = "x", .type = {.type = TYPE_STRING}}};

static int try_rows(struct mysql_conn *c, struct error *err)
{
    const struct sql_table probe = {"", PROBE, probe_columns, 1};
    const struct column column = {.name = "x", .type = {.type = TYPE_STRING}, .source_type = ""};
    const struct schema schema = {.columns = &column, .n_columns = 1};
    const struct sql_bulk_column fill = {.fill = SQL_FILL_COLUMN, .type = column.type};
    const struct sql_bulk what = {.into = &probe, .fill = &fill};
    CLEANUP(batch_free_cleanup) struct batch *rows = batch_new(&schema);
    int64_t taken;

    batch_put_text(rows, 0, "x", 1);
    batch_end_row(rows);
    if (mysql_bulk(&c->base, &what, rows, &taken, err) < 0)
        return -1;
    return mysql_bulk_end(c, err);
}

/* What the engine does to tables, each with the right it needs. */
static const char *const before[] = {
    "DROP TABLE IF EXISTS `" PROBE "`",
    "CREATE TABLE `" PROBE "` (`x` longtext)",
    "ALTER TABLE `" PROBE "` ADD COLUMN `n` bigint",
    "CREATE UNIQUE INDEX `" PROBE "` ON `" PROBE "` (`n`)",
};
static const char *const after[] = {
    "UPDATE `" PROBE "` SET `n` = 1",   "DELETE FROM `" PROBE "` WHERE `n` = 1",
    "DROP TABLE `" PROBE "`",           "CREATE TEMPORARY TABLE `" PROBE "` (`x` longtext)",
    "DROP TEMPORARY TABLE `" PROBE "`",
};

static int run_all(struct sql_conn *c, const char *const *sql, size_t n, struct error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (sql_exec(c, sql[i], err) < 0)
            return -1;
    }
    return 0;
}

static int try_all(struct mysql_conn *c, struct error *err)
{
    struct error ignored = ERROR_INIT;

    if (run_all(&c->base, before, sizeof before / sizeof *before, err) == 0 &&
        try_rows(c, err) == 0 && run_all(&c->base, after, sizeof after / sizeof *after, err) == 0)
        return 0;
    (void)!sql_exec(&c->base, before[0], &ignored);
    return -1;
}

int mysql_check_writable(const struct mysql_destination *to, struct run *run, struct error *err)
{
    struct sql_conn *c;
    int rc;

    if (mysql_driver.open(to, run, &c, err) < 0)
        return -1;
    rc = try_all((struct mysql_conn *)c, err);
    c->driver->close(c);
    return rc;
}
