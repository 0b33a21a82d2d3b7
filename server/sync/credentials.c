#include "server/sync/credentials.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/base/buf.h"
#include "connectors/base/doc.h"

#define WAIT_MS    100 /* between two looks at whether the run was cancelled */
#define WRITES_MAX 10  /* others may change the source meanwhile */

/* Credentials that somebody is exchanging. Runs of the same source are few. */
struct held {
    char *name; /* of source and pointer */
    char *value;
    struct held *next;
};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct held *all;

/* What points at it, or at the end of the list. With the lock held. */
static struct held **place_of(const char *name)
{
    struct held **at = &all;

    while (*at && strcmp((*at)->name, name) != 0)
        at = &(*at)->next;
    return at;
}

/* The one that we have taken before. With the lock held. */
static struct held **place_of_mine(const char *name)
{
    struct held **at = place_of(name);

    if (!*at)
        abort();
    return at;
}

static char *name_of(const struct credentials *c, const char *pointer)
{
    struct buf name = BUF_INIT(strlen(c->source_id) + strlen(pointer) + 1);

    buf_printf(&name, "%s %s", c->source_id, pointer);
    return name.data;
}

/* Waits until nobody else has it. */
static int take(const struct credentials *c, const char *pointer, struct error *err)
{
    char *name = name_of(c, pointer);

    for (;;) {
        bool taken;

        pthread_mutex_lock(&lock);
        taken = *place_of(name) != NULL;
        if (!taken) {
            struct held *mine = xalloc(sizeof *mine);

            *mine = (struct held){name, NULL, all};
            all = mine;
        }
        pthread_mutex_unlock(&lock);
        if (!taken)
            return 0;
        if (cancel_sleep_ms(c->cancel, WAIT_MS, err) < 0) {
            free(name);
            return -1;
        }
    }
}

static void give_back(const struct credentials *c, const char *pointer)
{
    char *name = name_of(c, pointer);
    struct held **at, *h;

    pthread_mutex_lock(&lock);
    at = place_of_mine(name);
    h = *at;
    *at = h->next;
    free(h->name);
    free(h->value);
    free(h);
    pthread_mutex_unlock(&lock);
    free(name);
}

/* What `begin` told, to see whether somebody else has written another one. */
static void note_value(const struct credentials *c, const char *pointer, const char *value)
{
    char *name = name_of(c, pointer);

    pthread_mutex_lock(&lock);
    (*place_of_mine(name))->value = xstrdup(value);
    pthread_mutex_unlock(&lock);
    free(name);
}

static bool is_noted(const struct credentials *c, const char *pointer, const char *value)
{
    char *name = name_of(c, pointer);
    const char *noted;
    bool same;

    pthread_mutex_lock(&lock);
    noted = (*place_of_mine(name))->value;
    same = noted && strcmp(noted, value) == 0;
    pthread_mutex_unlock(&lock);
    free(name);
    return same;
}

/* ------------------------------------------------------------- the configuration */

/* The text that a pointer names; NULL when there is none. Names of secrets need no escaping. */
static const char *value_at(const struct doc *config, const char *pointer, struct arena *mem)
{
    while (config && *pointer == '/') {
        size_t n = strcspn(++pointer, "/");

        config = doc_get(config, arena_memdup(mem, pointer, n));
        pointer += n;
    }
    return doc_string(config, NULL);
}

/* "/a/b" as {"a":{"b":value}}: a patch. */
static struct doc *patch_of(const char *pointer, const char *value, struct arena *mem)
{
    size_t n = strcspn(++pointer, "/");
    struct doc *patch = doc_new_object();

    doc_set(patch, arena_memdup(mem, pointer, n),
            pointer[n] ? patch_of(pointer + n, value, mem) : doc_new_string(value));
    return patch;
}

/* *out_sealed is what is stored, *out_config the same in the open. */
static int load(const struct credentials *c, struct arena *mem, struct resource *out,
                struct doc **out_sealed, struct doc **out_config, struct error *err)
{
    if (store_get_resource(c->store, RESOURCE_SOURCE, c->source_id, mem, out, err) < 0 ||
        doc_parse_trusted(out->config, strlen(out->config), out_sealed, err) < 0)
        return -1;
    return sealed_open(c->vault, &(struct sealed_owner){"source", out->id}, *out_sealed, out_config,
                       err);
}

int credentials_begin(const struct credentials *c, const char *pointer, struct arena *mem,
                      const char **out_value, struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *sealed = NULL, *config = NULL;
    struct resource source;
    const char *value;

    *out_value = NULL;
    if (!c->source_id)
        return 0;
    if (take(c, pointer, err) < 0)
        return -1;
    if (load(c, mem, &source, &sealed, &config, err) < 0) {
        give_back(c, pointer);
        return error_wrap(err, "the credential of the source");
    }
    value = value_at(config, pointer, mem);
    /* A reference is kept by the operator, who alone can put another value there. */
    if (value && !reference_is(value)) {
        redactor_add(c->redactor, value, strlen(value));
        *out_value = arena_strdup(mem, value);
        note_value(c, pointer, value);
    }
    return 0;
}

/* 1 = written, or somebody else wrote another one, which is newer; 0 = the source changed under us.
 */
static int write_once(const struct credentials *c, const char *pointer, const char *value,
                      struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    CLEANUP(doc_free_cleanup) struct doc *sealed = NULL, *config = NULL, *patch = NULL;
    CLEANUP(doc_free_cleanup) struct doc *changed = NULL;
    CLEANUP(buf_release) struct buf text = BUF_INIT((size_t)16 << 20);
    struct error why = ERROR_INIT;
    struct resource source;
    const char *now;

    if (load(c, mem, &source, &sealed, &config, err) < 0)
        return -1;
    now = value_at(config, pointer, mem);
    if (!now || !is_noted(c, pointer, now))
        return 1;
    patch = patch_of(pointer, value, mem);
    changed = doc_merge_patch(config, patch);
    sealed_config(c->vault, c->table, &(struct sealed_owner){"source", source.id}, changed, sealed);
    doc_write(changed, &text);
    if (buf_ok(&text, "the configuration", err) < 0)
        return -1;
    source.config = buf_str(&text);
    if (store_update_resource(c->store, RESOURCE_SOURCE, &source, source.revision, mem, &why) == 0)
        return 1;
    if (strcmp(error_reason(&why), "revision_mismatch") == 0)
        return 0;
    *err = why;
    return -1;
}

int credentials_end(const struct credentials *c, const char *pointer, const char *value,
                    struct error *err)
{
    int rc = value ? 0 : 1;

    if (!c->source_id)
        return 0;
    if (value)
        redactor_add(c->redactor, value, strlen(value));
    for (int i = 0; i < WRITES_MAX && rc == 0; i++)
        rc = write_once(c, pointer, value, err);
    give_back(c, pointer);
    if (rc == 0)
        return error_set_reason(err, ERR_CONTENTION, "revision_mismatch",
                                "the source is changed by others all the time");
    return rc < 0 ? error_wrap(err, "keeping the new credential of the source") : 0;
}
