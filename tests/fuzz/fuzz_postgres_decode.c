/*
 * Values as a hostile server sends them: the first byte chooses the form, the rest is the value.
 * What is accepted is a value of its type that can be written as canonical text.
 */
#include <string.h>

#include "connectors/sql/postgres_decode.h"
#include "tests/fuzz/fuzz.h"

static const enum type types[] = {
    [POSTGRES_FORM_NONE] = TYPE_STRING,
    [POSTGRES_FORM_BOOL] = TYPE_BOOL,
    [POSTGRES_FORM_INT2] = TYPE_INT,
    [POSTGRES_FORM_INT4] = TYPE_INT,
    [POSTGRES_FORM_INT8] = TYPE_INT,
    [POSTGRES_FORM_OID] = TYPE_INT,
    [POSTGRES_FORM_FLOAT4] = TYPE_FLOAT,
    [POSTGRES_FORM_FLOAT8] = TYPE_FLOAT,
    [POSTGRES_FORM_NUMERIC] = TYPE_DECIMAL,
    [POSTGRES_FORM_TEXT] = TYPE_STRING,
    [POSTGRES_FORM_BYTES] = TYPE_BYTES,
    [POSTGRES_FORM_DATE] = TYPE_DATE,
    [POSTGRES_FORM_TIME] = TYPE_TIME,
    [POSTGRES_FORM_TIMESTAMP] = TYPE_TIMESTAMP,
    [POSTGRES_FORM_TIMESTAMPTZ] = TYPE_TIMESTAMPTZ,
    [POSTGRES_FORM_INTERVAL] = TYPE_INTERVAL,
    [POSTGRES_FORM_UUID] = TYPE_UUID,
    [POSTGRES_FORM_JSON] = TYPE_JSON,
    [POSTGRES_FORM_JSONB] = TYPE_JSON,
    [POSTGRES_FORM_ARRAY] = TYPE_JSON,
};
#define N_FORMS (sizeof types / sizeof *types)

static void check_cell(enum postgres_form form, const char *p, size_t n, struct buf *scratch)
{
    struct column column = {.name = "c", .type = type_plain(types[form]), .source_type = ""};
    struct schema schema = {&column, 1, NULL, 0};
    struct batch *rows = batch_new(&schema);
    struct buf text = BUF_INIT((size_t)64 << 20);
    struct column_view v;
    double special;

    if (postgres_decode_cell(form, p, n, scratch, rows, 0)) {
        batch_end_row(rows);
        v = batch_column(rows, 0);
        if (column_has(&v, 0)) {
            batch_cell_text(rows, 0, 0, &text);
            MUST(!text.failed);
            if (form == POSTGRES_FORM_NUMERIC)
                MUST(value_is_canonical_decimal(buf_str(&text), text.len) ||
                     value_parse_float(buf_str(&text), text.len, &special));
            if (form == POSTGRES_FORM_ARRAY)
                MUST(value_is_json(buf_str(&text), text.len));
        }
    }
    batch_free(rows);
    buf_release(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf scratch = BUF_INIT(BATCH_MAX_VALUE);
    struct sql_value key;
    enum postgres_form form;
    char *p;
    int64_t cursor;
    bool exact;

    if (size == 0)
        return 0;
    form = (enum postgres_form)(data[0] % N_FORMS);
    /* A copy of exactly this size, so that reading beyond it is seen. */
    p = malloc(size > 1 ? size - 1 : 1);
    MUST(p);
    memcpy(p, data + 1, size - 1);
    check_cell(form, p, size - 1, &scratch);
    if (postgres_decode_key(form, p, size - 1, &scratch, &key))
        MUST(key.kind != SQL_NULL);
    if (postgres_decode_cursor(form, p, size - 1, &cursor, &exact))
        MUST(exact || cursor == VALUE_INFINITY - 1);
    free(p);
    buf_release(&scratch);
    return 0;
}
