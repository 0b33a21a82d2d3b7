/* sqlite - a SQLite database file as a destination. */
#include <fcntl.h>
#include <unistd.h>

#include "connectors/base/roots.h"
#include "connectors/sql/destination.h"
#include "connectors/sql/sqlite.h"

/* clang-format off */
static const struct option options[] = {
    OPTION(struct sqlite_destination, path, .title = "File", .flags = OPTION_REQUIRED | OPTION_PATH,
           .help = "The database file. It is created when it is missing, its folder is not.",
           .min = 1, .max = 4096, .example = "/var/lib/connectord/warehouse.db"),
    OPTION(struct sqlite_destination, adopt_table, .title = "Adopt tables", .def = "false",
           .help = "Write into tables that are there already and were not made by this service. "
                   "Their columns keep their types; new columns are added."),
    OPTION(struct sqlite_destination, busy_timeout_s, .title = "Seconds to wait for a lock",
           .def = "30", .min = 0, .max = 3600,
           .help = "How long another program may hold the lock of the file before the run fails "
                   "and is tried again."),
    OPTIONS_END,
};
/* clang-format on */

static int check(const void *config, struct run *run, struct error *err)
{
    const struct sqlite_destination *to = config;

    return sqlite_check_writable(to->path, run, err);
}

static int open_destination(const void *config, struct run *run, const struct write_plan *plan,
                            struct destination **out, struct error *err)
{
    const struct sqlite_destination *to = config;

    return sql_destination_open(&sqlite_driver, to, to->adopt_table, run, plan, out, err);
}

/* Asks below the roots only: an answer about any other path would tell what lies there. */
static int exists(const char *path, struct arena *mem, bool *out, struct error *err)
{
    const char *name;
    int folder;

    *out = false;
    if (roots_open_parent(path, mem, &folder, &name, err) < 0) {
        if (err->code != ERR_NOT_FOUND)
            return error_wrap(err, "cannot open the database \"%s\"", path);
        *err = ERROR_INIT;
        return 0;
    }
    *out = faccessat(folder, name, F_OK, roots_limited() ? AT_SYMLINK_NOFOLLOW : 0) == 0;
    close(folder);
    return 0;
}

static int clear(const void *config, struct run *run, const struct write_plan *plan,
                 struct error *err)
{
    const struct sqlite_destination *to = config;

    bool there;

    if (exists(to->path, run->mem, &there, err) < 0)
        return -1;
    if (!there)
        return 0; /* without a file there is nothing to clear, and none is made for it */
    return sql_destination_clear(&sqlite_driver, to, run, plan, err);
}

static void tell_limits(tell_fn *tell, void *arg)
{
    sql_tell_limits(&sql_sqlite, tell, arg);
}

const struct destination_connector destination_sqlite = {
    .name = "sqlite",
    .title = "SQLite",
    .docs = "Writes each stream into a table of one SQLite file. Rows and the bookmark that covers "
            "them are committed together, so a crash neither loses nor doubles a row. A full "
            "refresh is built beside the live table and exchanged when it is complete: readers "
            "never see half a table, and views, triggers and indexes on it stay. Decimals, dates "
            "and times are stored as text, since SQLite's numbers would round them. The journal "
            "mode of the file is kept: in WAL mode readers never wait, else they do for the moment "
            "of a commit. SQLite knows no NaN, which goes to quarantine, and no negative zero.",
    .options = options,
    .config_size = sizeof(struct sqlite_destination),
    .write_modes = SQL_WRITE_MODES,
    .types = sql_sqlite.type,
    .tell_limits = tell_limits,
    .delivery = "exactly_once",
    .value_policies = true,
    .check = check,
    .open = open_destination,
    .clear = clear,
};
