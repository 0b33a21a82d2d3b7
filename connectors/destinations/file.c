/* file - NDJSON or CSV files in a folder, each row exactly once. */
#include "connectors/files/target.h"

static const char *const formats[] = {"ndjson", "csv", NULL};
static const char *const compressions[] = {"none", "gzip", "zstd", NULL};

/* clang-format off */
static const struct option options[] = {
    OPTION(struct files_target_config, path, .flags = OPTION_REQUIRED | OPTION_PATH,
           .title = "Folder",
           .help = "Every stream gets a folder below it. STREAM/current/ holds the files that "
                   "count; _manifests/STREAM/live.json names the generation, for systems without "
                   "symbolic links, and the manifests beside it list every file with its size, "
                   "rows and SHA-256.",
           .example = "/data/out"),
    OPTION(struct files_target_config, format, .def = "ndjson", .choices = formats,
           .title = "Format",
           .help = "ndjson: one JSON object per line, numbers with all their digits. csv: with a "
                   "header line."),
    OPTION(struct files_target_config, compression, .def = "none", .choices = compressions,
           .title = "Compression", .help = "Of the data files."),
    OPTION(struct files_target_config, delimiter, .def = ",", .min = 1, .max = 1,
           .title = "Delimiter", .help = "CSV: the character between fields."),
    OPTION(struct files_target_config, null_value, .def = "", .max = 100, .title = "Word for NULL",
           .help = "CSV: written without quotes for no value; the same word as a text is quoted, "
                   "and so is the empty text."),
    OPTIONS_END,
};
/* clang-format on */

const struct destination_connector destination_file = {
    .name = "file",
    .title = "Files",
    .docs = "Writes NDJSON or CSV files into a folder per stream. A commit becomes visible, with "
            "the position it covers, by one manifest that is created if absent: rows are there "
            "once, whatever crashes. Overwriting builds a new generation beside the old one and "
            "swaps; readers of STREAM/current/ see one or the other. Rows and cells that cannot be "
            "represented go to _connectord_quarantine/, named by the same manifests.",
    .options = options,
    .config_size = sizeof(struct files_target_config),
    .write_modes = 1u << WRITE_OVERWRITE | 1u << WRITE_APPEND,
    .delivery = "exactly_once",
    .check = files_target_check,
    .open = files_target_open,
    .clear = files_target_clear,
};
