/*
 * The configuration of a source that a document describes: its option table, and its values as the
 * scopes `vars` and `secret`.
 */
#include <string.h>

#include "connectors/base/jsonwrite.h"
#include "connectors/rest/document.h"

/* One slot per member, wide enough for each kind. */
union slot {
    const char *text;
    int64_t number;
    bool yes;
    struct string_list list;
};

const struct option *rest_options(struct arena *mem, const struct rest_document *d,
                                  size_t *out_config_size)
{
    size_t n = d->n_vars + d->n_secrets;
    struct option *table = arena_array(mem, n + 1, sizeof *table);

    for (size_t i = 0; i < n; i++) {
        table[i] = i < d->n_vars ? d->vars[i] : d->secrets[i - d->n_vars];
        table[i].offset = i * sizeof(union slot);
    }
    table[n] = (struct option)OPTIONS_END;
    *out_config_size = (n ? n : 1) * sizeof(union slot);
    return table;
}

static void put_list(struct jsonw *w, const struct string_list *list)
{
    jsonw_array(w);
    for (size_t i = 0; i < list->n; i++)
        jsonw_string(w, list->items[i]);
    jsonw_array_end(w);
}

static void put_value(struct jsonw *w, const struct option *o, const union slot *v)
{
    jsonw_key(w, o->name);
    if (o->type == OPTION_STRING)
        jsonw_string(w, v->text);
    else if (o->type == OPTION_INT)
        jsonw_int(w, v->number);
    else if (o->type == OPTION_LIST)
        put_list(w, &v->list);
    else
        jsonw_bool(w, v->yes);
}

static struct slice object_of(struct arena *mem, const struct option *rows, size_t n,
                              const union slot *values)
{
    struct buf out = BUF_INIT((size_t)1 << 20);
    struct jsonw w = JSONW_INIT(&out);
    struct slice s;

    jsonw_object(&w);
    for (size_t i = 0; i < n; i++) {
        /* A text that was not given is not there, so that `default` can stand in for it. */
        if (rows[i].type != OPTION_STRING || values[i].text)
            put_value(&w, &rows[i], &values[i]);
    }
    jsonw_object_end(&w);
    s = (struct slice){arena_memdup(mem, buf_str(&out), out.len), out.len};
    buf_release(&out);
    return s;
}

void rest_values(struct arena *mem, const struct rest_document *d, const void *config,
                 struct scopes *out)
{
    const union slot *values = config;

    out->json[SCOPE_vars] = object_of(mem, d->vars, d->n_vars, values);
    out->json[SCOPE_secret] = object_of(mem, d->secrets, d->n_secrets, values + d->n_vars);
}
