#include "connectors/sql/names.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "connectors/base/hash.h"
#include "connectors/base/text.h"

#define NO_LIMIT   ((size_t)1 << 20)
#define HASH_BYTES 8

/* The first bytes of `base` that leave room for '_' and `digits` of the hash of `full`. */
static const char *with_hash(struct arena *mem, const char *base, const char *full, size_t limit,
                             size_t digits)
{
    char hex[HASH_HEX_BYTES];
    size_t n = strlen(base);

    hash_bytes_hex(full, strlen(full), hex);
    if (n + 1 + digits > limit)
        n = text_utf8_prefix(base, n, limit - 1 - digits);
    return arena_printf(mem, "%.*s_%.*s", (int)n, base, (int)digits, hex);
}

/* "t__g12": how names_generation calls things, so no source may. */
static bool looks_like_generation(const char *name)
{
    size_t n = strlen(name), end = n;

    while (end > 0 && isdigit((unsigned char)name[end - 1]))
        end--;
    return end < n && end >= 3 && strncmp(name + end - 3, "__g", 3) == 0;
}

/* The name by itself, before its siblings are looked at. */
static const char *candidate(struct arena *mem, enum names_kind kind, size_t limit,
                             const struct name_pair *pair)
{
    const char *source = pair->source, *full = pair->identity ? pair->identity : source;

    if (*source == '\0')
        return with_hash(mem, "", full, limit, HASH_BYTES);
    if (strncasecmp(source, NAMES_PREFIX, strlen(NAMES_PREFIX)) == 0)
        return with_hash(mem, source + 1, full, limit, HASH_BYTES);
    if (kind == NAMES_TABLE && strncasecmp(source, "sqlite_", 7) == 0)
        return with_hash(mem, arena_printf(mem, "_%s", source), full, limit, HASH_BYTES);
    if (kind == NAMES_TABLE && looks_like_generation(source))
        return with_hash(mem, source, full, limit, HASH_BYTES);
    if (strlen(source) > limit)
        return with_hash(mem, source, full, limit, HASH_BYTES);
    return source;
}

static bool is_taken(const char *name, const char *const *taken, size_t n_taken)
{
    for (size_t i = 0; i < n_taken; i++) {
        if (strcasecmp(name, taken[i]) == 0)
            return true;
    }
    return false;
}

/* More digits until nobody else has the name: a source may contain what looks like our suffix. */
static const char *distinct(struct arena *mem, const struct name_pair *pairs, size_t n, size_t self,
                            size_t limit, const char *const *taken, size_t n_taken)
{
    const char *source = pairs[self].source;
    const char *base =
        strncasecmp(source, NAMES_PREFIX, strlen(NAMES_PREFIX)) ? source : source + 1;
    const char *name = NULL;

    for (size_t digits = HASH_BYTES; digits <= 64; digits += HASH_BYTES) {
        bool clash;

        name = with_hash(mem, base, pairs[self].identity ? pairs[self].identity : source, limit,
                         digits);
        clash = is_taken(name, taken, n_taken);
        for (size_t i = 0; i < n && !clash; i++)
            clash = i != self && ((pairs[i].name && strcasecmp(name, pairs[i].name) == 0) ||
                                  strcasecmp(name, pairs[i].source) == 0);
        if (!clash || digits + HASH_BYTES + 1 >= limit)
            break;
    }
    return name;
}

void names_assign(struct arena *mem, enum names_kind kind, size_t limit, struct name_pair *pairs,
                  size_t n, const char *const *taken, size_t n_taken)
{
    const char **wanted = arena_array(mem, n + 1, sizeof *wanted);
    bool *collides = arena_array(mem, n + 1, sizeof *collides);

    if (limit == 0)
        limit = NO_LIMIT;
    for (size_t i = 0; i < n; i++) {
        if (!pairs[i].name)
            wanted[i] = candidate(mem, kind, limit, &pairs[i]);
    }
    for (size_t i = 0; i < n; i++) {
        size_t same = 0, unchanged = 0;

        if (pairs[i].name)
            continue;
        collides[i] = is_taken(wanted[i], taken, n_taken);
        for (size_t j = 0; j < n; j++) {
            if (j == i)
                continue;
            if (pairs[j].name) {
                collides[i] |= strcasecmp(pairs[j].name, wanted[i]) == 0;
            } else if (strcasecmp(wanted[j], wanted[i]) == 0) {
                same++;
                unchanged += strcmp(wanted[j], pairs[j].source) == 0;
            }
        }
        if (same > 0 && (unchanged > 0 || strcmp(wanted[i], pairs[i].source) != 0))
            collides[i] = true;
    }
    for (size_t i = 0; i < n; i++) {
        if (wanted[i] && !collides[i])
            pairs[i].name = wanted[i];
    }
    for (size_t i = 0; i < n; i++) {
        if (!pairs[i].name)
            pairs[i].name = distinct(mem, pairs, n, i, limit, taken, n_taken);
    }
}

const char *names_generation(struct arena *mem, const char *table, long long generation,
                             size_t limit)
{
    const char *suffix = arena_printf(mem, "__g%lld", generation);
    size_t n = strlen(table), room;

    if (limit == 0 || n + strlen(suffix) <= limit)
        return arena_printf(mem, "%s%s", table, suffix);
    room = limit - strlen(suffix);
    return arena_printf(mem, "%s%s", with_hash(mem, table, table, room, HASH_BYTES), suffix);
}

const char *names_key_index(struct arena *mem, const char *table, long long generation)
{
    char hex[HASH_HEX_BYTES];
    const char *full = arena_printf(mem, "%s/%lld", table, generation);

    hash_bytes_hex(full, strlen(full), hex);
    return arena_printf(mem, NAMES_PREFIX "key_%.16s", hex);
}
