#include "handlers/secrets.h"

#include <string.h>

#define POINTER_BYTES ((size_t)64 << 10)

static bool is_set(const struct doc *config, const char *name)
{
    const struct doc *v = doc_get(config, name);

    return v && !doc_is(v, DOC_NULL);
}

static bool same_value(const struct doc *a, const struct doc *b)
{
    return a && b ? doc_equal(a, b) : a == b;
}

/* Defaults count: leaving the port out and writing the default port is the same place. */
static bool goes_elsewhere(const struct option *table, const struct doc *before,
                           const struct doc *after)
{
    CLEANUP(doc_free_cleanup) struct doc *a = options_normalized(table, before);
    CLEANUP(doc_free_cleanup) struct doc *b = options_normalized(table, after);

    for (const struct option *o = table; o->name; o++) {
        if ((o->flags & OPTION_BINDING) && !same_value(doc_get(a, o->name), doc_get(b, o->name)))
            return true;
    }
    return false;
}

void secrets_require(const char *pointer, const char *name, const char *why,
                     struct problems *problems)
{
    CLEANUP(buf_release) struct buf at = BUF_INIT(POINTER_BYTES);

    buf_puts(&at, pointer);
    doc_pointer_put(&at, name);
    problems_add(problems, buf_str(&at), "secret_required", "send it again: %s", why);
}

/* What `sent` makes of the old configuration, secrets of a replacement not considered. */
static struct doc *start_from(const struct secrets_old *old, const struct doc *sent,
                              enum secrets_merge how)
{
    if (how == SECRETS_PATCH && old->config)
        return sent ? doc_merge_patch(old->config, sent) : doc_copy(old->config);
    return sent ? doc_copy(sent) : doc_new_object();
}

struct doc *secrets_merge(const struct option *table, const struct secrets_old *old,
                          const struct doc *sent, enum secrets_merge how, const char *pointer,
                          struct problems *problems)
{
    struct doc *config = start_from(old, sent, how);
    bool moved;

    if (!doc_is(config, DOC_OBJECT)) /* refused by the table in a moment */
        return config;
    moved = !old->same_connector || goes_elsewhere(table, old->config, config);
    for (const struct option *o = table; o->name; o++) {
        const struct doc *new_value = doc_get(sent, o->name);

        if (!(o->flags & OPTION_SECRET))
            continue;
        if (doc_is(new_value, DOC_NULL))
            doc_remove(config, o->name);
        if (new_value || !is_set(old->config, o->name))
            continue;
        if (moved) {
            doc_remove(config, o->name);
            secrets_require(pointer, o->name, "a setting that says where it goes has changed",
                            problems);
        } else {
            doc_set(config, o->name, doc_copy(doc_get(old->config, o->name)));
        }
    }
    return config;
}

struct doc *secrets_strip(const struct option *table, const struct doc *config)
{
    struct doc *shown;

    if (!table || !doc_is(config, DOC_OBJECT))
        return doc_new_object();
    /* What the table does not know may be a secret of a description that was replaced. */
    shown = doc_new_object();
    for (const struct doc_member *it = doc_first(config); it; it = doc_next(config, it)) {
        const struct option *o = option_find(table, doc_member_key(it));

        if (o && !(o->flags & OPTION_SECRET) && !sealed_is(doc_member_value(it)))
            doc_set(shown, o->name, doc_copy(doc_member_value(it)));
    }
    return shown;
}

static void write_one(struct jsonw *w, const struct doc *value)
{
    const char *text = doc_string(value, "");
    char fingerprint[13];

    jsonw_put_bool(w, "set", value && !doc_is(value, DOC_NULL));
    jsonw_put_time_ms(w, "updated_at", sealed_set_us(value));
    jsonw_put_string(w, "ref", reference_is(text) ? text : NULL);
    jsonw_put_string(w, "fingerprint", sealed_fingerprint(value, fingerprint));
}

void secrets_write_meta(struct jsonw *w, const struct option *table, const struct doc *config)
{
    CLEANUP(buf_release) struct buf at = BUF_INIT(POINTER_BYTES);

    jsonw_object(w);
    for (const struct option *o = table; o && o->name; o++) {
        if (!(o->flags & OPTION_SECRET))
            continue;
        buf_clear(&at);
        doc_pointer_put(&at, o->name);
        jsonw_key(w, buf_str(&at));
        jsonw_object(w);
        write_one(w, doc_get(config, o->name));
        jsonw_object_end(w);
    }
    jsonw_object_end(w);
}
