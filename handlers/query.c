#include "handlers/query.h"

#include <string.h>

#include "connectors/base/clock.h"
#include "connectors/base/text.h"

int query_time(struct request *req, const char *name, int64_t *out, struct error *err)
{
    const char *text = request_query(req, name);
    int64_t ago_ms;

    *out = 0;
    if (!text || clock_parse(text, out))
        return 0;
    if (!text_to_duration_ms(text, &ago_ms) || ago_ms < 0)
        return error_set_reason(err, ERR_INVALID, "invalid_query",
                                "\"%s\" is a time as in RFC 3339 or a duration such as 10m", name);
    *out = clock_unix_us() - ago_ms * 1000;
    return 0;
}

static int find_word(const char *const *words, const char *text, size_t n)
{
    for (int i = 0; words[i]; i++) {
        if (strlen(words[i]) == n && !memcmp(words[i], text, n))
            return i;
    }
    return -1;
}

static int no_such_word(const char *name, const char *const *words, struct error *err)
{
    CLEANUP(buf_release) struct buf list = BUF_INIT((size_t)512);

    for (size_t i = 0; words[i]; i++)
        buf_printf(&list, "%s%s", i ? ", " : "", words[i]);
    return error_set_reason(err, ERR_INVALID, "invalid_query", "\"%s\" is one of %s", name,
                            buf_str(&list));
}

int query_word(struct request *req, const char *name, const char *const *words, size_t *out,
               struct error *err)
{
    const char *text = request_query(req, name);
    int i = text ? find_word(words, text, strlen(text)) : 0;

    if (i < 0)
        return no_such_word(name, words, err);
    *out = (size_t)i;
    return 0;
}

int query_words(struct request *req, const char *name, const char *const *words, unsigned *out,
                struct error *err)
{
    const char *text = request_query(req, name);

    *out = 0;
    while (text && *text) {
        size_t n = strcspn(text, ",");
        int i = find_word(words, text, n);

        if (i < 0)
            return no_such_word(name, words, err);
        *out |= 1u << i;
        text += n + (text[n] == ',');
    }
    return 0;
}

int query_singer(struct request *req, bool *out, struct error *err)
{
    static const char *const words[] = {"native", "singer", NULL};
    size_t word;

    if (query_word(req, "format", words, &word, err) < 0)
        return -1;
    *out = word == 1;
    return 0;
}
