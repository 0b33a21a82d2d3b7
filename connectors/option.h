/*
 * option.h - tables of settings: one row each for its type, default, bounds and words.
 *
 * One table serves a connector's configuration, a request body, the parameters of a query and the
 * service's own settings. It decodes JSON into a plain struct, applies defaults, refuses what it
 * does not know, reports all problems at once with JSON pointers, leaves secrets out of what is
 * shown, and renders JSON Schema and a template to fill in. Tables are const; decoding writes into
 * an arena.
 */
#ifndef CONNECTORS_OPTION_H
#define CONNECTORS_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "connectors/base/doc.h"
#include "connectors/base/problem.h"

struct string_list {
    const char **items;
    size_t n;
};

enum option_type { OPTION_STRING, OPTION_INT, OPTION_BOOL, OPTION_LIST, OPTION_DOC };

enum option_flags {
    OPTION_REQUIRED = 1 << 0,
    OPTION_SECRET = 1 << 1,   /* writeOnly: never shown, never logged */
    OPTION_PATH = 1 << 2,     /* a path on the service's machine, checked against its roots */
    OPTION_BINDING = 1 << 3,  /* says where secrets are sent: changing it asks for them again */
    OPTION_SETTINGS = 1 << 4, /* DOC, with SECRET: settings of all kinds, some of them secret */
};

struct option {
    enum option_type type; /* derived from the member by OPTION */
    const char *name;      /* derived from the member */
    size_t offset;         /* derived from the member */
    unsigned flags;
    const char *title, *help;   /* for people; both are required */
    const char *def;            /* default as JSON text without quotes for strings; NULL = absent */
    int64_t min, max;           /* INT: bounds when min < max. STRING: length bounds when max > 0 */
    const char *const *choices; /* STRING: closed set, NULL-terminated */
    const char *example;        /* placeholder in templates */
    /* DOC: checks the value and adds problems below `pointer`; NULL accepts any object. */
    void (*check)(const struct doc *value, const char *pointer, struct problems *problems);
    const char *schema; /* DOC: its JSON Schema as text; NULL = {"type":"object"} */
};

/* clang-format off */
#define OPTION(T, member, ...)                                                                     \
    {.name = #member, .offset = offsetof(T, member),                                               \
     .type = _Generic(((T *)0)->member, const char *: OPTION_STRING, int64_t: OPTION_INT,          \
                      bool: OPTION_BOOL, struct string_list: OPTION_LIST,                          \
                      const struct doc *: OPTION_DOC), __VA_ARGS__}
#define OPTIONS_END {.name = NULL}
/* clang-format on */

/*
 * Fills `config` (a zeroed struct of the table's kind) from `object`; NULL or an empty object
 * gives the defaults, and a member that is null counts as absent. Absent strings stay NULL, absent
 * lists empty, absent ints 0 unless there is a default. Strings point into `mem`. `pointer` is put
 * in front of every problem ("" or "/config"). Documents (OPTION_DOC) are borrowed from `object`
 * and have no default. True when nothing was added to `problems`.
 */
bool options_decode(const struct option *table, const struct doc *object, const char *pointer,
                    void *config, struct arena *mem, struct problems *problems);

/* The JSON Schema (2020-12) of the table: type object, properties in order, required,
 * additionalProperties false, default, enum, minimum, maximum, title, description, and for secrets
 * writeOnly and format password. The caller owns the document. */
struct doc *options_schema(const struct option *table);

/* A configuration to edit: defaults filled in, required ones as placeholders, the rest only when
 * `required_only` is false. */
struct doc *options_template(const struct option *table, bool required_only);

/* A copy of `config` with every default filled in and every secret left out. */
struct doc *options_normalized(const struct option *table, const struct doc *config);

const struct option *option_find(const struct option *table, const char *name); /* NULL = none */

#endif
