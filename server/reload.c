#include "server/reload.h"

#include <string.h>

#include "connectors/base/arena.h"
#include "server/servicelog.h"

/*
 * What can be taken over: a row each. `apply` copies what it keeps, and is called on every reload,
 * since what a setting names (a file) may have changed while the setting has not.
 */
static int apply_log_level(struct app *app, const struct settings *s, struct error *err)
{
    (void)app;
    (void)err;
    servicelog_set_level((enum log_level)log_level_from_name(s->log_level));
    return 0;
}

static const struct reloader {
    const char *setting;
    int (*apply)(struct app *app, const struct settings *s, struct error *err);
} reloaders[] = {
    {"log_level", apply_log_level},
};

#define N_RELOADERS (sizeof reloaders / sizeof *reloaders)

static bool can_reload(const char *setting)
{
    for (size_t i = 0; i < N_RELOADERS; i++) {
        if (!strcmp(reloaders[i].setting, setting))
            return true;
    }
    return false;
}

static void report_problems(const struct problems *problems, struct log *log)
{
    for (size_t i = 0; i < problems->n; i++)
        log_error(log, .message = "a setting is wrong, nothing was reloaded",
                  .fields = {log_text("where", problems->items[i].pointer),
                             log_text("code", problems->items[i].code),
                             log_text("problem", problems->items[i].message)});
}

/* Compared with the start: what needs a restart is said again at each reload. */
static void report_changes(const struct config *old, const struct config *new, struct log *log)
{
    for (const struct option *o = settings_options; o->name; o++) {
        if (config_is_same(old, new, o))
            continue;
        if (can_reload(o->name))
            log_info(log, .message = "setting reloaded",
                     .fields = {log_text("setting", o->name),
                                log_text("origin", config_origin(new, o->name))});
        else
            log_warn(log, .message = "a changed setting needs a restart",
                     .fields = {log_text("setting", o->name),
                                log_text("origin", config_origin(new, o->name))});
    }
}

static void apply_all(struct app *app, const struct config *config, struct log *log)
{
    for (size_t i = 0; i < N_RELOADERS; i++) {
        struct error err = ERROR_INIT;

        if (reloaders[i].apply(app, &config->settings, &err) < 0)
            log_error(log, .message = "a setting cannot be reloaded",
                      .fields = {log_text("setting", reloaders[i].setting),
                                 log_text("reason", err.message)});
    }
}

void reload_settings(struct app *app, const struct config *config, struct log *log)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    struct problems problems = PROBLEMS_INIT(mem);
    struct config fresh;

    if (config_load(config->argc, config->argv, mem, &fresh, &problems)) {
        report_changes(config, &fresh, log);
        apply_all(app, &fresh, log);
        log_info(log, .message = "reloaded");
    } else {
        report_problems(&problems, log);
    }
    config_release(&fresh);
}
