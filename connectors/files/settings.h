/*
 * settings.h - how the files of a source are found and read, and how a destination writes them.
 *
 * These structs are what the option tables of the connectors fill in; the words an option may have
 * become enums here, once.
 */
#ifndef CONNECTORS_FILES_SETTINGS_H
#define CONNECTORS_FILES_SETTINGS_H

#include "connectors/base/arena.h"
#include "connectors/base/error.h"
#include "connectors/data/type.h"
#include "connectors/option.h"

enum files_format { FILES_UNKNOWN, FILES_CSV, FILES_NDJSON };
enum files_compression { FILES_AUTO, FILES_PLAIN, FILES_GZIP, FILES_ZSTD };

#define FILES_MAX_LINE_BYTES ((int64_t)64 << 20) /* upper bound of max_line_bytes */

/* Of the source; as the option table fills it. */
struct files_config {
    const char *path;
    const char *format, *compression;
    const char *delimiter, *quote;
    bool header;
    struct string_list columns;
    const struct doc *types;
    struct string_list key;
    struct string_list null_values;
    const char *encoding;
    const char *stream;
    bool one_stream_per_file;
    int64_t max_line_bytes;
    bool detect_formats;
};

/* Of the destination. */
struct files_target_config {
    const char *path;
    const char *format, *compression;
    const char *delimiter;
    const char *null_value;
};

/* What one file is to be read as: the words of the configuration, decoded. */
struct files_dialect {
    enum files_format format;
    enum files_compression compression;
    char delimiter;
    char quote; /* '\0' = none */
    bool header;
    bool latin1;
    const struct string_list *columns;     /* names when there is no header */
    const struct string_list *null_values; /* unquoted text that means NULL */
    size_t max_line_bytes;
};

/* By the name, e.g. "users.csv.gz"; FILES_UNKNOWN when it does not tell. */
enum files_format files_format_of(const char *name);
/* FILES_GZIP or FILES_ZSTD by the last extension, else FILES_AUTO: the content tells. */
enum files_compression files_compression_of(const char *name);
/* The name without its extensions of format and compression: "users.csv.gz" is "users". */
char *files_stem(struct arena *mem, const char *name);
/* ".csv", ".ndjson"; ".gz", ".zst" or "". */
const char *files_format_extension(enum files_format f);
const char *files_compression_extension(enum files_compression c);
enum files_compression files_compression_from_name(const char *word);

/* How `name` is to be read with this configuration. Fails with CONFIG when the format cannot be
 * told from the name or a setting is not one character. */
CHECKED int files_dialect_for(const struct files_config *c, const char *name,
                              struct files_dialect *out, struct error *err);

/* The type that the user declared for this field (`arg` is the configuration); false when there is
 * none. */
bool files_declared_type(const void *arg, const char *name, struct column_type *out);

#endif
