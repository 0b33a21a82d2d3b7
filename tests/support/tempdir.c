#include "tests/support/tempdir.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

void tempdir_make(char out[static TEMPDIR_BYTES])
{
    snprintf(out, TEMPDIR_BYTES, "/tmp/connectord-test-XXXXXX");
    if (!mkdtemp(out))
        abort();
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)info;
    (void)type;
    (void)ftw;
    return remove(path);
}

void tempdir_remove(const char *dir)
{
    nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}
