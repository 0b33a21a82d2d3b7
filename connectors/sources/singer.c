/* singer - a Singer tap that the operator has listed, as a source. */
#include <stdio.h>

#include "connectors/base/arena.h"
#include "connectors/catalog.h"
#include "connectors/singer/asked.h"
#include "connectors/singer/message.h"
#include "connectors/singer/tap.h"

static const char *const catalog_flags[] = {"catalog", "properties", NULL};

/* clang-format off */
static const struct option options[] = {
    OPTION(struct singer_tap, program, .title = "Program", .flags = OPTION_REQUIRED | OPTION_BINDING,
           .min = 1, .max = 200, .help = "Name of the tap, as the operator of the service has listed it.",
           .example = "tap-csv"),
    OPTION(struct singer_tap, config, .title = "Configuration", .flags = OPTION_SECRET | OPTION_SETTINGS,
           .help = "The tap's own configuration, which reaches it in a private file. Where the operator or the tap "
                   "gives its schema, it is checked by it."),
    OPTION(struct singer_tap, catalog_flag, .title = "Flag of the catalog", .def = "catalog",
           .choices = catalog_flags,
           .help = "How the tap is given what is selected: --catalog, or --properties as older ones want it."),
    OPTIONS_END,
};
/* clang-format on */

static void judge(const void *config, const char *pointer, struct problems *problems)
{
    const struct singer_tap *tap = config;

    asked_judge(tap->program, tap->config, arena_printf(problems->mem, "%s/config", pointer),
                problems);
}

static void tell_limits(tell_fn *tell, void *arg)
{
    char text[64];

    snprintf(text, sizeof text, "%zu MiB", SINGER_MAX_LINE >> 20);
    tell(arg, "a line of the tap", text);
}

const struct source_connector source_singer = {
    .name = "singer",
    .title = "Singer tap",
    .docs =
        "Reads a Singer tap, in any language, that the operator of the service has listed. Its "
        "--discover makes the catalog; the selection is marked in it and given back. The state "
        "that the tap prints becomes durable together with all rows before it, of all streams, and "
        "is kept by the service; records behind the last state of a tap that fails are not kept. "
        "A tap may send rows again, so delivery is at least once, and streams with a key, which "
        "are merged, show each row once. Records that break their schema go to quarantine.",
    .options = options,
    .config_size = sizeof(struct singer_tap),
    .reads_together = true,
    .tell_types = json_schema_tell_types,
    .tell_limits = tell_limits,
    .judge = judge,
    .check = tap_check,
    .discover = tap_discover,
    .count = tap_count,
    .read = tap_read,
};
