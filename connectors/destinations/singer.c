/* singer - a Singer target that the operator has listed, as a destination. */
#include "connectors/base/arena.h"
#include "connectors/catalog.h"
#include "connectors/singer/asked.h"
#include "connectors/singer/target.h"

/* clang-format off */
static const struct option options[] = {
    OPTION(struct singer_target, program, .title = "Program", .flags = OPTION_REQUIRED | OPTION_BINDING,
           .min = 1, .max = 200, .help = "Name of the target, as the operator of the service has listed it.",
           .example = "target-jsonl"),
    OPTION(struct singer_target, config, .title = "Configuration", .flags = OPTION_SECRET | OPTION_SETTINGS,
           .help = "The target's own configuration, which reaches it in a private file. Where the operator or the "
                   "target gives its schema, it is checked by it."),
    OPTION(struct singer_target, echo, .title = "Echo of states", .def = "end", .choices = singer_target_echoes,
           .help = "When the target prints the state that covers stored rows: by the end of its input, as every "
                   "target does, so that a stream is one commit; or soon after it was given, so that there are "
                   "commits while it runs."),
    OPTION(struct singer_target, require_echo, .title = "Require the echo", .def = "true",
           .help = "Without it, a target that never prints a state and ends with exit status 0 is believed."),
    OPTION(struct singer_target, versions, .title = "Versions", .def = "true",
           .help = "End a full refresh that overwrites with ACTIVATE_VERSION, for targets that remove former rows "
                   "then. Others need it off."),
    OPTION(struct singer_target, echo_timeout_s, .title = "Seconds to wait for a state", .def = "300", .min = 1,
           .max = 86400, .help = "With echo state: how long a target may take to print one."),
    OPTION(struct singer_target, restart_rows, .title = "Rows per process", .def = "0", .min = 0, .max = INT64_MAX,
           .help = "With echo end: after so many rows the target is ended and started again at the next "
                   "checkpoint, so that a long stream has commits in its middle; 0 = never. Not for targets that "
                   "begin with an empty table."),
    OPTIONS_END,
};
/* clang-format on */

static void judge(const void *config, const char *pointer, struct problems *problems)
{
    const struct singer_target *target = config;

    asked_judge(target->program, target->config, arena_printf(problems->mem, "%s/config", pointer),
                problems);
}

static int check(const void *config, struct run *run, struct error *err)
{
    return singer_target_check(config, run, err);
}

static int open_destination(const void *config, struct run *run, const struct write_plan *plan,
                            struct destination **out, struct error *err)
{
    return singer_target_open(config, run, plan, out, err);
}

static int clear(const void *config, struct run *run, const struct write_plan *plan,
                 struct error *err)
{
    (void)config, (void)run, (void)plan;
    return error_set(err, ERR_UNSUPPORTED, "a Singer target cannot be told to remove its tables");
}

const struct destination_connector destination_singer = {
    .name = "singer",
    .title = "Singer target",
    .docs =
        "Feeds a Singer target, in any language, that the operator of the service has listed. Rows "
        "count as stored when the target prints a state that was written behind them and ends with "
        "exit status 0; after a failure everything behind the last such state is sent again, so "
        "delivery is at least once, and streams with a key are recommended. The service keeps the "
        "bookmark. What cannot be represented goes to the stream `_connectord_quarantine`. A full "
        "refresh that overwrites ends in ACTIVATE_VERSION; targets that do not know it append.",
    .options = options,
    .config_size = sizeof(struct singer_target),
    .write_modes = 1u << WRITE_OVERWRITE | 1u << WRITE_APPEND | 1u << WRITE_APPEND_DEDUP,
    .delivery = "at_least_once",
    .state_by_service = true,
    .tell_types = json_schema_tell_shapes,
    .judge = judge,
    .check = check,
    .open = open_destination,
    .clear = clear,
};
