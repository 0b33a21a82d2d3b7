/*
 * tempdir.h - a directory of one test, empty at first and gone afterwards.
 */
#ifndef TESTS_SUPPORT_TEMPDIR_H
#define TESTS_SUPPORT_TEMPDIR_H

#define TEMPDIR_BYTES 64

void tempdir_make(char out[static TEMPDIR_BYTES]);
/* Removes it with everything in it. */
void tempdir_remove(const char *dir);

#endif
