#include "server/reload.h"

#include <stdlib.h>
#include <string.h>

#include "connectors/base/arena.h"
#include "server/policies.h"
#include "server/servicelog.h"

struct reload {
    const struct config *start;
    struct identity *identity;
    struct log *log;
    struct arena *mem; /* of `last`; NULL before the first reload */
    struct config last;
};

/* What was read, until it is in use. */
struct reading {
    const struct reload *r;
    const struct settings *fresh;
    struct egress_rules *egress;
    struct auth_rules *auth;
    struct keyring *ring;
};

static void reading_release(struct reading *w)
{
    egress_rules_free(w->egress);
    auth_rules_free(w->auth);
    keyring_free(w->ring);
}

static int read_level(struct reading *w, struct error *err)
{
    (void)w;
    (void)err;
    return 0; /* the table has judged it */
}

static void use_level(struct reading *w)
{
    servicelog_set_level((enum log_level)log_level_from_name(w->fresh->log_level));
}

static int read_egress(struct reading *w, struct error *err)
{
    return policies_read_egress(w->fresh, w->r->start->settings.listen, &w->egress, err);
}

static void use_egress(struct reading *w)
{
    egress_use(TAKE(w->egress));
}

static int read_access(struct reading *w, struct error *err)
{
    return identity_read_rules(w->r->identity, w->fresh, &w->r->start->settings, &w->auth, err);
}

static void use_access(struct reading *w)
{
    auth_use(w->r->identity->auth, TAKE(w->auth));
}

static int read_ring(struct reading *w, struct error *err)
{
    return identity_read_ring(w->r->identity, w->fresh, &w->r->start->settings, &w->ring, err);
}

static void use_ring(struct reading *w)
{
    identity_use_ring(w->r->identity, TAKE(w->ring));
}

/*
 * What can be taken over: a row each. All are read before the first is used, and `use` cannot
 * fail. Both on every reload, since what a setting names (a file) may have changed while the
 * setting has not.
 */
static const struct reloader {
    const char *settings[2];
    int (*read)(struct reading *w, struct error *err);
    void (*use)(struct reading *w);
} reloaders[] = {
    {{"log_level"}, read_level, use_level},
    {{"egress_allow", "egress_deny"}, read_egress, use_egress},
    {{"trusted_proxies", "bootstrap_token"}, read_access, use_access},
    {{"key_file"}, read_ring, use_ring},
};

#define N_RELOADERS (sizeof reloaders / sizeof *reloaders)

static bool can_reload(const char *setting)
{
    for (size_t i = 0; i < N_RELOADERS; i++) {
        for (size_t k = 0; k < 2 && reloaders[i].settings[k]; k++) {
            if (!strcmp(reloaders[i].settings[k], setting))
                return true;
        }
    }
    return false;
}

static void report_problems(const struct reload *r, const struct problems *problems)
{
    for (size_t i = 0; i < problems->n; i++)
        log_error(r->log, .message = "a setting is wrong, nothing was reloaded",
                  .fields = {log_text("where", problems->items[i].pointer),
                             log_text("code", problems->items[i].code),
                             log_text("problem", problems->items[i].message)});
}

static void report_changes(const struct reload *r, const struct config *fresh)
{
    const struct config *last = r->mem ? &r->last : r->start;

    for (const struct option *o = settings_options; o->name; o++) {
        if (can_reload(o->name) && !config_is_same(last, fresh, o))
            log_info(r->log, .message = "setting reloaded",
                     .fields = {log_text("setting", o->name),
                                log_text("origin", config_origin(fresh, o->name))});
        if (!can_reload(o->name) && !config_is_same(r->start, fresh, o))
            log_warn(r->log, .message = "a changed setting needs a restart",
                     .fields = {log_text("setting", o->name),
                                log_text("origin", config_origin(fresh, o->name))});
    }
}

/* All of them, whatever is wrong with those before. */
static void read_all(struct reading *w, const struct config *fresh, struct problems *problems)
{
    for (size_t i = 0; i < N_RELOADERS; i++) {
        struct error err = ERROR_INIT;

        if (reloaders[i].read(w, &err) < 0)
            problems_add(problems, config_origin(fresh, reloaders[i].settings[0]),
                         error_reason(&err), "%s", err.message);
    }
}

static void forget_last(struct reload *r)
{
    if (r->mem)
        config_release(&r->last);
    arena_free(r->mem);
    r->mem = NULL;
}

struct reload *reload_new(const struct config *start, struct identity *identity, struct log *log)
{
    struct reload *r = xalloc(sizeof *r);

    *r = (struct reload){.start = start, .identity = identity, .log = log};
    return r;
}

void reload_free(struct reload *r)
{
    if (!r)
        return;
    forget_last(r);
    free(r);
}

void reload_settings(struct reload *r)
{
    struct arena *mem = arena_new();
    struct problems problems = PROBLEMS_INIT(mem);
    struct config fresh;
    CLEANUP(reading_release) struct reading w = {.r = r, .fresh = &fresh.settings};

    if (config_load(r->start->argc, r->start->argv, SECRETS_READ, mem, &fresh, &problems))
        read_all(&w, &fresh, &problems);
    if (problems.n > 0) {
        report_problems(r, &problems);
        config_release(&fresh);
        arena_free(mem);
        return;
    }
    report_changes(r, &fresh);
    for (size_t i = 0; i < N_RELOADERS; i++)
        reloaders[i].use(&w);
    forget_last(r);
    r->last = fresh;
    r->mem = mem;
    log_info(r->log, .message = "reloaded");
}
