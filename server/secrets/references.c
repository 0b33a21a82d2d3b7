#include "server/secrets/references.h"

#include <string.h>

#include "connectors/base/buf.h"
#include "connectors/base/text.h"
#include "server/secrets/secretfile.h"

#define OPENING "${"
#define CLOSING "}"

struct reference {
    const char *name;  /* "env:NAME", "file:/path" */
    const char *value; /* of a variable; NULL when it was not set */
};

struct references {
    struct reference *items;
    size_t n;
};

static bool is_env(const char *name)
{
    return text_starts_with(name, "env:") && name[4];
}

static bool is_file(const char *name)
{
    return text_starts_with(name, "file:/");
}

const struct references *references_new(struct arena *mem, const char *const *names, size_t n,
                                        const char *(*lookup)(const char *name),
                                        const char *pointer, struct problems *problems)
{
    struct references *refs = arena_alloc(mem, sizeof *refs);

    refs->items = arena_array(mem, n + 1, sizeof *refs->items);
    for (size_t i = 0; i < n; i++) {
        const char *value = NULL;

        if (is_env(names[i])) {
            value = lookup(names[i] + 4);
        } else if (!is_file(names[i])) {
            problems_add(problems, pointer, "invalid",
                         "\"%s\" is not of the form env:NAME or file:/path", names[i]);
            continue;
        }
        refs->items[refs->n++] = (struct reference){arena_strdup(mem, names[i]),
                                                    value ? arena_strdup(mem, value) : NULL};
    }
    return refs;
}

bool reference_is(const char *text)
{
    size_t n = strlen(text);

    return n > strlen(OPENING CLOSING) && text[n - 1] == '}' &&
           (text_starts_with(text, OPENING "env:") || text_starts_with(text, OPENING "file:"));
}

static const struct reference *find(const struct references *refs, const char *text)
{
    size_t n = strlen(text) - strlen(OPENING CLOSING);

    for (size_t i = 0; refs && i < refs->n; i++) {
        const char *name = refs->items[i].name;

        if (strlen(name) == n && !memcmp(name, text + strlen(OPENING), n))
            return &refs->items[i];
    }
    return NULL;
}

bool references_allow(const struct references *refs, const char *text)
{
    return reference_is(text) && find(refs, text);
}

static int unresolved(const char *text, const char *why, struct error *err)
{
    return error_set_reason(err, ERR_CONFIG, "unresolved_reference", "%s: %s", text, why);
}

/* A file may have been written by an editor: its last newline is not part of it. */
static int read_value(const char *path, struct arena *mem, const char **out, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(REFERENCE_MAX_BYTES);
    struct error why = ERROR_INIT;
    size_t n;

    if (secretfile_read_any(path, "secret", &text, &why) < 0)
        return error_set(err, ERR_CONFIG, "%s", why.message);
    n = text.len;
    n -= n > 0 && text.data[n - 1] == '\n';
    if (n != strlen(buf_str(&text)) - (text.len - n))
        return error_set(err, ERR_CONFIG, "it holds a NUL");
    *out = arena_memdup(mem, buf_str(&text), n);
    return 0;
}

int references_resolve(const struct references *refs, const char *text, struct arena *mem,
                       const char **out, struct error *err)
{
    const struct reference *r = reference_is(text) ? find(refs, text) : NULL;
    struct error why = ERROR_INIT;
    const char *value;

    if (!r)
        return unresolved(text, "the operator has not listed it in secret_references", err);
    value = r->value;
    if (is_env(r->name) && !value)
        return unresolved(text, "the variable was not set when the service started", err);
    if (!is_env(r->name) && read_value(r->name + strlen("file:"), mem, &value, &why) < 0)
        return unresolved(text, why.message, err);
    if (strlen(value) < SECRET_MIN_BYTES)
        return unresolved(text, "it is shorter than 6 bytes, too short to keep out of logs", err);
    *out = value;
    return 0;
}
