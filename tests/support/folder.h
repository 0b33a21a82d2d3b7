/*
 * folder.h - a temporary folder with files, for tests of whatever reads or writes files.
 */
#ifndef TESTS_SUPPORT_FOLDER_H
#define TESTS_SUPPORT_FOLDER_H

#include <stddef.h>

/* Created anew; the path stays valid until folder_remove. */
const char *folder_make(void);
void folder_remove(void); /* with everything in it */

/* Each aborts with a message when it fails: a test without its files cannot go on. */
void folder_write(const char *name, const void *bytes, size_t n);
void folder_puts(const char *name, const char *text);
void folder_append(const char *name, const char *text);
/* One gzip member, or zstd frame, behind what the file has. */
void folder_append_gzip(const char *name, const void *bytes, size_t n);
void folder_append_zstd(const char *name, const void *bytes, size_t n);
void folder_cut(const char *name, long size); /* truncates */

/* The path of a file in it; in a ring of static buffers. */
const char *folder_path(const char *name);
/* The content, NUL-terminated; release with free(). */
char *folder_read(const char *name, size_t *out_n);
/* Files in a folder below, "" = the folder itself, whose name ends in `suffix`. */
size_t folder_count(const char *below, const char *suffix);
/* The name of the only such file, from the folder on; in a static buffer. */
const char *folder_only(const char *below, const char *suffix);

#endif
