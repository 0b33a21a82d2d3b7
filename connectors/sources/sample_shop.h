/*
 * sample_shop.h - what the sample shop contains: every row and value as a pure function.
 *
 * A value depends on the seed, the stream, the number of the row and how often the row has changed,
 * so nothing is kept between two reads and any position can be continued exactly. Time is counted
 * in ticks of an hour from a fixed epoch: tick 0 is the shop as it opens; every later tick changes
 * some users and products and adds purchases. Private to the source "sample".
 */
#ifndef CONNECTORS_SOURCES_SAMPLE_SHOP_H
#define CONNECTORS_SOURCES_SAMPLE_SHOP_H

#include "connectors/data/batch.h"

/* Together they keep every product of two of them in 64 bits. */
#define SHOP_MAX_ROWS    100000000
#define SHOP_MAX_UPDATES 1000000
#define SHOP_MAX_TICK    10000000 /* 1,140 years of hours */

struct sample_config {
    int64_t rows, seed, updates_per_run;
    int64_t batch_rows;     /* checkpoint after so many; 0 = after a full batch */
    int64_t batch_delay_ms; /* pause after each */
};

enum shop_stream_id { USERS, PRODUCTS, PURCHASES, SHOP_STREAMS };

/* One version of one row. */
struct shop_row {
    const struct sample_config *config;
    int64_t number;  /* from 0 */
    int64_t tick;    /* in which it got this version */
    int64_t version; /* 0 = as the shop opened */
    uint64_t fixed;  /* where values that never change come from */
    uint64_t fresh;  /* where values that change with the version come from */
};

struct shop_column {
    struct column column;
    /* Puts nothing for NULL. */
    void (*put)(struct batch *b, size_t column, const struct shop_row *r);
};

/* The last column of every stream is updated_at. */
struct shop_stream {
    const char *name;
    const struct shop_column *columns;
    size_t n_columns;
    size_t key[2];
    size_t n_key;
};

extern const struct shop_stream shop_streams[SHOP_STREAMS];

/* Rows there are at the end of `tick`, and rows that each tick after the first changes or adds. */
int64_t shop_rows(const struct sample_config *c, enum shop_stream_id stream, int64_t tick);
int64_t shop_changes(const struct sample_config *c, enum shop_stream_id stream);

/* Number of the row that is the `k`th change of `tick`, which is not 0. */
int64_t shop_changed_row(const struct sample_config *c, enum shop_stream_id stream, int64_t tick,
                         int64_t k);

/* The row as it was at the end of `tick`. */
struct shop_row shop_row_at(const struct sample_config *c, enum shop_stream_id stream,
                            int64_t number, int64_t tick);

#endif
