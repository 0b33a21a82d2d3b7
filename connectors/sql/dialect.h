/*
 * dialect.h - what differs between SQL databases: words as data, five calls as code.
 *
 * The engine (source.c, destination.c) is written once over these two. Everything that is text is a
 * field of a const `struct sql_dialect`, so the statements of all databases are tested without any
 * of them running; what must be code is a `struct sql_driver`. A connection belongs to one thread
 * at a time.
 */
#ifndef CONNECTORS_SQL_DIALECT_H
#define CONNECTORS_SQL_DIALECT_H

#include "connectors/base/buf.h"
#include "connectors/connector.h"
#include "connectors/data/type.h"
#include "connectors/sql/names.h"

enum sql_placeholder {
    SQL_PLACEHOLDER_DOLLAR,   /* $1 */
    SQL_PLACEHOLDER_NUMBERED, /* ?1: may be repeated */
    SQL_PLACEHOLDER_PLAIN,    /* ? */
};

/* How rows of one table change those of another. */
enum sql_update { SQL_UPDATE_FROM, SQL_UPDATE_JOIN };

/* How two values are compared so that NULL equals NULL. */
enum sql_differs { SQL_DIFFERS_IS_NOT, SQL_DIFFERS_DISTINCT, SQL_DIFFERS_SPACESHIP };

/* How a column becomes wider: by a statement, or by copying the table into a new one. */
enum sql_widen { SQL_WIDEN_ALTER, SQL_WIDEN_REBUILD };

/* How staged rows are merged by key where the table has a unique index of ours. */
enum sql_merge {
    SQL_MERGE_JOIN,   /* rewrite what differs, then insert what is missing */
    SQL_MERGE_UPSERT, /* one INSERT .. ON CONFLICT that says what it did */
};

/* How a staging table becomes empty when its rows are merged. */
enum sql_emptying {
    SQL_EMPTY_DELETE,    /* DELETE */
    SQL_EMPTY_ON_COMMIT, /* the database does it at the end of the transaction */
    SQL_EMPTY_DROP,      /* it is dropped and made again */
};

/* How a new generation takes the place of a live table that nothing depends on. */
enum sql_swap {
    SQL_SWAP_REMAKE,   /* two renames; what others attached is dropped and made again */
    SQL_SWAP_CARRY,    /* what others attached is made on the new table before; two renames */
    SQL_SWAP_EXCHANGE, /* one statement renames both; it commits, so it is announced before */
};

/* How values of one type become those of another. */
struct sql_conversion {
    enum type from, to;
    const char *text;
};

enum sql_create {
    SQL_CREATE_PLAIN, /* without a key: it is indexed when it is filled */
    SQL_CREATE_OURS,  /* as plain; nothing happens when the table is there */
    SQL_CREATE_KEYED, /* the same, with a primary key */
    SQL_CREATE_STAGE, /* temporary */
};

struct sql_table;
struct sql_column;

/* The least and the greatest value of a type; both 0 = every value. */
struct sql_range {
    int64_t min, max;
};

struct sql_dialect {
    const char *name;
    char quote; /* of identifiers; doubled inside names */
    enum sql_placeholder placeholder;
    enum sql_update update;
    enum sql_differs differs;
    enum sql_widen widen;
    enum sql_merge merge;
    enum sql_swap swap;
    struct names_rule names; /* what may be a name */
    size_t max_params;       /* per statement */
    bool types_are_any_text; /* of a column; quoted, they are types */
    bool has_schemas;        /* else a namespace becomes the prefix "ns__" of the table */
    bool ddl_in_transaction; /* else every DDL statement commits what went before */
    bool expand_rows;        /* no index serves (a, b) > (?, ?): sources write it out */
    bool binds_dependents;   /* views and keys mean a table itself, not whatever has its name */
    const char *begin, *commit, *rollback;
    const char *session[4]; /* run once when a destination is opened; ends with NULL */
    const char *lock_rows;  /* ends a SELECT that waits for whoever is writing its rows */
    const char *check_now;  /* run before rows go into a foreign table: checks do not wait for the
                               commit; or NULL */
    const char *short_wait[2]; /* statements that wait for readers do so for 5 s, while others wait
                                  behind them; and the wait of before. Or NULL */

    /* Builders in place of those of statement.h, which a builder can call with a copy of the
     * dialect that lacks it; NULL = those. `index` may be NULL. */
    void (*put_create)(const struct sql_dialect *d, const struct sql_table *t, enum sql_create how,
                       const char *index, struct buf *out);
    void (*put_add_column)(const struct sql_dialect *d, const struct sql_table *t,
                           const struct sql_column *column, struct buf *out);

    /* Statements, and parts of them. */
    const char *create_stage, *create_stage_end; /* around the columns of a temporary table */
    const char *drop_stage;
    enum sql_emptying empty_stage;
    bool loads_new_keys;     /* rows whose keys are new are loaded, which costs less than merging */
    const char *promote_key; /* {table} {index}: the key index becomes the primary key; or NULL,
                                else key columns are NOT NULL */
    const char *row_id[3];   /* names of the physical row number, in order of taste */
    const char *widen_column; /* {table} {column} {type} {using}; NULL with REBUILD */
    /* {column} as a value of the wider type, where {column}::{type} would alter it; the last one
     * has no text. Or NULL. */
    const struct sql_conversion *widen_using;
    /* {table} {column}: a statement that makes of what was converted the text we write. The last
     * one has none. Or NULL. */
    const struct sql_conversion *widen_after;
    const char *quote_value; /* {table} {column}: a query, the value as a literal, where a column
                                gets its default without a row being written; or NULL */
    bool json_by_text;       /* a column becomes text before it becomes JSON */
    bool float32_by_float;   /* a float of 32 bits becomes one of 64 before it becomes text */

    /* Types. */
    const char *type[TYPE_COUNT];     /* logical type -> column type */
    const char *decimal_with_scale;   /* printf of the scale, or NULL = unconstrained */
    const char *float32;              /* or NULL = as float */
    const char *key_type[TYPE_COUNT]; /* where a key column must differ, printf of its length in
                                         characters; NULL = same */
    const char *compare[TYPE_COUNT];  /* {column} as what tells different values apart; or NULL */
    /* Of a declared type; also by sources. NULL = none but those of `type` are known. */
    bool (*parse_type)(const char *text, struct column_type *out);

    /* Values that columns hold. What they do not hold goes to quarantine. */
    struct sql_range range[TYPE_COUNT];
    bool times_hold_infinity, float_holds_nan, float_holds_infinity, decimal_holds_nan;
    int64_t decimal_infinity_since;         /* version of the server, 0 = none does */
    size_t decimal_whole, decimal_fraction; /* digits of an unconstrained one; 0 = any number */
    bool text_refuses_nul;
    size_t json_depth; /* 0 = any */
    bool json_refuses_nul, json_refuses_surrogates;
    size_t json_exponent; /* greatest; 0 = any */
    size_t key_bytes;     /* of an index entry; 0 = any number */
    int time_digits;      /* behind the seconds' point, of foreign columns that do not say */

    /* Catalog. All bind schema and table ("" = the default schema) unless they say otherwise; where
     * a parameter cannot be repeated, both are bound as often as there are placeholders. */
    const char *schema_query;     /* binds schema: a row when it is there; NULL = no schemas */
    const char *tables_query;     /* binds schema: name, 1 for a table or 0 for something else that
                                     has the name, 1 when case does not matter */
    const char *columns_query;    /* name, type, key position or 0 */
    const char *dependents_query; /* name, kind of what depends on it and would not follow a swap;
                                     kind "foreign key" when it points at rows */
    const char *key_index_query;  /* name of our unique index, its columns as a JSON array */
    const char *attached_query;   /* with REMAKE: name, kind, SQL of indexes and triggers */
    const char *carry_query[3];   /* with CARRY; bind schema, live table, new table: 0 = before, 1 =
                                     with the renames; a statement */

    /* A cursor column as something that can be compared, {column}; NULL = it cannot be a cursor. */
    const char *cursor[TYPE_COUNT];
    /* Which rows have no cursor, {cursor} and {column}. */
    const char *cursor_is_null[TYPE_COUNT];
    /* A condition that an index can serve and that every row at or behind the bound fulfils:
     * {column}, {bound} = a date two days before it; NULL = none is needed. */
    const char *cursor_hint[TYPE_COUNT];
    /* A column as a condition of the user compares it, {column}; NULL = the plain column. */
    const char *filter[TYPE_COUNT];
};

extern const struct sql_dialect sql_sqlite;
extern const struct sql_dialect sql_postgres;
extern const struct sql_dialect sql_mysql;

/* Appends a quoted identifier: the only way in which a name gets into a statement. */
void sql_put_name(const struct sql_dialect *d, const char *name, struct buf *out);
/* The same with the schema in front where the dialect has schemas and `schema` is not "". */
void sql_put_table(const struct sql_dialect *d, const char *schema, const char *name,
                   struct buf *out);
/* The type of a column as the database has it. */
void sql_put_declared(const struct sql_dialect *d, const char *type, struct buf *out);
/* Appends the placeholder of parameter `number`, counted from 1. */
void sql_put_placeholder(const struct sql_dialect *d, size_t number, struct buf *out);
/* How many characters the text columns of this key may have each; 0 = any number. */
size_t sql_key_characters(const struct sql_dialect *d, const struct sql_table *t);
#define SQL_TYPE_BYTES 192
/* The type of a column of this table, as it stands in CREATE TABLE. */
void sql_column_type(const struct sql_dialect *d, const struct sql_table *t,
                     const struct sql_column *c, char out[static SQL_TYPE_BYTES]);
/* Appends a template with its holes filled: {table}, {column}, {index} are names, {type} text,
 * {using} another template. */
struct sql_holes {
    const char *schema, *table, *column, *index, *type;
    const char *prefix; /* before {column} */
    const char *value;  /* {using}: a template itself */
};
void sql_put_template(const struct sql_dialect *d, const char *text, const struct sql_holes *holes,
                      struct buf *out);
/* The text of the conversion, NULL when the list has none. */
__attribute__((pure)) const char *sql_conversion(const struct sql_conversion *list, enum type from,
                                                 enum type to);
/* What columns of this database do not hold, for people. */
void sql_tell_limits(const struct sql_dialect *d, tell_fn *tell, void *arg);
/* Digits before and behind the point that a decimal column holds; false = any number. */
bool sql_decimal_room(const struct sql_dialect *d, const struct sql_column *c, size_t *out_whole,
                      size_t *out_fraction);
/* The numbers in brackets of a declared type, "numeric(10,2)"; appends the rest of it. */
struct sql_digits {
    int n, first, second;
};
struct sql_digits sql_read_digits(const char *declared, struct buf *rest);
/* The logical type of a column that we did not create; STRING when its type says nothing. */
struct column_type sql_read_type(const struct sql_dialect *d, const char *declared);

/* ------------------------------------------------------------------ the five calls */

enum sql_kind { SQL_NULL, SQL_INT, SQL_REAL, SQL_TEXT, SQL_BLOB };

/* A parameter or a column of a result; bytes are borrowed. */
struct sql_value {
    enum sql_kind kind;
    int64_t number;
    double real;
    struct slice bytes;
    /* Of a parameter: the logical type of the column it is compared with; NULL = what the kind
     * says. With a DATE, TIMESTAMP or TIMESTAMPTZ an INT is days or microseconds, and the driver
     * binds it as the database's own date or timestamp. The text of a DECIMAL is bound as an exact
     * number where text would make the database compare inexactly. */
    const struct column_type *type;
};

static inline struct sql_value sql_int(int64_t v)
{
    return (struct sql_value){.kind = SQL_INT, .number = v};
}
/* NULL gives SQL NULL. */
struct sql_value sql_text(const char *s);
/* The text of a result column, "" for NULL; valid during the row callback. */
const char *sql_value_text(struct arena *mem, const struct sql_value *v);

enum sql_role {
    SQL_ROLE_DATA,
    SQL_ROLE_KEY,
    SQL_ROLE_STAMP, /* of ours, written with a row but no reason to rewrite it */
    SQL_ROLE_ORDER, /* of a staging table: the order in which its rows came */
};

struct sql_column {
    const char *name;
    struct column_type type;
    enum sql_role role;
    /* Of a column that others made: its type as the database says it; NULL = ours. */
    const char *declared;
    bool cast; /* text must be cast to that type on its way from the stage */
};

struct sql_table {
    const char *schema; /* "" = the default */
    const char *name;
    const struct sql_column *columns;
    size_t n_columns;
};

/* Where the values of one column of a bulk insert come from. */
enum sql_fill {
    SQL_FILL_COLUMN, /* of the batch, turned from its type into the type of the column */
    SQL_FILL_NULL,
    SQL_FILL_TEXT,  /* the same text in every row */
    SQL_FILL_INT,   /* the same number in every row */
    SQL_FILL_META,  /* meta[row] */
    SQL_FILL_ORDER, /* first_order + row */
};

struct sql_bulk_column {
    enum sql_fill fill;
    size_t from;             /* COLUMN: number in the batch */
    struct column_type type; /* COLUMN: of the batch */
    const char *text;
    int64_t number;
};

struct sql_bulk {
    const struct sql_table *into;
    const struct sql_bulk_column *fill; /* [into->n_columns] */
    bool temporary;                     /* `into` is a staging table */
    bool unseen; /* `into` is ours alone and no row of it is committed, nor waits to be: a driver
                  * may empty it if that makes loading cheaper */
    const bool *skip;        /* [rows] or NULL: rows to leave out */
    const char *const *meta; /* [rows] or NULL */
    int64_t first_order;
};

struct sql_conn; /* a driver embeds it first */

/* One row of a result; a failure ends the query and is returned by it. */
typedef int sql_row_fn(void *arg, const struct sql_value *row, size_t n, struct error *err);

struct sql_driver {
    int (*open)(const void *config, struct run *run, struct sql_conn **out, struct error *err);
    /* Runs one statement to its end; *out_changed is the number of rows it wrote, for DML. */
    int (*exec)(struct sql_conn *c, const char *sql, const struct sql_value *params, size_t n,
                int64_t *out_changed, struct error *err);
    int (*query)(struct sql_conn *c, const char *sql, const struct sql_value *params, size_t n,
                 sql_row_fn *each, void *arg, struct error *err);
    /* Inserts the rows of the batch and counts them. A driver may leave them under way while the
     * next call is a bulk into the same table; every other call ends what is under way first and
     * fails with what the database says of it, or when not every row arrived. */
    int (*bulk)(struct sql_conn *c, const struct sql_bulk *what, const struct batch *rows,
                int64_t *out_inserted, struct error *err);
    void (*close)(struct sql_conn *c); /* rolls back what is open */
};

struct sql_conn {
    const struct sql_driver *driver;
    const struct sql_dialect *dialect;
    int64_t version; /* of the server, as PostgreSQL counts (150004); 0 = unknown */
};

CHECKED static inline int sql_exec(struct sql_conn *c, const char *sql, struct error *err)
{
    int64_t ignored;
    return c->driver->exec(c, sql, NULL, 0, &ignored, err);
}

/* The first column of the only row as a number; 0 when there is no row or it is NULL. */
CHECKED int sql_query_int(struct sql_conn *c, const char *sql, int64_t *out, struct error *err);

#endif
