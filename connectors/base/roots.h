/*
 * roots.h - which folders of this machine connectors may read and write.
 *
 * A path comes from whoever may describe a source or destination. With roots it has to lie below
 * one of them: it is resolved by the kernel from the root's own descriptor (openat2), without a
 * symbolic link anywhere on the way and without "..", so that nothing that is swapped meanwhile
 * leads out. Where that call is missing, the folders are opened one by one with the same rules.
 * Without roots a path means what it means to the user that the process runs as; or nothing, when
 * files are closed. In both cases the closed folder, where the service keeps its own data, cannot
 * be reached: its inode is looked for above every folder that is opened.
 *
 * The policy belongs to the process: set once, before there are threads; without that, files are
 * open. Opening is safe from any thread.
 */
#ifndef CONNECTORS_BASE_ROOTS_H
#define CONNECTORS_BASE_ROOTS_H

#include <stddef.h>

#include "connectors/base/arena.h"
#include "connectors/base/error.h"

struct roots_policy {
    const char *const *roots; /* absolute paths of folders */
    size_t n;
    bool open;          /* without roots: any path, else none */
    const char *closed; /* folder that is never reached; NULL = none */
};

/* CONFIG when a root is no folder that can be opened, or lies in the closed folder. */
CHECKED int roots_configure(const struct roots_policy *policy, struct error *err);

/* True when paths are held below roots: then no link is to be followed from here on. */
bool roots_limited(void);

/*
 * The folder itself, or the folder that holds `path` and the name in it ("a/b.csv": folder a, name
 * b.csv), as a descriptor that the caller closes. NOT_FOUND and PERMISSION as of the file system;
 * PERMISSION "path_denied" when it lies outside, leads through a link, or has a part that begins
 * with a dot, is longer than 255 bytes, or holds what is not text.
 */
CHECKED int roots_open_folder(const char *path, int *out_fd, struct error *err);
CHECKED int roots_open_parent(const char *path, struct arena *mem, int *out_fd,
                              const char **out_name, struct error *err);

/* Creates the folder `path` with mode 0700 unless it is there; its parent has to be. */
CHECKED int roots_make_folder(const char *path, struct error *err);

#endif
