/*
 * privatedir.h - a directory of one process: mode 0700, its files 0600, in memory where possible.
 *
 * Configurations and states reach a program by files here, never by arguments or environment. It
 * is the program's working directory, home and place for temporary files.
 */
#ifndef CONNECTORS_SINGER_PRIVATEDIR_H
#define CONNECTORS_SINGER_PRIVATEDIR_H

#include "connectors/base/error.h"

#define PRIVATEDIR_BYTES 64

struct private_file {
    const char *name; /* without a slash */
    const char *text;
    size_t n;
};

CHECKED int privatedir_make(char out[static PRIVATEDIR_BYTES], struct error *err);
CHECKED int privatedir_write(const char *dir, const struct private_file *file, struct error *err);
/* Removes it with everything in it; links are removed and not followed. */
void privatedir_remove(const char *dir);

#endif
