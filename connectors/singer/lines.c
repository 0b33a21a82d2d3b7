#include "connectors/singer/lines.h"

#include <stdlib.h>
#include <string.h>

#include "connectors/base/arena.h"
#include "connectors/singer/message.h"

#define FIRST_ROOM ((size_t)256 << 10)

/* Room for more behind what is there: moved to the front first, then twice as much. */
static int make_room(struct lines *l, struct error *err)
{
    if (l->at > 0) {
        memmove(l->data, l->data + l->at, l->len - l->at);
        l->len -= l->at;
        l->looked -= l->at;
        l->at = 0;
    }
    if (l->len < l->cap)
        return 0;
    if (l->cap >= SINGER_MAX_LINE)
        return error_set_reason(err, ERR_TOO_LARGE, "line_too_long",
                                "line %zu is longer than %zu bytes", l->number + 1,
                                SINGER_MAX_LINE);
    l->cap = l->cap ? 2 * l->cap : FIRST_ROOM;
    l->data = xrealloc(l->data, l->cap);
    return 0;
}

static bool is_blank(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] != ' ' && s.ptr[i] != '\t' && s.ptr[i] != '\r')
            return false;
    }
    return true;
}

/* The line that ends at `stop`, which goes on at `next`. */
static bool take(struct lines *l, size_t stop, size_t next, struct slice *out)
{
    *out = (struct slice){l->data + l->at, stop - l->at};
    l->at = l->looked = next;
    l->number++;
    return !is_blank(*out);
}

int lines_next(struct lines *l, enum lines_outcome *out, struct slice *out_line, struct error *err)
{
    size_t n;

    *out = LINES_LINE;
    for (;;) {
        const char *stop =
            l->len > l->looked ? memchr(l->data + l->looked, '\n', l->len - l->looked) : NULL;

        if (stop) {
            size_t at = (size_t)(stop - l->data);

            if (take(l, at, at + 1, out_line))
                return 0;
            continue;
        }
        l->looked = l->len;
        if (l->end && l->at < l->len) {
            if (take(l, l->len, l->len, out_line))
                return 0;
            continue;
        }
        if (l->end) {
            *out = LINES_END;
            return 0;
        }
        if (make_room(l, err) < 0 ||
            l->fill(l->arg, l->data + l->len, l->cap - l->len, &n, &l->end, err) < 0)
            return -1;
        l->len += n;
        if (n == 0 && !l->end) {
            *out = LINES_NOTHING_YET;
            return 0;
        }
    }
}

void lines_release(struct lines *l)
{
    free(l->data);
    l->data = NULL;
}
