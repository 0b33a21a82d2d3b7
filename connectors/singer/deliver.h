/*
 * deliver.h - Singer messages into a destination: what makes a destination a Singer target.
 *
 * Streams are known when their SCHEMA comes; the destination is opened again when one comes that
 * it was not opened for. A STATE is given back only once every record before it is durable, of all
 * streams, and in the order in which they came; records after the last commit of a run that fails
 * were never there. How a stream is written follows the framework: the catalog, then the members of
 * its SCHEMA, else merged by its key, or appended when it has none.
 *
 * A stream that is written anew (FULL_TABLE in the catalog or the SCHEMA, or a version that is
 * not the one the table has) is built beside the old rows and takes their place at the end of
 * the input, when its ACTIVATE_VERSION came if it has versions; until then no STATE is given back.
 */
#ifndef CONNECTORS_SINGER_DELIVER_H
#define CONNECTORS_SINGER_DELIVER_H

#include "connectors/connector.h"
#include "connectors/singer/lines.h"

struct deliver {
    const struct destination_connector *destination;
    const void *config;
    struct run *run;
    const char *pipeline;      /* owner of the tables */
    const struct doc *catalog; /* Singer's; NULL = only what SCHEMA messages say */
    struct lines *input;
    /* Takes the value of a STATE whose records are durable. */
    int (*state)(void *arg, struct slice value, struct error *err);
    void *arg;
    /* Rows that the destination cannot hold are kept in quarantine, up to these limits; see struct
     * write_plan. A record that breaks its SCHEMA always ends the run. */
    int64_t max_bad_rows;
    double max_bad_ratio;
    /* A commit is due after so many rows or bytes, or so long after the first of them; also when
     * nothing comes in for a while and a STATE waits. */
    int64_t commit_rows, commit_bytes, commit_age_us;
};

struct deliver_result {
    size_t n_streams;
    struct counts counts; /* of all commits together */
};

CHECKED int singer_deliver(const struct deliver *how, struct deliver_result *out,
                           struct error *err);

#endif
