#include "connectors/base/log.h"

#include <string.h>

static const char *const level_names[] = {"debug", "info", "warn", "error"};

static void drop(struct log *log, enum log_level level, const struct log_line *line)
{
    (void)log;
    (void)level;
    (void)line;
}

struct log log_nowhere = {.emit = drop, .threshold = LOG_ERROR};

void log_emit(struct log *log, enum log_level level, const struct log_line *line)
{
    if (level >= log->threshold)
        log->emit(log, level, line);
}

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

int log_level_from_name(const char *name)
{
    for (int i = 0; i < (int)(sizeof level_names / sizeof *level_names); i++) {
        if (!strcmp(level_names[i], name))
            return i;
    }
    return -1;
}
