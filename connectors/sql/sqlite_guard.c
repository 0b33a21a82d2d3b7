/*
 * Files come from anybody and statements too: what neither of them may do.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "connectors/base/roots.h"
#include "connectors/base/text.h"
#include "connectors/sql/sqlite_internal.h"

#define BENEATH "connectord_beneath"

/* What a reader may meet: a value, a statement, an expression. */
#define MAX_VALUE_BYTES (256 << 20)
#define MAX_SQL_BYTES   (1 << 20)
#define MAX_DEPTH       200

/* ---------------------------------------------------------------------- where it is */

/* The name is "/proc/self/fd/N/data.db": the folder is the one we have opened, whatever happens to
 * its path. The packaged VFS would look the path up again. */
static int keep_name(sqlite3_vfs *vfs, const char *name, int room, char *out)
{
    (void)vfs;
    if (strlen(name) >= (size_t)room)
        return SQLITE_CANTOPEN;
    memcpy(out, name, strlen(name) + 1);
    return SQLITE_OK;
}

static void register_vfs(void)
{
    static sqlite3_vfs beneath;
    const sqlite3_vfs *packaged = sqlite3_vfs_find(NULL);

    if (!packaged)
        abort();
    beneath = *packaged;
    beneath.pNext = NULL;
    beneath.zName = BENEATH;
    beneath.xFullPathname = keep_name;
    if (sqlite3_vfs_register(&beneath, 0) != SQLITE_OK)
        abort();
}

static int check_file(const struct sqlite_conn *c, const char *name, struct error *err)
{
    struct stat st;

    if (fstatat(c->folder, *name ? name : ".", &st, roots_limited() ? AT_SYMLINK_NOFOLLOW : 0) <
        0) {
        if (errno == ENOENT && c->mode == SQLITE_MODE_CREATE)
            return 0;
        return error_set_errno(err, errno, "cannot open the database \"%s\"", c->path);
    }
    if (S_ISDIR(st.st_mode))
        return error_set(err, ERR_CONFIG, "\"%s\" is a folder, not a database file", c->path);
    /* A pipe would be waited for. */
    if (!S_ISREG(st.st_mode))
        return error_set(err, ERR_CONFIG, "\"%s\" is not a regular file", c->path);
    return 0;
}

int sqlite_find_file(struct sqlite_conn *c, const char **out_name, const char **out_vfs,
                     struct error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    /* A build may take "file:..." and ":memory:" for more than names of files. */
    bool special = c->path[0] == ':' || text_starts_with(c->path, "file:");
    const char *name;

    if (*c->path == '\0')
        return error_set(err, ERR_CONFIG, "the path of the database is empty");
    if (roots_open_parent(c->path, c->run->mem, &c->folder, &name, err) < 0)
        return error_wrap(err, "cannot open the database \"%s\"", c->path);
    if (check_file(c, name, err) < 0)
        return -1;
    pthread_once(&once, register_vfs);
    *out_vfs = roots_limited() ? BENEATH : NULL;
    *out_name = roots_limited() ? arena_printf(c->run->mem, "/proc/self/fd/%d/%s", c->folder, name)
                : special       ? arena_printf(c->run->mem, "./%s", c->path)
                                : c->path;
    return 0;
}

/* ------------------------------------------------------------------- what may be done */

void sqlite_forget_uris(void)
{
    sqlite3_config(SQLITE_CONFIG_URI, 0);
}

void sqlite_protect(struct sqlite_conn *c)
{
    sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(c->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(c->db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
    sqlite3_db_config(c->db, SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0, NULL);
    sqlite3_limit(c->db, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_limit(c->db, SQLITE_LIMIT_WORKER_THREADS, 0);
    sqlite3_exec(c->db, "PRAGMA mmap_size = 0; PRAGMA cell_size_check = ON", NULL, NULL, NULL);
    if (c->mode != SQLITE_MODE_READ)
        return;
    sqlite3_limit(c->db, SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES);
    sqlite3_limit(c->db, SQLITE_LIMIT_SQL_LENGTH, MAX_SQL_BYTES);
    sqlite3_limit(c->db, SQLITE_LIMIT_EXPR_DEPTH, MAX_DEPTH);
}

static bool is_among(const char *name, const char *const *list)
{
    for (; name && *list; list++) {
        if (sqlite3_stricmp(name, *list) == 0)
            return true;
    }
    return false;
}

/* Those that tell about tables; all others are settings. */
static bool pragma_tells(const char *name)
{
    static const char *const telling[] = {"table_info",       "table_xinfo", "table_list",
                                          "index_info",       "index_xinfo", "index_list",
                                          "foreign_key_list", NULL};

    return is_among(name, telling);
}

static int on_action(void *arg, int action, const char *first, const char *second,
                     const char *database, const char *inner)
{
    static const char *const forbidden[] = {"load_extension", "fts3_tokenizer", "readfile",
                                            "writefile",      "edit",           NULL};
    const struct sqlite_conn *c = arg;

    (void)database;
    (void)inner;
    switch (action) {
    case SQLITE_ATTACH:
    case SQLITE_DETACH:
        return SQLITE_DENY;
    case SQLITE_PRAGMA:
        return pragma_tells(first) ? SQLITE_OK : SQLITE_DENY;
    case SQLITE_FUNCTION:
        return is_among(second, forbidden) ? SQLITE_DENY : SQLITE_OK;
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_RECURSIVE:
    case SQLITE_TRANSACTION:
    case SQLITE_SAVEPOINT:
        return SQLITE_OK;
    case SQLITE_UPDATE:
        /* So asks a table that only shows what a PRAGMA tells, when it is used first. */
        return c->mode != SQLITE_MODE_READ || !strcmp(first, "sqlite_master") ? SQLITE_OK
                                                                              : SQLITE_DENY;
    default:
        return c->mode == SQLITE_MODE_READ ? SQLITE_DENY : SQLITE_OK;
    }
}

void sqlite_authorize(struct sqlite_conn *c)
{
    sqlite3_set_authorizer(c->db, on_action, c);
}
