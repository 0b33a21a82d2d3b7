/*
 * E4, E5, E6: wherever an answer says to go next. What is accepted is http or https, without user
 * and password, on one line, and means the same when it is read again: what was looked at is what
 * is asked.
 *
 * Input: the address that was asked, a newline, what the header says.
 */
#include <string.h>

#include "connectors/http/url.h"
#include "tests/fuzz/fuzz.h"

static void check(struct arena *mem, const char *url)
{
    struct url_origin origin, again;
    struct error err = ERROR_INIT;
    const char *same, *host = strstr(url, "://");

    MUST(strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0);
    for (const char *s = url; *s; s++)
        MUST((unsigned char)*s > ' ' && *s != 0x7f);
    MUST(!memchr(host + 3, '@', strcspn(host + 3, "/?#")));
    MUST(url_origin(mem, url, &origin, &err) == 0);
    MUST(*origin.host && origin.port >= 0 && origin.port <= 65535);
    MUST(url_resolve(mem, NULL, url, &same, &err) == 0);
    MUST(url_origin(mem, same, &again, &err) == 0);
    MUST(url_same_origin(&origin, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data, *end, *base, *location, *out;
    struct error err = ERROR_INIT;
    struct arena *mem;

    if (size == 0 || size > 1 << 12 || memchr(text, '\0', size))
        return 0;
    mem = arena_new();
    end = memchr(text, '\n', size);
    base = arena_memdup(mem, text, end ? (size_t)(end - text) : size);
    if (url_resolve(mem, NULL, base, &out, &err) == 0) {
        check(mem, out);
        location = end ? arena_memdup(mem, end + 1, size - (size_t)(end + 1 - text)) : "";
        if (url_resolve(mem, out, location, &out, &err) == 0)
            check(mem, out);
    }
    MUST(err.code == ERR_NONE || strcmp(error_reason(&err), "url_refused") == 0);
    arena_free(mem);
    return 0;
}
