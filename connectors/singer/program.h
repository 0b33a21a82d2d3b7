/*
 * program.h - the executables that the operator allows: name, absolute path, fixed arguments.
 *
 * Nobody else can name a file to run: a connector's configuration names one of these. The list is
 * set once, before threads exist, and const afterwards; without a list nothing is ever started.
 */
#ifndef CONNECTORS_SINGER_PROGRAM_H
#define CONNECTORS_SINGER_PROGRAM_H

#include "connectors/option.h"

/* What one process of a program may use; the whole of it, with its children, is not counted. */
struct program_limits {
    int64_t memory_bytes; /* private memory, RLIMIT_DATA */
    int64_t files;        /* open descriptors */
    int64_t processes;    /* of the service's user in all */
    int64_t file_bytes;   /* one file that it writes */
};

struct program {
    const char *name, *path;
    struct string_list args;         /* before ours */
    const char *sha256;              /* lower-case hexadecimal of the file; NULL = not checked */
    const struct doc *config_schema; /* of its configuration; NULL = it is asked, see asked.h */
    struct program_limits limits;
};

/*
 * Decodes {"enabled":true,"programs":[{"name":..,"path":..,"args":[..]}]}. Problems get pointers
 * below `pointer`. False when something was added to `problems`. *out lives in `mem`, and borrows
 * from `exec`; it is empty unless "enabled" is true.
 */
struct program_list {
    const struct program *items;
    size_t n;
};
__attribute__((nonnull(2, 3, 4, 5))) bool programs_decode(const struct doc *exec,
                                                          const char *pointer, struct arena *mem,
                                                          struct program_list *out,
                                                          struct problems *problems);

/* The shape alone, for the option table of the service. */
void programs_check(const struct doc *exec, const char *pointer, struct problems *problems);
extern const char programs_schema[]; /* JSON Schema of the section */

/* Called once, before any thread; the list must live as long as the process. */
void programs_set(const struct program_list *list);
/* By name. NULL with CONFIG, reason "program_not_listed", when the operator lists no such program.
 */
const struct program *program_find(const char *name, struct error *err);
const struct program_list *programs_listed(void);

/*
 * Opens the file for execution and checks what was opened: a regular file and no link, owned by
 * root or by our own user, writable by nobody else, with the listed digest. The descriptor goes to
 * `supervise`, which executes it and not the path again. Stays open across exec, as scripts need.
 */
CHECKED int program_open(const struct program *p, int *out_fd, struct error *err);

#endif
