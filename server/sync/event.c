#include "server/sync/event.h"

#include <string.h>

#include "connectors/base/clock.h"
#include "connectors/base/jsonwrite.h"
#include "connectors/base/text.h"
#include "server/sync/logstream.h"

static void put_head(struct jsonw *w, int64_t seq, int64_t unix_us, const char *type)
{
    jsonw_object(w);
    jsonw_put_int(w, "seq", seq);
    jsonw_put_time_ms(w, "ts", unix_us);
    jsonw_put_string(w, "type", type);
}

static void put_text(struct jsonw *w, const char *key, const char *s, size_t most)
{
    jsonw_key(w, key);
    jsonw_string_n(w, s, text_utf8_prefix(s, strlen(s), most));
}

static bool is_stream(const struct log_field *f)
{
    return !strcmp(f->key, "stream") && f->text;
}

static void put_fields(struct jsonw *w, const struct log_line *line, size_t most)
{
    bool any = false;

    for (size_t i = 0; i < LOG_MAX_FIELDS && line->fields[i].key; i++) {
        const struct log_field *f = &line->fields[i];

        if (is_stream(f))
            continue;
        if (!any) {
            jsonw_key(w, "tags");
            jsonw_object(w);
            any = true;
        }
        if (f->text)
            put_text(w, f->key, f->text, most);
        else
            jsonw_put_int(w, f->key, f->number);
    }
    if (any)
        jsonw_object_end(w);
}

static void put_stream(struct jsonw *w, const struct log_line *line, size_t most)
{
    for (size_t i = 0; i < LOG_MAX_FIELDS && line->fields[i].key; i++) {
        if (is_stream(&line->fields[i]))
            put_text(w, "stream", line->fields[i].text, most);
    }
}

static size_t text_bytes(const struct log_line *line)
{
    size_t n = strlen(line->message);

    for (size_t i = 0; i < LOG_MAX_FIELDS && line->fields[i].key; i++)
        n += line->fields[i].text ? strlen(line->fields[i].text) : 0;
    return n;
}

void event_put_log(struct buf *out, int64_t seq, int64_t unix_us, enum log_level level,
                   const char *origin, const struct log_line *line)
{
    /* The last one fits whatever the fields hold: a byte becomes at most six. */
    static const size_t most[] = {LOGSTREAM_MAX_LINE, 512, 64};
    size_t start = out->len;
    size_t first = text_bytes(line) > LOGSTREAM_MAX_LINE; /* hopeless: not even tried */

    for (size_t i = first; i < sizeof most / sizeof *most; i++) {
        struct jsonw w = JSONW_INIT(out);

        out->len = start;
        put_head(&w, seq, unix_us, "log");
        jsonw_put_string(&w, "level", log_level_name(level));
        jsonw_put_string(&w, "origin", origin);
        put_stream(&w, line, most[i]);
        put_text(&w, "msg", line->message, most[i]);
        put_fields(&w, line, most[i]);
        if (i > 0)
            jsonw_put_bool(&w, "truncated", true);
        jsonw_object_end(&w);
        buf_putc(out, '\n');
        if (out->len - start <= LOGSTREAM_MAX_LINE)
            return;
    }
}

void event_put(struct buf *out, int64_t seq, int64_t unix_us, const char *type, const char *members)
{
    struct jsonw w = JSONW_INIT(out);
    bool fits = strlen(members) + 128 <= LOGSTREAM_MAX_LINE;

    put_head(&w, seq, unix_us, type);
    if (!fits)
        jsonw_put_bool(&w, "truncated", true);
    if (fits && *members) {
        buf_putc(out, ',');
        buf_puts(out, members);
    }
    jsonw_object_end(&w);
    buf_putc(out, '\n');
}

int64_t event_seq(const char *line, size_t n)
{
    static const char head[] = "{\"seq\":";
    size_t skip = sizeof head - 1, digits = 0;
    int64_t seq;

    if (n < skip || memcmp(line, head, skip) != 0)
        return 0;
    while (skip + digits < n && line[skip + digits] >= '0' && line[skip + digits] <= '9')
        digits++;
    return text_to_int64(line + skip, digits, &seq) ? seq : 0;
}
