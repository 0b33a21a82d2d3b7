/* What a database does not hold, for people: the dialect in words. */
#include <inttypes.h>
#include <stdio.h>

#include "connectors/data/value.h"
#include "connectors/sql/dialect.h"

static size_t put_value(enum type t, int64_t v, char out[static VALUE_TEXT_BYTES])
{
    if (t == TYPE_DATE)
        return value_format_date(v, out);
    if (t == TYPE_TIME)
        return value_format_time(v, out);
    return t == TYPE_TIMESTAMP ? value_format_timestamp(v, out) : value_format_timestamptz(v, out);
}

static void tell_ranges(const struct sql_dialect *d, tell_fn *tell, void *arg)
{
    static const enum type types[] = {TYPE_DATE, TYPE_TIME, TYPE_TIMESTAMP, TYPE_TIMESTAMPTZ};
    char least[VALUE_TEXT_BYTES], most[VALUE_TEXT_BYTES], text[2 * VALUE_TEXT_BYTES + 8];

    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        const struct sql_range *r = &d->range[types[i]];

        if (r->min == 0 && r->max == 0)
            continue;
        snprintf(text, sizeof text, "%.*s to %.*s", (int)put_value(types[i], r->min, least), least,
                 (int)put_value(types[i], r->max, most), most);
        tell(arg, type_name(types[i]), text);
    }
}

static void tell_numbers(const struct sql_dialect *d, tell_fn *tell, void *arg)
{
    char text[128];

    if (d->decimal_whole > 0) {
        snprintf(text, sizeof text, "%zu digits before the point, %zu behind it", d->decimal_whole,
                 d->decimal_fraction);
        tell(arg, "decimal", text);
    }
    if (!d->float_holds_nan || !d->float_holds_infinity)
        tell(arg, "float", d->float_holds_infinity ? "no NaN" : "no NaN, no infinity");
    if (!d->times_hold_infinity)
        tell(arg, "dates and timestamps", "no infinity");
}

static void tell_texts(const struct sql_dialect *d, tell_fn *tell, void *arg)
{
    char text[128];

    if (d->text_refuses_nul)
        tell(arg, "string", "no NUL");
    if (d->json_depth > 0) {
        snprintf(text, sizeof text, "nested %zu deep%s%s", d->json_depth,
                 d->json_refuses_nul ? ", no \\u0000" : "",
                 d->json_refuses_surrogates ? ", no lone surrogate" : "");
        tell(arg, "json", text);
    }
    if (d->key_bytes > 0) {
        snprintf(text, sizeof text, "%zu bytes in all", d->key_bytes);
        tell(arg, "the values of a key", text);
    }
}

void sql_tell_limits(const struct sql_dialect *d, tell_fn *tell, void *arg)
{
    char text[128];

    if (d->names.limit > 0) {
        snprintf(text, sizeof text, "%zu %s; longer ones are shortened and get a suffix",
                 d->names.limit, d->names.counts_characters ? "characters" : "bytes");
        tell(arg, "a name", text);
    }
    tell_ranges(d, tell, arg);
    tell_numbers(d, tell, arg);
    tell_texts(d, tell, arg);
}
