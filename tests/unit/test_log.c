#include <criterion/criterion.h>

#include "connectors/base/log.h"

struct recorder {
    struct log base;
    int n;
    enum log_level level;
    struct log_line line;
};

static void record(struct log *log, enum log_level level, const struct log_line *line)
{
    struct recorder *r = (struct recorder *)log;

    r->n++;
    r->level = level;
    r->line = *line;
}

Test(log, hands_message_and_fields_to_the_receiver)
{
    struct recorder r = {.base = {record, LOG_INFO}};

    log_warn(&r.base, .message = "rows left out",
             .fields = {log_int("rows", 7), log_text("stream", NULL)});
    cr_assert_eq(r.n, 1);
    cr_assert_eq(r.level, LOG_WARN);
    cr_assert_str_eq(r.line.message, "rows left out");
    cr_assert_str_eq(r.line.fields[0].key, "rows");
    cr_assert_null(r.line.fields[0].text);
    cr_assert_eq(r.line.fields[0].number, 7);
    cr_assert_str_eq(r.line.fields[1].text, "", "a missing text is an empty one");
    cr_assert_null(r.line.fields[2].key);
}

Test(log, drops_what_is_below_the_threshold)
{
    struct recorder r = {.base = {record, LOG_WARN}};

    log_debug(&r.base, .message = "a");
    log_info(&r.base, .message = "b");
    cr_assert_eq(r.n, 0);
    log_warn(&r.base, .message = "c");
    log_error(&r.base, .message = "d");
    cr_assert_eq(r.n, 2);
    log_error(&log_nowhere, .message = "e");
}

Test(log, names_its_levels_both_ways)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};

    for (int i = LOG_DEBUG; i <= LOG_ERROR; i++) {
        cr_assert_str_eq(log_level_name((enum log_level)i), names[i]);
        cr_assert_eq(log_level_from_name(names[i]), i);
    }
    cr_assert_eq(log_level_from_name("trace"), -1);
    cr_assert_eq(log_level_from_name(""), -1);
}
