/*
 * main.h - a connector as a program: a Singer tap or target, with the flags of Mage's framework.
 *
 *     int main(int argc, char **argv) { return connector_main(argc, argv, &source_custom_api); }
 *
 * Standard output is Singer and nothing else; logs are JSON lines on standard error. The flags and
 * modes are the table in main_line.c, shown by --help. Exit status: 0 done, 1 failed, 2 wrong
 * flags, configuration, catalog or state. SIGTERM and SIGINT end a sync behind its last STATE with
 * 1; the second one ends the process.
 */
#ifndef CONNECTORS_MAIN_H
#define CONNECTORS_MAIN_H

#include "connectors/connector.h"

/* For a source or a destination, whichever it is. `argv` as main got it. */
#define connector_main(argc, argv, connector) \
    _Generic((connector), const struct source_connector *: connector_main_source,     \
             struct source_connector *: connector_main_source,                        \
             const struct destination_connector *: connector_main_destination,        \
             struct destination_connector *: connector_main_destination)(argc, argv,  \
                                                                         connector)

int connector_main_source(int argc, char **argv, const struct source_connector *c);
int connector_main_destination(int argc, char **argv, const struct destination_connector *c);

#endif
