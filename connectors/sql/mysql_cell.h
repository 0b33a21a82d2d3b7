/*
 * mysql_cell.h - the cells of a bulk insert as values, and as fields of LOAD DATA.
 *
 * Pure: tested without a server. Belongs to one thread at a time.
 */
#ifndef CONNECTORS_SQL_MYSQL_CELL_H
#define CONNECTORS_SQL_MYSQL_CELL_H

#include "connectors/base/text.h"
#include "connectors/data/batch.h"
#include "connectors/sql/dialect.h"

struct mysql_place;

/* Cells that MariaDB may also be given as numbers: days, or microseconds. */
enum mysql_moment { MYSQL_NO_MOMENT, MYSQL_DATE, MYSQL_INSTANT };

typedef struct sql_value mysql_read_cell(const struct mysql_place *p, size_t row, char *scratch);

/* Where the cells of one column of the table come from. */
struct mysql_place {
    mysql_read_cell *read; /* of a row that has a value */
    bool has_view, key;
    bool is_shared;           /* every row has the value `shared` */
    enum sql_kind holds;      /* of every cell that has a value */
    enum mysql_moment moment; /* then the cell is also view.ints[row], or shared_moment */
    struct column_view view;
    size_t from;
    struct column_type type, to; /* of the batch, of the table */
    struct sql_value shared;     /* or the first number of an order */
    int64_t shared_moment;
    const char *const *meta;
    const struct batch *rows;
    struct arena *mem;
};

/* Fills out[into->n_columns]; converted cells are put into `mem`. */
void mysql_place_cells(const struct sql_bulk *what, const struct batch *rows, struct arena *mem,
                       struct mysql_place *out);

/* Valid while the batch is, and `scratch` of VALUE_TEXT_BYTES is not used again. */
static inline struct sql_value mysql_cell(const struct mysql_place *p, size_t row, char *scratch)
{
    if (p->has_view && !column_has(&p->view, row))
        return (struct sql_value){.kind = SQL_NULL};
    return p->read(p, row, scratch);
}

/* Appends a field: FIELDS TERMINATED BY tab ESCAPED BY backslash LINES TERMINATED BY newline. False
 * for what no column holds: NaN and the infinities. */
bool mysql_put_field(const struct sql_value *v, struct buf *out);

#endif
