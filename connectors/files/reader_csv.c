#include <stdio.h>

#include "connectors/files/cell.h"
#include "connectors/files/reader_rows.h"

#define DETAIL_BYTES 512

static void reject(const struct reader *r, struct batch *rows, enum reason reason, const char *why)
{
    const struct csv_record *rec = &r->csv.record;
    char detail[DETAIL_BYTES];

    snprintf(detail, sizeof detail, "%s line %lld, column %zu: %s", r->name, (long long)rec->line,
             rec->n_fields ? rec->n_fields : 1, why);
    batch_reject_row(rows, reason, detail, rec->raw, rec->n_raw);
}

static void reject_ragged(const struct reader *r, struct batch *rows)
{
    char why[96];

    snprintf(why, sizeof why, "expected %zu fields, found %zu", r->n_names, r->csv.record.n_fields);
    reject(r, rows, REASON_PARSE, why);
}

static void reject_long(const struct reader *r, struct batch *rows)
{
    char why[128];

    snprintf(why, sizeof why, "the line of %llu bytes is longer than the limit of %zu",
             (unsigned long long)r->csv.record.n_bytes, r->dialect.max_line_bytes);
    reject(r, rows, REASON_RECORD_TOO_LARGE, why);
}

static void put_field(struct reader *r, struct batch *rows, size_t column,
                      const struct csv_field *f)
{
    bool declared = r->bind->declared[column];
    struct slice s;

    if (!f->quoted && cell_is_null(r->dialect.null_values, f->ptr, f->len))
        return;
    s = csv_field_text(f, &r->dialect, &r->text);
    cell_put_text(rows, column, declared, s.ptr, s.len);
}

static void put_record(struct reader *r, struct batch *rows)
{
    const struct csv_record *rec = &r->csv.record;

    if (rec->n_fields != r->n_names) {
        reject_ragged(r, rows);
        return;
    }
    for (size_t i = 0; i < rec->n_fields; i++) {
        if (r->columns[i] >= 0)
            put_field(r, rows, (size_t)r->columns[i], &rec->fields[i]);
    }
    batch_end_row(rows);
}

int reader_fill_csv(struct reader *r, struct batch *rows, enum reader_outcome *out,
                    struct error *err)
{
    enum csv_outcome outcome = CSV_RECORD;

    while (!batch_is_full(rows)) {
        if (!r->again && csv_next(&r->csv, &outcome, err) < 0)
            return -1;
        r->again = false;
        switch (outcome) {
        case CSV_RECORD:
            put_record(r, rows);
            break;
        case CSV_BROKEN_QUOTE:
            reject(r, rows, REASON_PARSE, "the quotes of this field are broken");
            break;
        case CSV_TOO_LONG:
            reject_long(r, rows);
            break;
        case CSV_END:
        case CSV_OPEN:
            *out = outcome == CSV_END ? READER_END : READER_OPEN;
            return 0;
        }
    }
    *out = READER_FULL;
    return 0;
}
