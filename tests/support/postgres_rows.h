/*
 * postgres_rows.h - rows for a table "t" of columns c0, c1, ... of a test's database.
 */
#ifndef TESTS_SUPPORT_POSTGRES_ROWS_H
#define TESTS_SUPPORT_POSTGRES_ROWS_H

#include "connectors/data/batch.h"
#include "tests/support/postgres_fixture.h"

/* A batch whose columns go there. A test may change everything before it sends. */
struct rows {
    struct postgres_fixture *f;
    size_t n;
    struct column *of_batch;
    struct schema schema;
    struct batch *batch;
    struct sql_column *columns;
    struct sql_bulk_column *fill;
    struct sql_table table;
    struct sql_bulk bulk;
    int64_t inserted;
    struct error err;
};

void rows_init(struct rows *r, struct postgres_fixture *f, const struct column_type *types,
               size_t n);
void rows_init_plain(struct rows *r, struct postgres_fixture *f, enum type a, enum type b);
void rows_free(struct rows *r);
/* One row of canonical texts; NULL is NULL. */
void rows_put(struct rows *r, const char *const *cells);
/* What the driver makes of the batch: 0, or -1 with r->err. */
int rows_send(struct rows *r);

#endif
