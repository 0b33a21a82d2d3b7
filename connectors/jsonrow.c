#include "connectors/jsonrow.h"

#include <stdlib.h>
#include <string.h>

#include "connectors/base/text.h"

struct column_type jsonrow_type(enum jsonread_token token, const struct jsonread *json,
                                struct slice raw)
{
    int64_t ignored;

    switch (token) {
    case JSONREAD_TRUE:
    case JSONREAD_FALSE:
        return type_plain(TYPE_BOOL);
    case JSONREAD_NUMBER:
        if (json->is_integer && text_to_int64(raw.ptr, raw.len, &ignored))
            return type_plain(TYPE_INT);
        return type_plain(TYPE_DECIMAL);
    case JSONREAD_STRING:
        return type_plain(TYPE_STRING);
    case JSONREAD_OBJECT:
    case JSONREAD_ARRAY:
    case JSONREAD_OBJECT_END:
    case JSONREAD_ARRAY_END:
    case JSONREAD_KEY:
    case JSONREAD_NULL:
    case JSONREAD_END:
        break;
    }
    return type_plain(TYPE_JSON);
}

/* ------------------------------------------------------------------------ cells */

static bool is_special(struct slice text)
{
    static const char *const specials[] = {"NaN", "Infinity", "-Infinity"};

    for (size_t i = 0; i < sizeof specials / sizeof *specials; i++) {
        if (text.len == strlen(specials[i]) && !memcmp(text.ptr, specials[i], text.len))
            return true;
    }
    return false;
}

/* A string in a column that is neither string nor json. Dates and the like are always strings in
 * JSON; a guessed number or bool was never one, but for the numbers that JSON cannot write. */
static void put_string(struct batch *rows, size_t column, bool declared, enum type type,
                       struct slice text, struct slice raw)
{
    bool guessed = !declared && (type == TYPE_INT || type == TYPE_BOOL || type == TYPE_DECIMAL);

    if (guessed && !(type == TYPE_DECIMAL && is_special(text)))
        batch_put_odd(rows, column, REASON_TYPE, raw.ptr, raw.len);
    else
        batch_put_parsed(rows, column, text.ptr, text.len);
}

static void put_truth(struct batch *rows, size_t column, enum type type, bool v, struct slice raw)
{
    if (type == TYPE_BOOL)
        batch_put_bool(rows, column, v);
    else
        batch_put_odd(rows, column, REASON_TYPE, raw.ptr, raw.len);
}

static void put_number(struct batch *rows, size_t column, bool declared, enum type type,
                       const struct jsonread *json, struct slice raw)
{
    int64_t v;

    if (type == TYPE_INT && json->is_integer && text_to_int64(raw.ptr, raw.len, &v))
        batch_put_int64(rows, column, v);
    else if (type == TYPE_INT || type == TYPE_DECIMAL || type == TYPE_FLOAT || declared)
        batch_put_parsed(rows, column, raw.ptr, raw.len);
    else
        batch_put_odd(rows, column, REASON_TYPE, raw.ptr, raw.len);
}

/* A scalar token, not null, with its text as in `json->text` and `raw` as written; or a whole
 * object or array, whose text is `raw`. */
static void put_cell(struct batch *rows, size_t column, bool declared, enum jsonread_token token,
                     const struct jsonread *json, struct slice raw)
{
    enum type type = batch_schema(rows)->columns[column].type.type;
    bool nested = token == JSONREAD_OBJECT || token == JSONREAD_ARRAY;
    bool as_written = type == TYPE_JSON || (type == TYPE_STRING && token != JSONREAD_STRING);

    if (type != TYPE_JSON && token == JSONREAD_STRING && json->has_lone_surrogate)
        batch_put_odd(rows, column, REASON_ENCODING, raw.ptr, raw.len);
    else if (type != TYPE_JSON && nested)
        batch_put_odd(rows, column, REASON_TYPE, raw.ptr, raw.len);
    else if (as_written)
        batch_put_text(rows, column, raw.ptr, raw.len);
    else if (type == TYPE_STRING)
        batch_put_text(rows, column, json->text.ptr, json->text.len);
    else if (token == JSONREAD_STRING)
        put_string(rows, column, declared, type, json->text, raw);
    else if (token == JSONREAD_NUMBER)
        put_number(rows, column, declared, type, json, raw);
    else
        put_truth(rows, column, type, token == JSONREAD_TRUE, raw);
}

static void put_base16(struct jsonrow *r, struct batch *rows, size_t column, struct slice raw)
{
    struct slice text = r->json.text;

    buf_clear(&r->text);
    if (text_unhex(&r->text, text.ptr, text.len))
        batch_put_text(rows, column, r->text.data, r->text.len);
    else
        batch_put_odd(rows, column, REASON_PARSE, raw.ptr, raw.len);
}

static bool is_base16(const struct jsonrow *r, const struct batch *rows, size_t column)
{
    return column < r->n_base16 && r->base16[column] &&
           batch_schema(rows)->columns[column].type.type == TYPE_BYTES;
}

/* ------------------------------------------------------------------------- rows */

void jsonrow_init(struct jsonrow *r, struct bind *bind)
{
    *r = (struct jsonrow){.bind = bind, .text = BUF_INIT(JSONREAD_MAX_STRING)};
    jsonread_init(&r->json);
}

void jsonrow_release(struct jsonrow *r)
{
    jsonread_release(&r->json);
    buf_release(&r->text);
    free(r->seen);
    free(r->guess);
}

/* Room for marks of all columns that the schema has by now. */
static void follow_schema(struct jsonrow *r)
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
static long find_member(struct jsonrow *r, size_t *at, struct slice name)
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

static int skip_member(struct jsonrow *r, enum jsonread_token *out, struct slice *out_raw,
                       struct error *err)
{
    if (jsonread_next(&r->json, out, err) < 0)
        return -1;
    return jsonread_skip(&r->json, *out, out_raw, err);
}

/* Reads the value of a member that has a column. */
static int put_member(struct jsonrow *r, struct batch *rows, size_t column, struct error *err)
{
    enum jsonread_token token;
    struct slice raw;

    if (skip_member(r, &token, &raw, err) < 0)
        return -1;
    if (r->seen[column] == r->n_records)
        return error_set(err, ERR_DATA, "the member \"%s\" stands there twice",
                         r->bind->schema->columns[column].name);
    r->seen[column] = r->n_records;
    if (token == JSONREAD_STRING && is_base16(r, rows, column))
        put_base16(r, rows, column, raw);
    else if (token != JSONREAD_NULL)
        put_cell(rows, column, r->bind->declared[column], token, &r->json, raw);
    return 0;
}

/* A member without a column; its name is the scanner's text. */
static int check_closed(struct jsonrow *r, struct error *err)
{
    struct column_type ignored;

    if (!r->closed)
        return 0;
    buf_clear(&r->text);
    buf_put(&r->text, r->json.text.ptr, r->json.text.len);
    if (r->bind->declared_type(r->bind->arg, buf_str(&r->text), &ignored))
        return 0;
    return error_set(err, ERR_DATA,
                     "the member \"%.200s\" is not in the schema, which allows no others",
                     buf_str(&r->text));
}

/* A member that must be there and is not. */
static int check_required(const struct jsonrow *r, struct error *err)
{
    for (size_t i = 0; i < r->n_required; i++) {
        size_t column = r->required[i];

        if (r->seen[column] != r->n_records)
            return error_set(err, ERR_DATA, "the required member \"%s\" is missing",
                             r->bind->schema->columns[column].name);
    }
    return 0;
}

static int put_members(struct jsonrow *r, struct batch *rows, bool *out_unknown, struct error *err)
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
        if (column == BIND_UNKNOWN && check_closed(r, err) < 0)
            return -1;
        *out_unknown |= column == BIND_UNKNOWN;
        rc = column >= 0 ? put_member(r, rows, (size_t)column, err)
                         : skip_member(r, &token, &raw, err);
        if (rc < 0)
            return -1;
    }
}

/* Gives every unknown member of the record, which is known to be whole, a column. No column is made
 * before it has a value. */
static int meet_members(struct jsonrow *r, struct slice record, struct error *err)
{
    enum jsonread_token token;
    struct slice raw;
    long column;

    jsonread_start(&r->json, record.ptr, record.len);
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
            bind_add(r->bind, buf_str(&r->text), r->text.len, jsonrow_type(token, &r->json, raw),
                     &column, err) < 0)
            return -1;
    }
}

int jsonrow_put(struct jsonrow *r, struct slice record, struct batch *rows,
                enum jsonrow_outcome *out, struct error *why, struct error *err)
{
    enum jsonread_token token;
    bool unknown = false;

    *out = JSONROW_BAD;
    follow_schema(r);
    r->n_records++;
    jsonread_start(&r->json, record.ptr, record.len);
    if (jsonread_next(&r->json, &token, why) < 0)
        return 0;
    if (token != JSONREAD_OBJECT) {
        (void)error_set(why, ERR_DATA, "this is not a JSON object");
        return 0;
    }
    if (put_members(r, rows, &unknown, why) < 0 || check_required(r, why) < 0)
        return 0;
    if (unknown && !bind_ignores(r->bind) && meet_members(r, record, err) < 0)
        return -1;
    if (r->bind->schema->n_columns > batch_schema(rows)->n_columns) {
        batch_drop_row(rows);
        *out = JSONROW_WIDENED;
        return 0;
    }
    batch_end_row(rows);
    *out = JSONROW_PUT;
    return 0;
}
