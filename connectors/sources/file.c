/* file - CSV and NDJSON files, one or many, plain or compressed. */
#include <stdio.h>

#include "connectors/files/list.h"
#include "connectors/files/scan.h"

static const char *const formats[] = {"auto", "csv", "ndjson", NULL};
static const char *const compressions[] = {"auto", "none", "gzip", "zstd", NULL};
static const char *const encodings[] = {"utf-8", "latin-1", NULL};

static void check_types(const struct doc *types, const char *pointer, struct problems *problems)
{
    for (const struct doc_member *m = doc_first(types); m; m = doc_next(types, m)) {
        const char *text = doc_string(doc_member_value(m), NULL);
        struct buf where = BUF_INIT(4096);
        struct column_type ignored;

        buf_puts(&where, pointer);
        doc_pointer_put(&where, doc_member_key(m));
        if (!text || !type_parse(text, &ignored))
            problems_add(problems, buf_str(&where), "unknown_type",
                         "expected a type such as \"int\", \"decimal(15,2)\", \"string\" or "
                         "\"timestamptz\"");
        buf_release(&where);
    }
}

/* clang-format off */
static const struct option options[] = {
    OPTION(struct files_config, path, .flags = OPTION_REQUIRED | OPTION_PATH, .title = "Path",
           .help = "A file, a folder, or a pattern in the last part such as /in/*.csv.gz. Of a "
                   "folder, all files whose names tell a format are read in the order of their "
                   "names; hidden files and links are passed over.",
           .example = "/data/users.csv"),
    OPTION(struct files_config, format, .def = "auto", .choices = formats, .title = "Format",
           .help = "auto: by the name. .csv, .tsv and .txt are CSV; .ndjson, .jsonl and .json are "
                   "one JSON object per line; .gz or .zst may follow."),
    OPTION(struct files_config, compression, .def = "auto", .choices = compressions,
           .title = "Compression", .help = "auto: by the name, else by the first bytes."),
    OPTION(struct files_config, delimiter, .max = 1, .title = "Delimiter",
           .help = "CSV: the character between fields. A comma, or a tab for .tsv, by default.",
           .example = ";"),
    OPTION(struct files_config, quote, .def = "\"", .max = 1, .title = "Quote",
           .help = "CSV: the character around fields; doubled, it stands for itself. Empty: "
                   "quotes mean nothing."),
    OPTION(struct files_config, header, .def = "true", .title = "Header",
           .help = "CSV: the first line names the columns."),
    OPTION(struct files_config, columns, .title = "Columns",
           .help = "CSV without a header: the names of the columns; column1, column2 and so on by "
                   "default."),
    OPTION(struct files_config, types, .check = check_types, .title = "Types",
           .help = "Declared types by column, such as {\"price\": \"decimal(15,2)\"}; the types "
                   "of all others are told from a sample.",
           .schema = "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"}}"),
    OPTION(struct files_config, key, .title = "Key",
           .help = "The columns that identify a record, for destinations that write by key."),
    OPTION(struct files_config, null_values, .def = "[\"\"]", .title = "Words for NULL",
           .help = "CSV: fields without quotes that stand for no value. A quoted empty field is "
                   "always the empty text."),
    OPTION(struct files_config, encoding, .def = "utf-8", .choices = encodings,
           .title = "Encoding", .help = "Of the text in the files."),
    OPTION(struct files_config, stream, .title = "Stream name",
           .help = "The name of the stream; that of the file or folder by default."),
    OPTION(struct files_config, one_stream_per_file, .def = "false",
           .title = "One stream per file",
           .help = "Every file becomes a stream of its own, called like the file without its "
                   "extensions; otherwise all files are parts of one stream."),
    OPTION(struct files_config, max_line_bytes, .def = "16777216", .min = 1024,
           .max = FILES_MAX_LINE_BYTES, .title = "Longest record",
           .help = "A longer record is rejected, whatever its length, and reading goes on."),
    OPTION(struct files_config, detect_formats, .def = "false", .title = "Detect formats",
           .help = "Text that is always a UUID, a date or a timestamp with a zone gets that type."),
    OPTIONS_END,
};
/* clang-format on */

static void tell_types(tell_fn *tell, void *arg)
{
    tell(arg, "a column that is declared in \"types\"", "that type");
    tell(arg, "true, false", "bool");
    tell(arg, "whole numbers", "int; beyond 64 bits decimal");
    tell(arg, "numbers with a point or an exponent", "decimal");
    tell(arg, "UUIDs, dates, timestamps with a zone",
         "uuid, date, timestamptz where detect_formats says so, else string");
    tell(arg, "objects and lists of NDJSON", "json");
    tell(arg, "anything else, and what is not one of these throughout", "string");
}

static void tell_limits(tell_fn *tell, void *arg)
{
    char text[64];

    snprintf(text, sizeof text, "%d", LIST_MAX_FILES);
    tell(arg, "files of a folder or pattern", text);
    tell(arg, "a record", "max_line_bytes; a longer one is rejected");
}

const struct source_connector source_file = {
    .name = "file",
    .title = "Files",
    .docs = "Reads CSV and NDJSON files, plain or compressed with gzip or zstd: one file, all "
            "files of a folder, or those that match a pattern. Incremental runs read new files "
            "and what was appended to known ones; a last line without a line break is read once "
            "the file has stood unchanged between two runs. A file that has become shorter or "
            "whose first 4 KiB have changed needs a full refresh. Broken lines, and values that "
            "do not fit their column, go to quarantine with file, line and column.",
    .options = options,
    .config_size = sizeof(struct files_config),
    .tell_types = tell_types,
    .tell_limits = tell_limits,
    .check = files_check,
    .discover = files_discover,
    .count = files_count,
    .read = files_read,
};
