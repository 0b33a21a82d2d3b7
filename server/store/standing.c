/*
 * Is the open store still ours to use? What its start has made sure of, and somebody with access to
 * the files may have undone since.
 */
#include <sys/stat.h>

#include "server/store/migrations.h"
#include "server/store/txn.h"

int store_check_schema(struct store *s, int64_t limit_ms, struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};
    int64_t missing = 0;
    int is_new;

    if (txn_begin_within(s, TXN_READ, limit_ms, &t, err) < 0)
        return -1;
    is_new = migrations_check(t.db, err);
    if (is_new < 0 || migrations_missing(t.db, &missing, err) < 0)
        return -1;
    return missing > 0;
}

bool store_has_lock(const struct store *s)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    const char *path;
    struct stat held, there;
    int fd = store_lock_fd(s, &path);

    return fd >= 0 && fstat(fd, &held) == 0 &&
           stat(arena_printf(mem, "%s.lock", path), &there) == 0 && held.st_dev == there.st_dev &&
           held.st_ino == there.st_ino;
}
