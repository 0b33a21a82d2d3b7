#include "server/sync/logtext.h"

#include <string.h>

#include "connectors/base/clock.h"

static bool is_control(unsigned char c, unsigned char next)
{
    return c < 0x20 || c == 0x7f || (c == 0xc2 && next >= 0x80 && next < 0xa0);
}

static void put_clean(struct buf *out, const char *s)
{
    for (const char *c = s; *c; c++) {
        if (!is_control((unsigned char)*c, (unsigned char)c[1])) {
            buf_putc(out, *c);
        } else if ((unsigned char)*c == 0xc2) {
            c++;
            buf_printf(out, "\\x%02x", (unsigned)(unsigned char)*c);
        } else {
            buf_printf(out, "\\x%02x", (unsigned)(unsigned char)*c);
        }
    }
}

static void put_value(struct buf *out, const struct doc *v)
{
    if (doc_is(v, DOC_STRING))
        put_clean(out, doc_string(v, ""));
    else
        doc_write(v, out);
}

/* The members of tags, or of an event without a form of its own. */
static void put_pairs(struct buf *out, const struct doc *object)
{
    for (const struct doc_member *it = doc_first(object); it; it = doc_next(object, it)) {
        const char *key = doc_member_key(it);

        if (!strcmp(key, "seq") || !strcmp(key, "ts") || !strcmp(key, "type"))
            continue;
        buf_putc(out, ' ');
        put_clean(out, key);
        buf_putc(out, '=');
        put_value(out, doc_member_value(it));
    }
}

/* "source/users" */
static void put_who(struct buf *out, const struct doc *event)
{
    const char *origin = doc_string(doc_get(event, "origin"), "");
    const char *stream = doc_string(doc_get(event, "stream"), "");

    put_clean(out, origin);
    if (*origin && *stream)
        buf_putc(out, '/');
    put_clean(out, stream);
}

static void put_log(struct buf *out, const struct doc *event)
{
    buf_printf(out, "%-5s ", doc_string(doc_get(event, "level"), "info"));
    put_who(out, event);
    buf_puts(out, ": ");
    put_clean(out, doc_string(doc_get(event, "msg"), ""));
    put_pairs(out, doc_get(event, "tags"));
}

/* The numbers of a progress, state or stream_status event, or of the stats of the end. */
static void put_numbers(struct buf *out, const struct doc *d)
{
    int64_t rejected = doc_int(doc_get(d, "records_rejected"), 0);

    if (doc_get(d, "records_read"))
        buf_printf(out, ", %lld read", (long long)doc_int(doc_get(d, "records_read"), 0));
    if (doc_get(d, "records_committed"))
        buf_printf(out, ", %lld committed", (long long)doc_int(doc_get(d, "records_committed"), 0));
    if (rejected > 0)
        buf_printf(out, ", %lld rejected", (long long)rejected);
}

static void put_error(struct buf *out, const struct doc *error)
{
    if (!doc_is(error, DOC_OBJECT))
        return;
    buf_puts(out, ": ");
    put_clean(out, doc_string(doc_get(error, "message"), ""));
    buf_puts(out, " (");
    put_clean(out, doc_string(doc_get(error, "code"), ""));
    buf_putc(out, ')');
}

/* "progress users, 5 read, 4 committed"; "stream users complete, ..." */
static void put_stream_event(struct buf *out, const struct doc *event, const char *type)
{
    const char *status = doc_string(doc_get(event, "status"), NULL);

    buf_puts(out, status ? "stream" : type);
    buf_putc(out, ' ');
    put_who(out, event);
    if (status) {
        buf_putc(out, ' ');
        put_clean(out, status);
    }
    put_numbers(out, event);
    put_error(out, doc_get(event, "error"));
}

static void put_end(struct buf *out, const struct doc *event)
{
    buf_puts(out, "end ");
    put_clean(out, doc_string(doc_get(event, "status"), ""));
    put_numbers(out, doc_get(event, "stats"));
    buf_printf(out, ", %lld ms", (long long)doc_int(doc_get(event, "duration_ms"), 0));
    put_error(out, doc_get(event, "error"));
}

static void put_run(struct buf *out, const struct doc *run)
{
    buf_puts(out, "run ");
    put_value(out, doc_get(run, "id"));
    buf_putc(out, ' ');
    put_clean(out, doc_string(doc_get(run, "status"), ""));
}

void logtext_put(struct buf *out, const struct doc *event, bool timestamps)
{
    const char *ts = doc_string(doc_get(event, "ts"), NULL);
    const char *type = doc_string(doc_get(event, "type"), "");

    if (timestamps && ts)
        buf_printf(out, "%s ", ts);
    if (!strcmp(type, "log")) {
        put_log(out, event);
    } else if (!strcmp(type, "run")) {
        put_run(out, doc_get(event, "run"));
    } else if (!strcmp(type, "end")) {
        put_end(out, event);
    } else if (doc_get(event, "stream")) {
        put_stream_event(out, event, type);
    } else {
        put_clean(out, type);
        put_pairs(out, event);
    }
}

static bool is_in_list(const char *list, const char *word)
{
    size_t n = strlen(word);

    while (*list) {
        size_t k = strcspn(list, ",");

        if (k == n && !memcmp(list, word, n))
            return true;
        list += k + (list[k] == ',');
    }
    return false;
}

static bool has(const struct doc *event, const char *member, const char *wanted)
{
    return !wanted || !strcmp(doc_string(doc_get(event, member), ""), wanted);
}

bool logtext_passes(const struct log_query *q, const struct doc *event)
{
    const char *type = doc_string(doc_get(event, "type"), "");
    const char *level = doc_string(doc_get(event, "level"), NULL);
    int64_t at_us;

    if (!strcmp(type, "end"))
        return true;
    if (q->type && !is_in_list(q->type, type))
        return false;
    if (level && log_level_from_name(level) < (int)q->level)
        return false;
    if (!has(event, "stream", q->stream) || !has(event, "origin", q->origin))
        return false;
    if (q->since_us == 0 && q->until_us == 0)
        return true;
    return clock_parse(doc_string(doc_get(event, "ts"), ""), &at_us) &&
           (q->since_us == 0 || at_us >= q->since_us) && (q->until_us == 0 || at_us <= q->until_us);
}
