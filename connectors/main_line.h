/*
 * main_line.h - the command line of a connector program: one table of flags. Private to main*.c.
 */
#ifndef CONNECTORS_MAIN_LINE_H
#define CONNECTORS_MAIN_LINE_H

#include <stdbool.h>
#include <stdio.h>

enum main_kind { MAIN_SOURCE = 1, MAIN_DESTINATION = 2 };

/* Flags that were not given are NULL and false. */
struct main_line {
    const char *config, *config_json;
    const char *catalog, *catalog_json;
    const char *state, *state_json;
    const char *query, *selected_streams_json;
    const char *input_file_path;
    bool discover, discover_streams, count_records, load_sample_data, test_connection;
    bool show_templates, spec, log_to_stdout, help;
};

/* Reads argv[1..]; false when something is wrong, which is then written to standard error, all of
 * it at once. Both "--flag value" and "--flag=value" are understood; nothing may be abbreviated. */
bool main_line_read(int argc, char **argv, enum main_kind kind, struct main_line *out);

/* What --help shows. */
void main_line_help(const char *program, enum main_kind kind, FILE *to);

#endif
