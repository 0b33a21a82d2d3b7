#include "connectors/sql/names.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "connectors/base/hash.h"
#include "connectors/base/snake.h"
#include "connectors/base/text.h"

#define NO_LIMIT   ((size_t)1 << 20)
#define HASH_BYTES 8

/* ---------------------------------------------------------------- characters */

/* The character at *s, which is UTF-8, and moves *s behind it; a stray byte is itself. */
static uint32_t next_character(const char **s)
{
    const unsigned char *p = (const unsigned char *)*s;
    size_t more = *p >= 0xF0 ? 3 : *p >= 0xE0 ? 2 : *p >= 0xC0 ? 1 : 0;
    uint32_t c = more ? *p & (0x3Fu >> more) : *p;

    for (size_t i = 1; i <= more && p[i]; i++)
        c = c << 6 | (p[i] & 0x3F);
    while (more > 0 && !p[more])
        more--;
    *s += more + 1;
    return c;
}

/* Capitals and where their small letters stand: all at one distance, or each behind its own. */
/* clang-format off */
static const struct alphabet {
    uint32_t first, last;
    uint32_t distance;
    bool pairs; /* capital and small letter in turn, from `first` on */
} alphabets[] = {
    {'A',   'Z',   0x20, false},
    {0xC0,  0xD6,  0x20, false}, {0xD8,  0xDE,  0x20, false},
    {0x100, 0x137, 0,    true},  {0x139, 0x148, 0,    true},
    {0x14A, 0x177, 0,    true},  {0x179, 0x17E, 0,    true},
    {0x391, 0x3A9, 0x20, false},
    {0x400, 0x40F, 0x50, false}, {0x410, 0x42F, 0x20, false}, {0x460, 0x4FF, 0, true},
};
/* clang-format on */

/*
 * The small letter of a Latin, Greek or Cyrillic one. Databases know more pairs than these, but
 * they are the ones that occur in the names of one table beside each other.
 */
static uint32_t fold(uint32_t c)
{
    for (size_t i = 0; i < sizeof alphabets / sizeof alphabets[0]; i++) {
        const struct alphabet *a = &alphabets[i];

        if (c >= a->first && c <= a->last)
            return a->pairs ? c + (c % 2 == a->first % 2) : c + a->distance;
    }
    return c;
}

int names_compare(const char *a, const char *b)
{
    for (;;) {
        uint32_t x = fold(next_character(&a)), y = fold(next_character(&b));

        if (x != y)
            return x < y ? -1 : 1;
        if (x == 0)
            return 0;
    }
}

static size_t length(const struct names_rule *rule, const char *s)
{
    size_t n = 0;

    if (!rule->counts_characters)
        return strlen(s);
    while (*s) {
        next_character(&s);
        n++;
    }
    return n;
}

/* Bytes of the longest beginning of `s` that has at most `max` of what the rule counts. */
static size_t prefix(const struct names_rule *rule, const char *s, size_t max)
{
    const char *p = s;

    if (!rule->counts_characters)
        return text_utf8_prefix(s, strlen(s), max);
    for (size_t n = 0; *p && n < max; n++)
        next_character(&p);
    return (size_t)(p - s);
}

/* ---------------------------------------------------------------------- names */

static size_t limit_of(const struct names_rule *rule)
{
    return rule->limit ? rule->limit : NO_LIMIT;
}

/* The beginning of `base` that leaves room for '_' and `digits` of the hash of `full`. */
static const char *with_hash(struct arena *mem, const char *base, const char *full,
                             const struct names_rule *rule, size_t limit, size_t digits)
{
    char hex[HASH_HEX_BYTES];
    size_t n = strlen(base);

    hash_bytes_hex(full, strlen(full), hex);
    if (length(rule, base) + 1 + digits > limit)
        n = prefix(rule, base, limit - 1 - digits);
    return arena_printf(mem, "%.*s_%.*s", (int)n, base, (int)digits, hex);
}

/* Without what the database does not take; `s` itself when it takes everything. */
static const char *legal(struct arena *mem, const struct names_rule *rule, const char *s)
{
    size_t n = strlen(s);
    char *copy, *to;

    if (!rule->refuses_supplementary && !rule->refuses_blank_end)
        return s;
    copy = to = arena_alloc(mem, n + 1);
    for (const char *p = s; *p;) {
        const char *from = p;

        if (next_character(&p) > 0xFFFF && rule->refuses_supplementary) {
            *to++ = '_';
        } else {
            memcpy(to, from, (size_t)(p - from));
            to += p - from;
        }
    }
    while (rule->refuses_blank_end && to > copy && to[-1] == ' ')
        to--;
    *to = '\0';
    return strcmp(copy, s) ? copy : s;
}

/* "t__g12": how names_generation calls things, so no source may. */
static bool looks_like_generation(const char *name)
{
    size_t n = strlen(name), end = n;

    while (end > 0 && isdigit((unsigned char)name[end - 1]))
        end--;
    return end < n && end >= 3 && strncmp(name + end - 3, "__g", 3) == 0;
}

static bool is_reserved(const struct names_rule *rule, const char *s)
{
    for (const char *const *r = rule->reserved; r && *r; r++) {
        if (strcmp(*r, s) == 0)
            return true;
    }
    return false;
}

static bool has_our_prefix(const char *s)
{
    return strncasecmp(s, NAMES_PREFIX, strlen(NAMES_PREFIX)) == 0;
}

/* The name that is asked for, whether it can be had or not. */
static const char *wish_of(struct arena *mem, const struct name_pair *pair)
{
    return pair->snake ? snake_name(mem, pair->source) : pair->source;
}

/* The name by itself, before its siblings are looked at. */
static const char *candidate(struct arena *mem, enum names_kind kind, const struct names_rule *rule,
                             const struct name_pair *pair)
{
    const char *source = wish_of(mem, pair);
    const char *full = pair->identity ? pair->identity : pair->source;
    const char *base = legal(mem, rule, source);
    size_t limit = limit_of(rule);

    if (*source == '\0')
        return with_hash(mem, "", full, rule, limit, HASH_BYTES);
    if (has_our_prefix(source))
        return with_hash(mem, base + 1, full, rule, limit, HASH_BYTES);
    if (kind == NAMES_TABLE && strncasecmp(source, "sqlite_", 7) == 0)
        return with_hash(mem, arena_printf(mem, "_%s", base), full, rule, limit, HASH_BYTES);
    if (base != source || (kind == NAMES_TABLE && looks_like_generation(source)) ||
        (kind == NAMES_COLUMN && is_reserved(rule, source)) || length(rule, source) > limit)
        return with_hash(mem, base, full, rule, limit, HASH_BYTES);
    return source;
}

/* More digits until nobody else has the name: a source may contain what looks like our suffix. */
static const char *distinct(struct arena *mem, const struct name_pair *pairs, size_t n, size_t self,
                            const struct names_rule *rule)
{
    const char *source = pairs[self].source, *name = NULL;
    const char *base = legal(mem, rule, wish_of(mem, &pairs[self]));
    size_t limit = limit_of(rule);

    if (has_our_prefix(base))
        base++;
    for (size_t digits = HASH_BYTES; digits <= 64; digits += HASH_BYTES) {
        bool clash = false;

        name = with_hash(mem, base, pairs[self].identity ? pairs[self].identity : source, rule,
                         limit, digits);
        for (size_t i = 0; i < n && !clash; i++)
            clash = i != self && ((pairs[i].name && names_compare(name, pairs[i].name) == 0) ||
                                  names_compare(name, pairs[i].source) == 0);
        if (!clash || digits + HASH_BYTES + 1 >= limit)
            break;
    }
    return name;
}

struct wish {
    const char *name;
    size_t pair;
    bool given, changed;
};

static int by_name(const void *a, const void *b)
{
    const struct wish *x = a, *y = b;
    int order = names_compare(x->name, y->name);

    return order ? order : (x->pair > y->pair) - (x->pair < y->pair);
}

/* Gives names to those of a set with the same wish that may have it. */
static void settle(struct name_pair *pairs, const struct wish *set, size_t n)
{
    size_t given = 0, unchanged = 0;

    for (size_t i = 0; i < n; i++) {
        given += set[i].given;
        unchanged += !set[i].given && !set[i].changed;
    }
    for (size_t i = 0; i < n && given == 0; i++) {
        if (n == 1 || (!set[i].changed && unchanged == 1))
            pairs[set[i].pair].name = set[i].name;
    }
}

void names_assign(struct arena *mem, enum names_kind kind, const struct names_rule *rule,
                  struct name_pair *pairs, size_t n)
{
    struct wish *wishes = arena_array(mem, n + 1, sizeof *wishes);

    for (size_t i = 0; i < n; i++) {
        bool given = pairs[i].name != NULL;
        const char *name = given ? pairs[i].name : candidate(mem, kind, rule, &pairs[i]);

        wishes[i] = (struct wish){name, i, given, strcmp(name, pairs[i].source) != 0};
    }
    qsort(wishes, n, sizeof *wishes, by_name);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && names_compare(wishes[end].name, wishes[i].name) == 0;)
            end++;
        settle(pairs, wishes + i, end - i);
    }
    for (size_t i = 0; i < n; i++) {
        if (!pairs[i].name)
            pairs[i].name = distinct(mem, pairs, n, i, rule);
    }
}

const char *names_generation(struct arena *mem, const char *table, long long generation,
                             const struct names_rule *rule)
{
    const char *suffix = arena_printf(mem, "__g%lld", generation);
    size_t limit = limit_of(rule), room = limit - strlen(suffix);

    if (length(rule, table) <= room)
        return arena_printf(mem, "%s%s", table, suffix);
    return arena_printf(mem, "%s%s", with_hash(mem, table, table, rule, room, HASH_BYTES), suffix);
}

const char *names_key_index(struct arena *mem, const char *table, long long generation)
{
    char hex[HASH_HEX_BYTES];
    const char *full = arena_printf(mem, "%s/%lld", table, generation);

    hash_bytes_hex(full, strlen(full), hex);
    return arena_printf(mem, NAMES_PREFIX "key_%.16s", hex);
}
