#include "connectors/files/settings.h"

#include <string.h>
#include <strings.h>

static const struct {
    const char *extension;
    enum files_format format;
} formats[] = {
    {".csv", FILES_CSV},       {".tsv", FILES_CSV},      {".txt", FILES_CSV},
    {".ndjson", FILES_NDJSON}, {".jsonl", FILES_NDJSON}, {".json", FILES_NDJSON},
};

static const struct {
    const char *extension, *word;
    enum files_compression compression;
} compressions[] = {
    {".gz", "gzip", FILES_GZIP},
    {".zst", "zstd", FILES_ZSTD},
    {"", "none", FILES_PLAIN},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* The length of `name` without `extension`, or 0 when it does not end so. */
static size_t without(const char *name, size_t n, const char *extension)
{
    size_t n_extension = strlen(extension);

    if (!n_extension || n <= n_extension ||
        strncasecmp(name + n - n_extension, extension, n_extension) != 0)
        return 0;
    return n - n_extension;
}

static size_t without_compression(const char *name, enum files_compression *out)
{
    size_t n = strlen(name);

    *out = FILES_AUTO;
    for (size_t i = 0; i < COUNT(compressions); i++) {
        size_t stem = without(name, n, compressions[i].extension);

        if (!stem)
            continue;
        *out = compressions[i].compression;
        return stem;
    }
    return n;
}

static size_t without_format(const char *name, size_t n, enum files_format *out)
{
    *out = FILES_UNKNOWN;
    for (size_t i = 0; i < COUNT(formats); i++) {
        size_t stem = without(name, n, formats[i].extension);

        if (!stem)
            continue;
        *out = formats[i].format;
        return stem;
    }
    return n;
}

enum files_format files_format_of(const char *name)
{
    enum files_compression ignored;
    enum files_format format;

    without_format(name, without_compression(name, &ignored), &format);
    return format;
}

enum files_compression files_compression_of(const char *name)
{
    enum files_compression compression;

    without_compression(name, &compression);
    return compression;
}

char *files_stem(struct arena *mem, const char *name)
{
    enum files_compression compression;
    enum files_format format;

    return arena_memdup(mem, name,
                        without_format(name, without_compression(name, &compression), &format));
}

const char *files_format_extension(enum files_format f)
{
    return f == FILES_CSV ? ".csv" : ".ndjson";
}

const char *files_compression_extension(enum files_compression c)
{
    for (size_t i = 0; i < COUNT(compressions); i++) {
        if (compressions[i].compression == c)
            return compressions[i].extension;
    }
    return "";
}

enum files_compression files_compression_from_name(const char *word)
{
    for (size_t i = 0; word && i < COUNT(compressions); i++) {
        if (!strcmp(compressions[i].word, word))
            return compressions[i].compression;
    }
    return FILES_AUTO;
}

/* ',' unless the name says that tabs separate. */
static char delimiter_for(const struct files_config *c, const char *name)
{
    enum files_compression compression;
    size_t n = without_compression(name, &compression);

    if (c->delimiter && c->delimiter[0] != '\0')
        return c->delimiter[0];
    return without(name, n, ".tsv") ? '\t' : ',';
}

static int check_characters(const struct files_dialect *d, const struct files_config *c,
                            struct error *err)
{
    if (c->delimiter && strlen(c->delimiter) > 1)
        return error_set(err, ERR_CONFIG, "the delimiter \"%s\" is not a single byte",
                         c->delimiter);
    if (c->quote && strlen(c->quote) > 1)
        return error_set(err, ERR_CONFIG, "the quote \"%s\" is not a single byte", c->quote);
    if (strchr("\r\n", d->delimiter) || (d->quote && strchr("\r\n", d->quote)))
        return error_set(err, ERR_CONFIG, "a line break cannot be the delimiter or the quote");
    if (d->delimiter == d->quote)
        return error_set(err, ERR_CONFIG, "delimiter and quote are the same character");
    if ((d->delimiter & 0x80) || (d->quote & 0x80))
        return error_set(err, ERR_CONFIG, "delimiter and quote must be ASCII characters");
    return 0;
}

int files_dialect_for(const struct files_config *c, const char *name, struct files_dialect *out,
                      struct error *err)
{
    static const struct string_list nothing;
    struct files_dialect d = {
        .format = files_format_of(name),
        .compression = files_compression_from_name(c->compression),
        .delimiter = delimiter_for(c, name),
        .quote = c->quote ? *c->quote : '"',
        .header = c->header,
        .latin1 = c->encoding && !strcmp(c->encoding, "latin-1"),
        .columns = c->columns.n ? &c->columns : &nothing,
        .null_values = &c->null_values,
        .max_line_bytes = (size_t)c->max_line_bytes,
    };

    if (c->format && !strcmp(c->format, "csv"))
        d.format = FILES_CSV;
    else if (c->format && !strcmp(c->format, "ndjson"))
        d.format = FILES_NDJSON;
    if (d.format == FILES_UNKNOWN)
        return error_set(err, ERR_CONFIG,
                         "the name of \"%s\" does not tell its format; set \"format\"", name);
    if (d.compression == FILES_AUTO)
        d.compression = files_compression_of(name);
    if (check_characters(&d, c, err) < 0)
        return -1;
    *out = d;
    return 0;
}

bool files_declared_type(const void *arg, const char *name, struct column_type *out)
{
    const struct files_config *c = arg;
    const char *text = doc_string(doc_get(c->types, name), NULL);

    return text && type_parse(text, out);
}
