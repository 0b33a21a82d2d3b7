#include "connectors/base/snake.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "connectors/base/arena.h"

/* clang-format off */
/* U+00C0 to U+017F; "" where there is no letter. */
#define LATIN_FIRST 0xC0
static const char latin[][3] = {
    "a", "a", "a", "a", "a", "a", "ae", "c", "e", "e", "e", "e", "i", "i", "i", "i",
    "d", "n", "o", "o", "o", "o", "o", "", "o", "u", "u", "u", "u", "y", "th", "ss",
    "a", "a", "a", "a", "a", "a", "ae", "c", "e", "e", "e", "e", "i", "i", "i", "i",
    "d", "n", "o", "o", "o", "o", "o", "", "o", "u", "u", "u", "u", "y", "th", "y",
    "a", "a", "a", "a", "a", "a", "c", "c", "c", "c", "c", "c", "c", "c", "d", "d",
    "d", "d", "e", "e", "e", "e", "e", "e", "e", "e", "e", "e", "g", "g", "g", "g",
    "g", "g", "g", "g", "h", "h", "h", "h", "i", "i", "i", "i", "i", "i", "i", "i",
    "i", "i", "ij", "ij", "j", "j", "k", "k", "k", "l", "l", "l", "l", "l", "l", "l",
    "l", "l", "l", "n", "n", "n", "n", "n", "n", "n", "n", "n", "o", "o", "o", "o",
    "o", "o", "oe", "oe", "r", "r", "r", "r", "r", "r", "s", "s", "s", "s", "s", "s",
    "s", "s", "t", "t", "t", "t", "t", "t", "u", "u", "u", "u", "u", "u", "u", "u",
    "u", "u", "u", "u", "w", "w", "y", "y", "y", "z", "z", "z", "z", "z", "z", "s",
};
/* clang-format on */
_Static_assert(sizeof latin / sizeof *latin == 0x180 - LATIN_FIRST, "one for each character");

/* Accents that stand behind their letter: e and U+0301 are the same as U+00E9. */
static bool is_accent(uint32_t c)
{
    return c >= 0x300 && c <= 0x36F;
}

/* The character at *s, moved behind it. */
static uint32_t next(const unsigned char **s)
{
    const unsigned char *p = *s;
    size_t more = *p >= 0xF0 ? 3 : *p >= 0xE0 ? 2 : *p >= 0xC0 ? 1 : 0;
    uint32_t c = more ? *p & (0x3Fu >> more) : *p;

    p++;
    for (; more > 0 && (*p & 0xC0) == 0x80; more--)
        c = c << 6 | (*p++ & 0x3F);
    *s = p;
    return c;
}

/* What a character becomes; "" for one that is no letter of ours and no digit. */
static const char *plain(uint32_t c, char one[static 2])
{
    if (c >= LATIN_FIRST && c < LATIN_FIRST + sizeof latin / sizeof *latin)
        return latin[c - LATIN_FIRST];
    one[0] = c < 0x80 && isalnum((int)c) ? (char)tolower((int)c) : '\0';
    one[1] = '\0';
    return one;
}

const char *snake_name(struct arena *mem, const char *name)
{
    const unsigned char *s = (const unsigned char *)name;
    /* No character becomes longer than it is, but for a digit at the beginning. */
    char *out = arena_alloc(mem, strlen(name) + 2), *to = out, one[2];
    bool some = false;

    if (isdigit(*s))
        *to++ = '_';
    while (*s) {
        uint32_t c = next(&s);
        const char *text = plain(c, one);
        size_t n = strlen(text);

        some |= n > 0;
        memcpy(to, text, n);
        to += n;
        if (n == 0 && (to == out || to[-1] != '_') && !(is_accent(c) && to > out))
            *to++ = '_';
    }
    *to = '\0';
    return some ? out : "";
}
