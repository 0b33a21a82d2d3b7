/*
 * message.h - one line of Singer: SCHEMA, RECORD, STATE or ACTIVATE_VERSION.
 *
 * A RECORD is only taken apart, its values stay text until they reach their columns. A SCHEMA
 * becomes columns, a key and the members that must be there. Members that the framework adds are
 * read, others are passed over; what is no message is an error that says what the line looked like.
 */
#ifndef CONNECTORS_SINGER_MESSAGE_H
#define CONNECTORS_SINGER_MESSAGE_H

#include "connectors/base/jsonread.h"
#include "connectors/connector.h"

#define SINGER_MAX_LINE    ((size_t)16 << 20)
#define SINGER_MAX_STREAMS 20000

enum singer_kind { SINGER_SCHEMA, SINGER_RECORD, SINGER_STATE, SINGER_ACTIVATE_VERSION };

/* Views of the line, and of `name` for a stream whose name has escapes. */
struct singer_message {
    enum singer_kind kind;
    struct slice stream;  /* decoded */
    struct slice record;  /* RECORD: the object as written */
    struct slice value;   /* STATE: the value as written */
    struct slice version; /* a number as written; empty = none */
    struct slice line;
    bool guessed; /* `record` is where it should be; only singer_parse_again knows */
};

struct singer_parser {
    struct jsonread json;
    struct buf name;
};
void singer_parser_init(struct singer_parser *p);
void singer_parser_release(struct singer_parser *p);

/* Fails with DATA, reason "bad_message". */
CHECKED int singer_parse(struct singer_parser *p, struct slice line, struct singer_message *out,
                         struct error *err);

/* The same without a guess: for a record that turned out to be none. */
CHECKED int singer_parse_again(struct singer_parser *p, struct slice line,
                               struct singer_message *out, struct error *err);

/* What a SCHEMA says of its stream. */
struct singer_schema {
    const char *stream;
    /* Columns in their order, and the key. The source_type of bytes that are not base64 but
     * hexadecimal is "base16", that of all others "". */
    const struct schema *schema;
    const size_t *required; /* columns every record has; those of the key too */
    size_t n_required;
    bool closed;          /* records have no other members: additionalProperties is false */
    struct doc *settings; /* the line without its schema: the members the framework adds */
};

/*
 * Reads a SCHEMA line. $ref is followed within the document. Fails with SCHEMA, reason
 * "bad_schema", for one without properties, with an unknown key or with a reference that leads
 * nowhere. Memory is of `mem` but for `settings`, which the caller frees.
 */
CHECKED int singer_read_schema(struct slice line, struct arena *mem, struct singer_schema *out,
                               struct error *err);

/* A JSON Schema with its references put in their place, as far as columns are made of it; the
 * caller owns it. */
CHECKED int singer_inline_refs(const struct doc *schema, struct doc **out, struct error *err);

#endif
