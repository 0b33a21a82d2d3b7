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

static int try_table(struct mysql_conn *c, struct error *err)
{
    struct error ignored = ERROR_INIT;
    int rc;

    if (sql_exec(&c->base, "DROP TABLE IF EXISTS `" PROBE "`", err) < 0 ||
        sql_exec(&c->base, "CREATE TABLE `" PROBE "` (`x` longtext) ENGINE=InnoDB", err) < 0)
        return -1;
    rc = try_rows(c, err);
    if (rc < 0)
        (void)!sql_exec(&c->base, "DROP TABLE IF EXISTS `" PROBE "`", &ignored);
    else
        rc = sql_exec(&c->base, "DROP TABLE `" PROBE "`", err);
    return rc;
}

int mysql_check_writable(const struct mysql_destination *to, struct run *run, struct error *err)
{
    struct sql_conn *c;
    int rc;

    if (mysql_driver.open(to, run, &c, err) < 0)
        return -1;
    rc = try_table((struct mysql_conn *)c, err);
    c->driver->close(c);
    return rc;
}
