/*
 * J2: any JSON as the configuration of any connector. It is taken, or every problem has a pointer
 * into it and a word about it; the verdict is the same a second time; and the copy with defaults
 * that the API shows holds no secret.
 *
 * Input: a byte that says which connector, the JSON.
 */
#include <string.h>

#include "connectors/registry.h"
#include "tests/fuzz/fuzz.h"

#define MAX_INPUT (1 << 14)

struct shape {
    const struct option *options;
    size_t bytes;
    const void *start; /* NULL = zeros */
};

static struct shape shape_of(unsigned which)
{
    size_t n_sources = 0, n_destinations = 0;
    const struct destination_connector *d;
    const struct source_connector *s;

    while (registry_source_at(n_sources))
        n_sources++;
    while (registry_destination_at(n_destinations))
        n_destinations++;
    which %= (unsigned)(n_sources + n_destinations);
    if (which < n_sources) {
        s = registry_source_at(which);
        return (struct shape){s->options, s->config_size, s->config_start};
    }
    d = registry_destination_at(which - n_sources);
    return (struct shape){d->options, d->config_size, NULL};
}

static bool decode(const struct shape *s, const struct doc *config, struct arena *mem,
                   struct problems *problems)
{
    void *decoded = arena_alloc(mem, s->bytes);

    if (s->start)
        memcpy(decoded, s->start, s->bytes);
    return options_decode(s->options, config, "/config", decoded, mem, problems);
}

static void check_shown(const struct shape *s, const struct doc *config)
{
    struct doc *shown = options_normalized(s->options, config);

    for (const struct option *o = s->options; o->name; o++)
        MUST(!(o->flags & OPTION_SECRET) || !doc_get(shown, o->name));
    doc_free(shown);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = ERROR_INIT;
    struct arena *mem;
    struct doc *config;
    struct shape shape;

    if (size < 2 || size > MAX_INPUT ||
        doc_parse((const char *)data + 1, size - 1, &config, &err) < 0)
        return 0;
    mem = arena_new();
    shape = shape_of(data[0]);
    {
        struct problems problems = PROBLEMS_INIT(mem), again = PROBLEMS_INIT(mem);
        bool taken = decode(&shape, config, mem, &problems);

        MUST(taken == (problems.n == 0));
        MUST(!taken || doc_is(config, DOC_OBJECT) || doc_is(config, DOC_NULL));
        for (size_t i = 0; i < problems.n; i++)
            MUST(strncmp(problems.items[i].pointer, "/config", 7) == 0 && *problems.items[i].code &&
                 *problems.items[i].message);
        MUST(decode(&shape, config, mem, &again) == taken && again.n == problems.n);
        if (taken)
            check_shown(&shape, config);
    }
    arena_free(mem);
    doc_free(config);
    return 0;
}
