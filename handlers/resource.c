#include "handlers/resource.h"

#include <string.h>

#include "connectors/base/clock.h"
#include "connectors/base/text.h"
#include "handlers/body.h"

struct resource_body {
    const char *name, *display_name, *connector;
    const struct doc *config, *labels;
};

/* clang-format off */
static const struct option resource_options[] = {
    OPTION(struct resource_body, name, .title = "Name", .help = "Unique name, usable as an id."),
    OPTION(struct resource_body, display_name, .title = "Display name", .max = 200,
           .help = "Free text for people."),
    OPTION(struct resource_body, connector, .title = "Connector", .flags = OPTION_REQUIRED,
           .help = "Which connector it is, as listed by /v1/connectors."),
    OPTION(struct resource_body, config, .title = "Configuration",
           .help = "The settings of the connector."),
    OPTION(struct resource_body, labels, .title = "Labels", .check = body_check_labels,
           .help = "Words of your own to filter by."),
    OPTIONS_END,
};
/* clang-format on */

bool resource_name_is_fine(const char *name, struct problems *problems)
{
    if (text_is_slug(name))
        return true;
    problems_add(problems, "/name", "invalid_name",
                 "a name is up to 63 of a-z, 0-9, _ and -, does not begin with _ or -, and does "
                 "not look like a UUID");
    return false;
}

/* The stored resource as a body, without its configuration. The caller owns it. */
static struct doc *as_body(const struct resource *old)
{
    struct doc *body = doc_new_object(), *labels = NULL;
    struct error ignored = ERROR_INIT;

    doc_set(body, "name", doc_new_string(old->name));
    doc_set(body, "connector", doc_new_string(old->connector));
    if (old->display_name)
        doc_set(body, "display_name", doc_new_string(old->display_name));
    if (old->labels && doc_parse_trusted(old->labels, strlen(old->labels), &labels, &ignored) == 0)
        doc_set(body, "labels", labels);
    return body;
}

/* A merge patch applied to everything but the configuration, whose patch stays as it was sent. */
static struct doc *patched(const struct resource *old, const struct doc *patch,
                           struct problems *problems)
{
    CLEANUP(doc_free_cleanup) struct doc *before = as_body(old);
    struct doc *body;

    /* Removing what nobody knows would otherwise go unnoticed. */
    for (const struct doc_member *it = doc_first(patch); it; it = doc_next(patch, it)) {
        if (doc_is(doc_member_value(it), DOC_NULL) &&
            !option_find(resource_options, doc_member_key(it)))
            problems_add(problems, "", "unknown_field", "\"%s\" is not known", doc_member_key(it));
    }
    body = doc_merge_patch(before, patch);
    doc_remove(body, "config");
    if (doc_get(patch, "config"))
        doc_set(body, "config", doc_copy(doc_get(patch, "config")));
    return body;
}

/* One sentence about one place: a secret that has to be sent again is not also missing. */
static void add_others(const struct problems *from, struct problems *to)
{
    size_t before = to->n;

    for (size_t i = 0; i < from->n; i++) {
        const struct problem *p = &from->items[i];
        bool known = false;

        for (size_t k = 0; k < before; k++)
            known |= !strcmp(to->items[k].pointer, p->pointer);
        if (!known)
            problems_add(to, p->pointer, p->code, "%s", p->message);
    }
    to->dropped += from->dropped;
}

/* What is stored, with its secrets in the open. Those that do not open any more are gone: each has
 * to be sent again, or removed. */
static struct doc *opened_config(const struct app *app, const struct sealed_owner *owner,
                                 const struct doc *stored, const struct doc *sent,
                                 struct problems *problems)
{
    struct error why = ERROR_INIT;
    struct doc *opened = NULL, *rest;

    if (sealed_open(&app->vault, owner, stored, &opened, &why) == 0)
        return opened;
    rest = doc_copy(stored);
    for (const struct doc_member *it = doc_first(stored); it; it = doc_next(stored, it)) {
        const char *name = doc_member_key(it);

        if (!sealed_is(doc_member_value(it)))
            continue;
        doc_remove(rest, name);
        if (!doc_get(sent, name))
            secrets_require("/config", name, "it cannot be opened any more", problems);
    }
    return rest;
}

void resource_check_config(const struct app *app, const struct connector *c,
                           const struct doc *config, const char *pointer, struct arena *mem,
                           struct problems *problems)
{
    struct problems wrong = PROBLEMS_INIT(mem);

    sealed_check(&app->vault, c->options, config, pointer, problems);
    connector_accepts(c, config, pointer, mem, &wrong);
    add_others(&wrong, problems);
}

/* The configuration that results, checked by the table of its connector; its text. */
static const char *build_config(const struct app *app, struct arena *mem, const struct connector *c,
                                const struct sealed_owner *owner, const struct resource *old,
                                const struct option *old_options, const struct doc *sent,
                                enum secrets_merge how, struct problems *problems)
{
    CLEANUP(doc_free_cleanup) struct doc *stored = NULL;
    CLEANUP(doc_free_cleanup) struct doc *opened = NULL;
    CLEANUP(doc_free_cleanup) struct doc *config = NULL;
    struct secrets_old before = {.same_connector = true};
    struct problems wrong = PROBLEMS_INIT(mem);
    struct error ignored = ERROR_INIT;

    if (old && doc_parse_trusted(old->config, strlen(old->config), &stored, &ignored) == 0) {
        opened = opened_config(app, owner, stored, sent, problems);
        before = (struct secrets_old){old_options, opened, !strcmp(old->connector, c->name)};
    }
    config = secrets_merge(c->options, &before, sent, how, "/config", problems);
    if (sent)
        sealed_check(&app->vault, c->options, sent, "/config", problems);
    connector_accepts(c, config, "/config", mem, &wrong);
    add_others(&wrong, problems);
    sealed_config(&app->vault, c->options, owner, config, stored);
    return body_text(mem, config);
}

static const char *fresh_id(struct arena *mem)
{
    char id[STORE_ID_BYTES];

    store_new_id(clock_unix_us(), id);
    return arena_strdup(mem, id);
}

static void choose_name(const struct resource_body *body, const struct resource *old,
                        const char *name, struct problems *problems, struct resource *out)
{
    out->name = body->name ? body->name : old ? old->name : name;
    if (!out->name)
        problems_add(problems, "/name", "required", "\"name\" is required");
    else if (!old && name && strcmp(out->name, name) != 0)
        problems_add(problems, "/name", "invalid_name", "the address says \"%s\"", name);
    else
        resource_name_is_fine(out->name, problems);
}

int resource_build(const struct app *app, struct request *req, struct response *res,
                   enum resource_kind kind, const struct doc *sent, const struct resource *old,
                   const char *name, enum secrets_merge how, struct resource *out,
                   struct error *err)
{
    struct problems *problems = body_problems(req, res);
    CLEANUP(doc_free_cleanup) struct doc *whole = NULL;
    struct arena *mem = request_mem(req);
    struct connector c, before = {.options = NULL};
    struct resource_body body = {0};
    struct sealed_owner owner;
    int found;

    if (how == SECRETS_PATCH && old) {
        whole = patched(old, sent, problems);
        sent = whole;
    }
    options_decode(resource_options, sent, "", &body, mem, problems);
    *out = (struct resource){.id = old ? old->id : fresh_id(mem),
                             .display_name = body.display_name,
                             .connector = body.connector};
    choose_name(&body, old, name, problems, out);
    out->labels = body_text(mem, body.labels);
    out->config = "{}";
    if (!body.connector)
        return 0;
    found = connector_find(app->store, kind, body.connector, mem, &c, err);
    if (found < 0 ||
        (old && connector_find(app->store, kind, old->connector, mem, &before, err) < 0))
        return -1;
    if (!found) {
        problems_add(problems, "/connector", "unknown_connector",
                     "there is no %s connector \"%s\"; GET /v1/connectors lists them",
                     connector_kind_name(kind), body.connector);
        return 0;
    }
    owner = (struct sealed_owner){connector_kind_name(kind), out->id};
    out->config =
        build_config(app, mem, &c, &owner, old, before.options, body.config, how, problems);
    return 0;
}
