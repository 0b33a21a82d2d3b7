#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/files/cell.h"
#include "connectors/files/infer.h"
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

/* Room for marks of all columns that the schema has by now. */
static void follow_schema(struct reader *r)
{
    size_t n = r->bind->schema->n_columns;

    if (n <= r->n_seen)
        return;
    r->seen = xrealloc(r->seen, n * sizeof *r->seen);
    memset(r->seen + r->n_seen, 0, (n - r->n_seen) * sizeof *r->seen);
    r->guess = xrealloc(r->guess, n * sizeof *r->guess);
    r->n_seen = n;
}

static bool is_named(const struct bind *b, long column, struct slice name)
{
    const char *have = b->schema->columns[column].name;

    return strlen(have) == name.len && !memcmp(have, name.ptr, name.len);
}

/* The column of a member. Most records have the members of the one before in its order; *at counts
 * those found so far. */
static long find_member(struct reader *r, size_t *at, struct slice name)
{
    long column;

    if (*at < r->n_guess && is_named(r->bind, r->guess[*at], name))
        return r->guess[(*at)++];
    column = bind_find(r->bind, name.ptr, name.len);
    if (column >= 0 && *at < r->n_seen) {
        r->guess[(*at)++] = column;
        r->n_guess = *at;
    }
    return column;
}

static int skip_member(struct reader *r, enum jsonread_token *out, struct slice *out_raw,
                       struct error *err)
{
    if (jsonread_next(&r->json, out, err) < 0)
        return -1;
    return jsonread_skip(&r->json, *out, out_raw, err);
}

/* Reads the value of a member that has a column. */
static int put_member(struct reader *r, struct batch *rows, size_t column, struct error *err)
{
    enum jsonread_token token;
    struct slice raw;

    if (skip_member(r, &token, &raw, err) < 0)
        return -1;
    if (r->seen[column] == r->n_records)
        return error_set(err, ERR_DATA, "the member \"%s\" stands there twice",
                         r->bind->schema->columns[column].name);
    r->seen[column] = r->n_records;
    if (token != JSONREAD_NULL)
        cell_put_json(rows, column, r->bind->declared[column], token, &r->json, raw);
    return 0;
}

static int put_members(struct reader *r, struct batch *rows, bool *out_unknown, struct error *err)
{
    size_t at = 0;

    for (;;) {
        enum jsonread_token token;
        struct slice raw;
        long column;
        int rc;

        if (jsonread_next(&r->json, &token, err) < 0)
            return -1;
        if (token != JSONREAD_KEY)
            return jsonread_next(&r->json, &token, err); /* nothing may stand behind the object */
        if (memchr(r->json.text.ptr, '\0', r->json.text.len))
            return error_set(err, ERR_DATA, "the name of a member has a NUL character");
        column = find_member(r, &at, r->json.text);
        *out_unknown |= column == BIND_UNKNOWN;
        rc = column >= 0 ? put_member(r, rows, (size_t)column, err)
                         : skip_member(r, &token, &raw, err);
        if (rc < 0)
            return -1;
    }
}

/* Gives every unknown member of the current line, which is known to be whole, a column. No column
 * is made before it has a value. */
static int meet_members(struct reader *r, struct error *err)
{
    enum jsonread_token token;
    struct slice raw;
    long column;

    jsonread_start(&r->json, r->ndjson.text.ptr, r->ndjson.text.len);
    if (jsonread_next(&r->json, &token, err) < 0)
        return -1;
    for (;;) {
        if (jsonread_next(&r->json, &token, err) < 0)
            return -1;
        if (token != JSONREAD_KEY)
            return 0;
        /* The value overwrites a name that lies in the scanner's own buffer. */
        buf_clear(&r->text);
        buf_put(&r->text, r->json.text.ptr, r->json.text.len);
        if (skip_member(r, &token, &raw, err) < 0)
            return -1;
        column = bind_find(r->bind, buf_str(&r->text), r->text.len);
        if (column == BIND_UNKNOWN && token != JSONREAD_NULL &&
            bind_add(r->bind, buf_str(&r->text), r->text.len,
                     infer_type_of_token(token, &r->json, raw), &column, err) < 0)
            return -1;
    }
}

/* Puts the current line; *out_widened when the schema had to become wider first. Fails only when
 * the stream must stop. */
static int put_line(struct reader *r, struct batch *rows, bool *out_widened, struct error *err)
{
    struct error why = ERROR_INIT;
    enum jsonread_token token;
    bool unknown = false;

    follow_schema(r);
    r->n_records++;
    jsonread_start(&r->json, r->ndjson.text.ptr, r->ndjson.text.len);
    if (jsonread_next(&r->json, &token, &why) == 0 && token != JSONREAD_OBJECT) {
        reject(r, rows, REASON_BAD_JSON_LINE, "this is not a JSON object");
        return 0;
    }
    if (why.code != ERR_NONE || put_members(r, rows, &unknown, &why) < 0) {
        reject(r, rows, REASON_BAD_JSON_LINE, why.message);
        return 0;
    }
    if (unknown && !bind_ignores(r->bind) && meet_members(r, err) < 0)
        return error_wrap(err, "%s line %lld", r->name, (long long)r->ndjson.line);
    *out_widened = r->bind->schema->n_columns > batch_schema(rows)->n_columns;
    r->again = *out_widened;
    if (*out_widened)
        batch_drop_row(rows);
    else
        batch_end_row(rows);
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
