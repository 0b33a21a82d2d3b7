#include "connectors/filter.h"

#include <math.h>
#include <string.h>

#include "connectors/base/text.h"
#include "connectors/data/value.h"
#include "connectors/option.h"

static const char *const op_names[] = {
    [FILTER_EQ] = "eq",           [FILTER_NE] = "ne",
    [FILTER_LT] = "lt",           [FILTER_LE] = "le",
    [FILTER_GT] = "gt",           [FILTER_GE] = "ge",
    [FILTER_IN] = "in",           [FILTER_NOT_IN] = "not_in",
    [FILTER_IS_NULL] = "is_null", [FILTER_IS_NOT_NULL] = "is_not_null",
    [FILTER_OP_COUNT] = NULL,
};

/* How many values an operator takes. */
enum arity { ARITY_NONE, ARITY_ONE, ARITY_MANY };

static const enum arity arities[FILTER_OP_COUNT] = {
    [FILTER_EQ] = ARITY_ONE,           [FILTER_NE] = ARITY_ONE,      [FILTER_LT] = ARITY_ONE,
    [FILTER_LE] = ARITY_ONE,           [FILTER_GT] = ARITY_ONE,      [FILTER_GE] = ARITY_ONE,
    [FILTER_IN] = ARITY_MANY,          [FILTER_NOT_IN] = ARITY_MANY, [FILTER_IS_NULL] = ARITY_NONE,
    [FILTER_IS_NOT_NULL] = ARITY_NONE,
};

const char *filter_op_name(enum filter_op op)
{
    return op_names[op];
}

/* One element as the user wrote it. */
struct condition {
    const char *column, *op;
    const struct doc *value, *values;
};

static void check_value(const struct doc *value, const char *pointer, struct problems *problems)
{
    const char *text = doc_string(value, "");

    if (doc_is(value, DOC_ARRAY) || doc_is(value, DOC_OBJECT))
        problems_add(problems, pointer, "wrong_type", "expected one value, found %s",
                     doc_kind_name(doc_kind(value)));
    else if (doc_is(value, DOC_NULL))
        problems_add(problems, pointer, "wrong_type",
                     "null equals nothing; is_null and is_not_null ask for it");
    else if (strlen(text) > FILTER_MAX_VALUE_BYTES)
        problems_add(problems, pointer, "too_long", "a value has at most %d bytes",
                     FILTER_MAX_VALUE_BYTES);
}

static void check_values(const struct doc *values, const char *pointer, struct problems *problems)
{
    if (!doc_is(values, DOC_ARRAY)) {
        problems_add(problems, pointer, "wrong_type", "expected an array of values, found %s",
                     doc_kind_name(doc_kind(values)));
        return;
    }
    if (doc_count(values) == 0)
        problems_add(problems, pointer, "too_short", "expected at least one value");
    for (size_t i = 0; i < doc_count(values) && i < FILTER_MAX_VALUES; i++)
        check_value(doc_at(values, i), arena_printf(problems->mem, "%s/%zu", pointer, i), problems);
}

/* clang-format off */
static const struct option condition_options[] = {
    OPTION(struct condition, column, .title = "Column", .flags = OPTION_REQUIRED, .min = 1,
           .max = 4096, .help = "Column of the stream; it need not be selected."),
    OPTION(struct condition, op, .title = "Operator", .flags = OPTION_REQUIRED, .choices = op_names,
           .help = "How the column is compared with the value."),
    OPTION(struct condition, value, .title = "Value", .check = check_value,
           .help = "What eq, ne, lt, le, gt and ge compare with, of the type of the column."),
    OPTION(struct condition, values, .title = "Values", .check = check_values,
           .help = "What in and not_in compare with."),
    OPTIONS_END,
};
/* clang-format on */

static enum filter_op find_op(const char *name)
{
    int op = 0;

    /* The option table lets only these words through. */
    while (op < FILTER_OP_COUNT - 1 && strcmp(op_names[op], name) != 0)
        op++;
    return (enum filter_op)op;
}

static const char *below(struct problems *problems, const char *pointer, const char *member)
{
    return arena_printf(problems->mem, "%s/%s", pointer, member);
}

static void check_arity(const struct condition *c, const char *pointer, struct problems *problems)
{
    enum arity arity = arities[find_op(c->op)];

    if (arity == ARITY_ONE && !c->value)
        problems_add(problems, below(problems, pointer, "value"), "required",
                     "%s needs a \"value\"; for rows that have none there is is_null", c->op);
    if (arity == ARITY_MANY && !c->values)
        problems_add(problems, below(problems, pointer, "values"), "required",
                     "%s needs \"values\", an array", c->op);
    if (arity != ARITY_ONE && c->value)
        problems_add(problems, below(problems, pointer, "value"), "conflict",
                     "%s takes no \"value\"", c->op);
    if (arity != ARITY_MANY && c->values)
        problems_add(problems, below(problems, pointer, "values"), "conflict",
                     "%s takes no \"values\"", c->op);
}

void filters_check(const struct doc *filter, const char *pointer, struct problems *problems)
{
    size_t n_values = 0;

    if (!doc_is(filter, DOC_ARRAY)) {
        problems_add(problems, pointer, "wrong_type", "expected an array of conditions, found %s",
                     doc_kind_name(doc_kind(filter)));
        return;
    }
    if (doc_count(filter) > FILTER_MAX_CONDITIONS) {
        problems_add(problems, pointer, "too_long", "expected at most %d conditions, found %zu",
                     FILTER_MAX_CONDITIONS, doc_count(filter));
        return;
    }
    for (size_t i = 0; i < doc_count(filter); i++) {
        const char *at = arena_printf(problems->mem, "%s/%zu", pointer, i);
        struct condition c = {.column = NULL};

        if (options_decode(condition_options, doc_at(filter, i), at, &c, problems->mem, problems))
            check_arity(&c, at, problems);
        n_values += c.value ? 1 : doc_count(c.values);
    }
    if (n_values > FILTER_MAX_VALUES)
        problems_add(problems, pointer, "too_long", "expected at most %d values in all, found %zu",
                     FILTER_MAX_VALUES, n_values);
}

/* -------------------------------------------------------------------- values */

static bool take_text(struct arena *mem, const struct buf *text, struct filter_value *out)
{
    out->text = (struct slice){arena_memdup(mem, buf_str(text), text->len), text->len};
    return !text->failed;
}

/* Times and UUIDs in the one form in which equal ones are equal text. */
static bool read_canonical(enum type type, const char *s, struct arena *mem,
                           struct filter_value *out)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT((size_t)4 * FILTER_MAX_VALUE_BYTES);
    char digits[VALUE_TEXT_BYTES];
    unsigned char uuid[16];
    int64_t us;
    size_t n = strlen(s);

    if (type == TYPE_TIME) {
        if (!value_parse_time(s, n, &us))
            return false;
        buf_put(&text, digits, value_format_time(us, digits));
    } else if (type == TYPE_UUID) {
        if (!value_parse_uuid(s, n, uuid))
            return false;
        buf_put(&text, digits, value_format_uuid(uuid, digits));
    } else if (type == TYPE_BYTES) {
        if (!text_unbase64(&text, s, n))
            return false;
    } else if (!value_put_decimal(&text, s, n)) {
        return false;
    }
    return take_text(mem, &text, out);
}

static bool read_text(enum type type, const char *s, struct arena *mem, struct filter_value *out)
{
    size_t n = strlen(s);

    switch (type) {
    case TYPE_INT:
        return text_to_int64(s, n, &out->number);
    case TYPE_DATE:
        return value_parse_date(s, n, &out->number);
    case TYPE_TIMESTAMP:
        return value_parse_timestamp(s, n, &out->number);
    case TYPE_TIMESTAMPTZ:
        return value_parse_timestamptz(s, n, &out->number);
    case TYPE_STRING:
        out->text = (struct slice){arena_strdup(mem, s), n};
        return true;
    case TYPE_DECIMAL:
    case TYPE_BYTES:
    case TYPE_TIME:
    case TYPE_UUID:
        return read_canonical(type, s, mem, out);
    case TYPE_BOOL:
    case TYPE_FLOAT:
    case TYPE_INTERVAL:
    case TYPE_JSON:
    case TYPE_COUNT:
        break;
    }
    return false;
}

static bool read_value(enum type type, const struct doc *d, struct arena *mem,
                       struct filter_value *out)
{
    char digits[VALUE_TEXT_BYTES];

    *out = (struct filter_value){0};
    switch (doc_kind(d)) {
    case DOC_BOOL:
        out->number = doc_bool(d, false);
        return type == TYPE_BOOL;
    case DOC_INT:
        out->number = doc_int(d, 0);
        out->real = doc_real(d, 0);
        if (type == TYPE_DECIMAL) {
            digits[text_from_int64(out->number, digits)] = '\0';
            return read_canonical(type, digits, mem, out);
        }
        return type == TYPE_INT || type == TYPE_FLOAT;
    case DOC_REAL:
        out->real = doc_real(d, 0);
        return type == TYPE_FLOAT && isfinite(out->real);
    case DOC_STRING:
        return read_text(type, doc_string(d, ""), mem, out);
    case DOC_NULL:
    case DOC_ARRAY:
    case DOC_OBJECT:
        break;
    }
    return false;
}

/* What a value for a column of this type looks like; NULL = nothing can be compared. */
static const char *expected(enum type type)
{
    static const char *const forms[TYPE_COUNT] = {
        [TYPE_BOOL] = "true or false",
        [TYPE_INT] = "an integer",
        [TYPE_DECIMAL] = "a decimal as text, such as \"10.50\", or an integer",
        [TYPE_FLOAT] = "a number",
        [TYPE_STRING] = "text",
        [TYPE_BYTES] = "bytes in base64",
        [TYPE_DATE] = "a date such as \"2024-01-31\"",
        [TYPE_TIME] = "a time such as \"12:30:00\"",
        [TYPE_TIMESTAMP] = "a timestamp without a zone, such as \"2024-01-31T12:30:00\"",
        [TYPE_TIMESTAMPTZ] = "an instant with a zone, such as \"2024-01-31T12:30:00Z\"",
        [TYPE_UUID] = "a UUID",
    };

    return forms[type];
}

/* ---------------------------------------------------------------- conditions */

static void resolve_value(const struct doc *d, const char *pointer, const struct row_filter *f,
                          struct arena *mem, struct filter_value *out, struct problems *problems)
{
    if (!read_value(f->type.type, d, mem, out))
        problems_add(problems, pointer, "wrong_type", "column \"%s\" is compared with %s, not %s",
                     f->column, expected(f->type.type),
                     doc_is(d, DOC_STRING) ? "this text" : doc_kind_name(doc_kind(d)));
}

static void resolve_values(const struct condition *c, const char *pointer, struct row_filter *f,
                           struct arena *mem, struct problems *problems)
{
    size_t n = c->value ? 1 : doc_count(c->values);
    struct filter_value *values = arena_array(mem, n, sizeof *values);

    if (c->value)
        resolve_value(c->value, below(problems, pointer, "value"), f, mem, &values[0], problems);
    for (size_t i = 0; !c->value && i < n; i++)
        resolve_value(doc_at(c->values, i),
                      arena_printf(problems->mem, "%s/values/%zu", pointer, i), f, mem, &values[i],
                      problems);
    f->values = values;
    f->n_values = n;
}

static void resolve_condition(const struct doc *d, const struct schema *schema, const char *pointer,
                              struct arena *mem, struct row_filter *out, struct problems *problems)
{
    struct condition c = {.column = NULL};
    bool ordered;
    long found;

    if (!options_decode(condition_options, d, pointer, &c, mem, problems))
        return;
    found = schema_find(schema, c.column);
    if (found < 0) {
        problems_add(problems, below(problems, pointer, "column"), "unknown_field",
                     "the stream has no column \"%s\"", c.column);
        return;
    }
    out->column = schema->columns[found].name;
    out->type = schema->columns[found].type;
    out->op = find_op(c.op);
    if (arities[out->op] == ARITY_NONE)
        return;
    ordered = out->op >= FILTER_LT && out->op <= FILTER_GE;
    if (!expected(out->type.type) || (ordered && out->type.type == TYPE_BOOL)) {
        problems_add(problems, below(problems, pointer, "op"), "not_a_choice",
                     "column \"%s\" is of type %s, which %s cannot compare", c.column,
                     type_name(out->type.type), c.op);
        return;
    }
    resolve_values(&c, pointer, out, mem, problems);
}

void filters_resolve(const struct doc *filter, const struct schema *schema, const char *pointer,
                     struct arena *mem, const struct row_filter **out, size_t *out_n,
                     struct problems *problems)
{
    size_t n = doc_count(filter);
    struct row_filter *filters = arena_array(mem, n, sizeof *filters);

    if (n)
        memset(filters, 0, n * sizeof *filters);
    for (size_t i = 0; i < n; i++)
        resolve_condition(doc_at(filter, i), schema,
                          arena_printf(problems->mem, "%s/%zu", pointer, i), mem, &filters[i],
                          problems);
    *out = filters;
    *out_n = n;
}

/* ------------------------------------------------------------------- writing */

static struct doc *value_to_doc(enum type type, const struct filter_value *v)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT((size_t)4 * FILTER_MAX_VALUE_BYTES);
    char digits[VALUE_TEXT_BYTES];

    switch (type) {
    case TYPE_BOOL:
        return doc_new_bool(v->number != 0);
    case TYPE_INT:
        return doc_new_int(v->number);
    case TYPE_FLOAT:
        return doc_new_real(v->real);
    case TYPE_DATE:
        return doc_new_string_n(digits, value_format_date(v->number, digits));
    case TYPE_TIMESTAMP:
        return doc_new_string_n(digits, value_format_timestamp(v->number, digits));
    case TYPE_TIMESTAMPTZ:
        return doc_new_string_n(digits, value_format_timestamptz(v->number, digits));
    case TYPE_BYTES:
        text_put_base64(&text, v->text.ptr, v->text.len);
        return doc_new_string_n(buf_str(&text), text.len);
    case TYPE_DECIMAL:
    case TYPE_STRING:
    case TYPE_TIME:
    case TYPE_INTERVAL:
    case TYPE_UUID:
    case TYPE_JSON:
    case TYPE_COUNT:
        break;
    }
    return doc_new_string_n(v->text.ptr, v->text.len);
}

static struct doc *filter_to_doc(const struct row_filter *f)
{
    struct doc *d = doc_new_object(), *values;

    doc_set(d, "column", doc_new_string(f->column));
    doc_set(d, "op", doc_new_string(filter_op_name(f->op)));
    if (arities[f->op] == ARITY_ONE)
        doc_set(d, "value", value_to_doc(f->type.type, &f->values[0]));
    if (arities[f->op] != ARITY_MANY)
        return d;
    values = doc_new_array();
    for (size_t i = 0; i < f->n_values; i++)
        doc_append(values, value_to_doc(f->type.type, &f->values[i]));
    doc_set(d, "values", values);
    return d;
}

struct doc *filters_to_doc(const struct row_filter *filters, size_t n)
{
    struct doc *d = doc_new_array();

    for (size_t i = 0; i < n; i++)
        doc_append(d, filter_to_doc(&filters[i]));
    return d;
}
