#include <stdio.h>

#include "connectors/files/reader_rows.h"

#define DETAIL_BYTES (ERROR_MESSAGE_BYTES + 512)

static void reject(const struct reader *r, struct batch *rows, enum reason reason, const char *why)
{
    char detail[DETAIL_BYTES];

    snprintf(detail, sizeof detail, "%s line %lld: %s", r->name, (long long)r->ndjson.line, why);
    batch_drop_row(rows);
    batch_reject_row(rows, reason, detail, r->ndjson.text.ptr, r->ndjson.text.len);
}

static void reject_long(const struct reader *r, struct batch *rows)
{
    char why[128];

    snprintf(why, sizeof why, "the line of %llu bytes is longer than the limit of %zu",
             (unsigned long long)r->ndjson.n_bytes, r->dialect.max_line_bytes);
    reject(r, rows, REASON_RECORD_TOO_LARGE, why);
}

/* Puts the current line; *out_widened when the schema had to become wider first. Fails only when
 * the stream must stop. */
static int put_line(struct reader *r, struct batch *rows, bool *out_widened, struct error *err)
{
    struct error why = ERROR_INIT;
    enum jsonrow_outcome outcome;

    if (jsonrow_put(&r->row, r->ndjson.text, rows, &outcome, &why, err) < 0)
        return error_wrap(err, "%s line %lld", r->name, (long long)r->ndjson.line);
    if (outcome == JSONROW_BAD)
        reject(r, rows, REASON_BAD_JSON_LINE, why.message);
    *out_widened = outcome == JSONROW_WIDENED;
    r->again = *out_widened;
    return 0;
}

int reader_fill_ndjson(struct reader *r, struct batch *rows, enum reader_outcome *out,
                       struct error *err)
{
    enum ndjson_outcome outcome = NDJSON_LINE;
    bool widened = false;

    while (!batch_is_full(rows)) {
        if (!r->again && ndjson_next(&r->ndjson, &outcome, err) < 0)
            return -1;
        r->again = false;
        switch (outcome) {
        case NDJSON_LINE:
            if (put_line(r, rows, &widened, err) < 0)
                return -1;
            break;
        case NDJSON_TOO_LONG:
            reject_long(r, rows);
            break;
        case NDJSON_END:
        case NDJSON_OPEN:
            *out = outcome == NDJSON_END ? READER_END : READER_OPEN;
            return 0;
        }
        if (widened) {
            *out = READER_WIDENED;
            return 0;
        }
    }
    *out = READER_FULL;
    return 0;
}
