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

static int put_object(struct arena *mem, const struct option *rows, size_t n,
                      const union slot *values, const char *what, struct slice *out_json,
                      struct error *err)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT(REST_MAX_VALUES);
    struct jsonw w = JSONW_INIT(&out);

    jsonw_object(&w);
    for (size_t i = 0; i < n; i++) {
        /* A text that was not given is not there, so that `default` can stand in for it. */
        if (rows[i].type != OPTION_STRING || values[i].text)
            put_value(&w, &rows[i], &values[i]);
    }
    jsonw_object_end(&w);
    if (buf_ok(&out, what, err) < 0)
        return -1;
    *out_json = (struct slice){arena_memdup(mem, buf_str(&out), out.len), out.len};
    return 0;
}

int rest_values(struct arena *mem, const struct rest_document *d, const void *config,
                struct scopes *out, struct error *err)
{
    const union slot *values = config;

    if (put_object(mem, d->vars, d->n_vars, values, "all values of vars", &out->json[SCOPE_vars],
                   err) < 0)
        return -1;
    return put_object(mem, d->secrets, d->n_secrets, values + d->n_vars, "all secrets",
                      &out->json[SCOPE_secret], err);
}
