/*
 * intake.h - the records of one stream on their way into batches, checked against their SCHEMA.
 *
 * Belongs to a tap that is read and to a target that is written to alike; who takes full batches
 * is the caller. Memory is of the arena given, and grows with the number of SCHEMA messages that
 * changed something, not with records.
 */
#ifndef CONNECTORS_SINGER_INTAKE_H
#define CONNECTORS_SINGER_INTAKE_H

#include "connectors/jsonrow.h"
#include "connectors/singer/message.h"

struct intake {
    const struct selected_stream *want;
    const struct schema *declared; /* of the last SCHEMA; NULL = none has come */
    struct bind bind;
    struct jsonrow row;
    struct batch *rows;
    size_t *required; /* columns of bind.schema */
    size_t n_required;
    bool *base16; /* per column of bind.schema as of the last SCHEMA */
    struct arena *mem;
    struct singer_parser *parser;
    uint64_t n_records;
    bool strict; /* a record that breaks its SCHEMA fails, reason "bad_record" */
};

/* `want` and the parser outlive the intake. */
void intake_init(struct intake *in, const struct selected_stream *want,
                 struct singer_parser *parser, struct arena *mem, struct log *log);
void intake_release(struct intake *in); /* accepts one that is all zero */

/* A SCHEMA of the stream: new properties become columns as the stream's policy says. Fails when
 * that is to stop. */
CHECKED int intake_schema(struct intake *in, const struct singer_schema *s, struct error *err);

enum intake_outcome {
    INTAKE_TAKEN,
    INTAKE_FULL,    /* taken: hand in->rows on before the next record */
    INTAKE_WIDENED, /* not taken: hand in->rows on, reset it to in->bind.schema, come again */
};

/*
 * One RECORD. One that breaks its SCHEMA (a required member or part of the key is missing, or there
 * is a member that additionalProperties = false excludes) is rejected with its reason, in place,
 * unless the intake is strict. Fails with DATA, reason "record_before_schema", or "bad_message" for
 * a line that is no JSON; and when the stream must stop.
 */
CHECKED int intake_record(struct intake *in, const struct singer_message *m,
                          enum intake_outcome *out, struct error *err);

#endif
