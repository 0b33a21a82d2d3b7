/*
 * reader.h - one file of a stream, from some offset, into batches.
 *
 * Knows both formats so that nothing above it does. What is no record becomes a rejected row that
 * says file, line and column, and reading goes on. Not shared between threads.
 */
#ifndef CONNECTORS_FILES_READER_H
#define CONNECTORS_FILES_READER_H

#include "connectors/bind.h"
#include "connectors/files/csv.h"
#include "connectors/files/ndjson.h"
#include "connectors/jsonrow.h"

enum reader_outcome {
    READER_FULL,    /* the batch is: hand it on and come back */
    READER_WIDENED, /* hand the batch on, give it bind->schema, come back */
    READER_END,
    READER_OPEN, /* as END, but the last line has no line break yet and was left */
};

struct reader_start {
    uint64_t offset; /* 0 = the beginning of the file */
    int64_t line;    /* that begins there, from 1 */
    bool keep_open;  /* leave a last line without line break for a later run */
};

struct reader {
    const char *name; /* of the file, for messages; borrowed */
    int dir;
    struct files_dialect dialect;
    struct reader_start start;
    struct bind *bind; /* NULL while sampling and counting */
    struct run *run;
    struct arena *mem; /* released with the reader */
    struct csv csv;    /* one of these two */
    struct ndjson ndjson;
    const char **names; /* CSV: the header */
    size_t n_names;
    long *columns;        /* CSV: per field its column or BIND_LEFT_OUT */
    bool again;           /* the current record was read and not used */
    struct csv_text text; /* of one field */
    struct jsonread json; /* NDJSON that is sampled or counted */
    struct jsonrow row;   /* NDJSON that is read */
};

/* Opens `name` in the folder `dir`. Close it whatever comes back. */
CHECKED int reader_open(struct reader *r, int dir, const char *name,
                        const struct files_dialect *dialect, struct run *run,
                        struct reader_start start, struct error *err);
void reader_close(struct reader *r);

/* Whether this CSV file has fields that discovery has not seen, so that their types are to be
 * guessed before reader_bind. */
bool reader_has_unknown(const struct reader *r, const struct bind *bind);

/* Joins the fields to columns. Of a CSV file with fields that discovery has not seen, the schema
 * of `bind` grows here, by the types in `guessed` (one per name). Fails as bind_add does. */
CHECKED int reader_bind(struct reader *r, struct bind *bind, const struct column_type *guessed,
                        struct error *err);

/* Adds rows to `rows`, whose schema is bind->schema, until one of the outcomes. */
CHECKED int reader_fill(struct reader *r, struct batch *rows, enum reader_outcome *out,
                        struct error *err);

/* Passes over at most `max` records, broken ones too; *out_n is how many there were. */
CHECKED int reader_count(struct reader *r, int64_t max, int64_t *out_n, struct error *err);

/* The last line read was not ended by a line break. */
bool reader_is_unbroken(const struct reader *r);
/* Passes over the line break that has come behind such a line since; *out is false when something
 * else came. */
CHECKED int reader_skip_break(struct reader *r, bool *out, struct error *err);

/* Where the next record begins. */
uint64_t reader_offset(const struct reader *r);
int64_t reader_line(const struct reader *r);
struct input *reader_input(const struct reader *r);

#endif
