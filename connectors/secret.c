#include "connectors/secret.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "connectors/base/arena.h"
#include "connectors/base/buf.h"
#include "connectors/base/redact.h"
#include "connectors/base/text.h"

#define MAX_NAME  ((size_t)128) /* longer ones are looked at so far */
#define MAX_TEXT  ((size_t)16 << 20)
#define MAX_DEPTH 64

/* ------------------------------------------------------------------------ names */

/* "apiKey", "API-KEY" and "api key" as "_api_key_", "API_KEY2" as "_api_key_2_", so that a word is
 * found as "_key_". */
static void words_of(const char *name, struct buf *out)
{
    bool lower = false, letter = false;

    buf_putc(out, '_');
    for (size_t i = 0; i < MAX_NAME && name[i]; i++) {
        unsigned char c = (unsigned char)name[i];

        if ((isupper(c) && lower) || (isdigit(c) && letter))
            buf_putc(out, '_');
        buf_putc(out, isalnum(c) ? (char)tolower(c) : '_');
        lower = islower(c) != 0;
        letter = isalpha(c) != 0;
    }
    buf_putc(out, '_');
}

static bool has_any(const char *words, const char *const *list)
{
    for (; *list; list++) {
        if (strstr(words, *list))
            return true;
    }
    return false;
}

bool secret_is_name(const char *name)
{
    /* clang-format off */
    static const char *const always[] = {
        "passw", "passphrase", "_pass_", "_pwd_", "secret", "token", "credential", "private",
        "authoriz", "bearer", "cookie", "signature", "apikey", "accesskey", "_dsn_", "_webhook_",
        "_connection_string_", "_connstring_", "_connection_uri_", NULL};
    /* Keys of rows and of objects. */
    static const char *const of_data[] = {
        "primary_key", "foreign_key", "partition_key", "sort_key", "unique_key", "natural_key",
        "surrogate_key", "replication_key", "bookmark_key", "cursor_key", "public_key",
        "key_propert", "key_column", "key_field", "key_name", "key_required", "key_prefix", NULL};
    /* clang-format on */
    CLEANUP(buf_release) struct buf words = BUF_INIT(4 * MAX_NAME);

    words_of(name, &words);
    if (has_any(buf_str(&words), always))
        return true;
    return strstr(buf_str(&words), "_key_") && !has_any(buf_str(&words), of_data);
}

/* ------------------------------------------------------------------------ looks */

#define LEAST_RANDOM 20 /* shorter words are names, as "customers2024Q1" is */

static double bits_per_character(const char *s, size_t n)
{
    size_t count[256] = {0};
    double bits = 0;

    for (size_t i = 0; i < n; i++)
        count[(unsigned char)s[i]]++;
    for (size_t i = 0; i < sizeof count / sizeof *count; i++) {
        double p = (double)count[i] / (double)n;

        bits -= count[i] ? p * log2(p) : 0;
    }
    return bits;
}

static bool is_uuid(const char *s, size_t n)
{
    size_t digits = 0;

    for (size_t i = 0; i < n; i++)
        digits += isxdigit((unsigned char)s[i]) != 0;
    return n == 36 && digits == 32 && s[8] == '-' && s[13] == '-' && s[18] == '-';
}

/* A stretch of letters and digits that go from one to the other and back, as words do not. */
static bool has_mixed_stretch(const char *s)
{
    size_t n = 0, changes = 0;

    for (;; s++) {
        if (!isalnum((unsigned char)*s)) {
            if (n >= LEAST_RANDOM && changes >= 3)
                return true;
            n = changes = 0;
            if (!*s)
                return false;
            continue;
        }
        changes += n > 0 && !isdigit((unsigned char)s[0]) != !isdigit((unsigned char)s[-1]);
        n++;
    }
}

bool secret_is_random(const char *text)
{
    size_t n = strlen(text), upper = 0, lower = 0, digits = 0;

    if (n < LEAST_RANDOM)
        return false;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];

        if (!isalnum(c) && !strchr("+/=_-.~", c))
            return false;
        upper += isupper(c) != 0;
        lower += islower(c) != 0;
        digits += isdigit(c) != 0;
    }
    if (is_uuid(text, n) || has_mixed_stretch(text))
        return true;
    /* A path begins like one, and the name of a host is of small letters. */
    return !strchr("/.~", *text) && upper > 0 && lower > 0 && digits > 0 &&
           bits_per_character(text, n) >= 3.5;
}

/* ----------------------------------------------------------------- parts of texts */

static void put(struct secrets *s, const char *text, size_t n)
{
    if (n < REDACT_MIN)
        return;
    if (s->n == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 16;
        const char **items = arena_array(s->mem, cap, sizeof *items);

        if (s->n > 0)
            memcpy(items, s->items, s->n * sizeof *items);
        s->items = items;
        s->cap = cap;
    }
    s->items[s->n++] = arena_memdup(s->mem, text, n);
}

/* As it is, and with its percent escapes decoded. */
static void put_escaped(struct secrets *s, const char *text, size_t n)
{
    CLEANUP(buf_release) struct buf plain = BUF_INIT(MAX_TEXT);

    put(s, text, n);
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '%' && i + 2 < n && text_unhex(&plain, text + i + 1, 2))
            i += 2;
        else
            buf_putc(&plain, text[i]);
    }
    if (plain.len < n)
        put(s, buf_str(&plain), plain.len);
}

/* "scheme://user:password@host/": the password; without one, what stands in place of the user. */
static void put_user_info(struct secrets *s, const char *text)
{
    for (const char *at = strstr(text, "://"); at; at = strstr(at, "://")) {
        size_t n, whole, user;

        at += 3;
        whole = strcspn(at, "/?# \t\r\n\"'");
        for (n = whole; n > 0 && at[n - 1] != '@';)
            n--;
        if (n == 0)
            continue;
        n--;
        user = strcspn(at, ":");
        if (user < n)
            put_escaped(s, at + user + 1, n - user - 1);
        else
            put_escaped(s, at, n);
    }
}

/* "name=value" of a query, a connection string or a cookie, where the name is a secret's. */
static void put_pairs(struct secrets *s, const char *text)
{
    static const char ends[] = "&; \t\r\n,";

    for (const char *equals = strchr(text, '='); equals; equals = strchr(equals + 1, '=')) {
        const char *name = equals, *value = equals + 1;
        char own[MAX_NAME];
        size_t n;

        while (name > text && name[-1] == ' ')
            name--;
        n = (size_t)(name - text);
        while (name > text && (isalnum((unsigned char)name[-1]) || strchr("_-. ", name[-1])))
            name--;
        n -= (size_t)(name - text);
        if (n == 0 || n >= sizeof own)
            continue;
        memcpy(own, name, n);
        own[n] = '\0';
        if (!secret_is_name(own))
            continue;
        value += strspn(value, " ");
        if (*value && strchr("'\"{", *value)) {
            char close[] = {(char)(*value == '{' ? '}' : *value), '\0'};

            put_escaped(s, value + 1, strcspn(value + 1, close));
        } else {
            put_escaped(s, value, strcspn(value, ends));
        }
    }
}

/* What a text has of secrets, whatever it is called. */
static void put_parts(struct secrets *s, const char *text)
{
    put_user_info(s, text);
    put_pairs(s, text);
    if (secret_is_random(text) || strstr(text, "PRIVATE KEY-----"))
        put(s, text, strlen(text));
}

void secrets_add(struct secrets *s, const char *text)
{
    static const char *const schemes[] = {"Bearer ", "Basic ", "Token ", "ApiKey "};

    put(s, text, strlen(text));
    put_parts(s, text);
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        size_t n = strlen(schemes[i]);

        if (!strncasecmp(text, schemes[i], n))
            put(s, text + n, strlen(text + n));
    }
}

/* -------------------------------------------------------------------- documents */

/* How schemas of several makers say that a value is one. */
static bool is_marked(const struct doc *schema)
{
    return doc_bool(doc_get(schema, "writeOnly"), false) ||
           doc_bool(doc_get(schema, "secret"), false) ||
           doc_bool(doc_get(schema, "airbyte_secret"), false) ||
           !strcmp(doc_string(doc_get(schema, "format"), ""), "password");
}

static const struct doc *shape_of(const struct doc *schema, const char *name)
{
    const struct doc *shape = doc_get(doc_get(schema, "properties"), name);

    return shape ? shape : doc_get(schema, "additionalProperties");
}

/* {"name": "Authorization", "value": ".."}: the name stands in a value. */
static bool is_pair_of_secret(const struct doc *d)
{
    return secret_is_name(doc_string(doc_get(d, "name"), "")) ||
           secret_is_name(doc_string(doc_get(d, "key"), ""));
}

/* The alternatives of a schema count, each of them. */
static bool marked_anywhere(const struct doc *schema, const char *name, int depth)
{
    static const char *const lists[] = {"oneOf", "anyOf", "allOf"};
    const struct doc *shape = shape_of(schema, name);

    if (is_marked(shape))
        return true;
    for (size_t i = 0; depth < MAX_DEPTH && i < sizeof lists / sizeof *lists; i++) {
        const struct doc *list = doc_get(schema, lists[i]), *of_member = doc_get(shape, lists[i]);

        for (size_t k = 0; k < doc_count(of_member); k++) {
            if (is_marked(doc_at(of_member, k)))
                return true;
        }
        for (size_t k = 0; k < doc_count(list); k++) {
            if (marked_anywhere(doc_at(list, k), name, depth + 1))
                return true;
        }
    }
    return false;
}

static void collect(struct secrets *s, const struct doc *d, const struct doc *schema, bool secret)
{
    const char *text = doc_string(d, NULL);

    if (text && secret)
        secrets_add(s, text);
    else if (text)
        put_parts(s, text);
    for (size_t i = 0; doc_is(d, DOC_ARRAY) && i < doc_count(d); i++)
        collect(s, doc_at(d, i), doc_get(schema, "items"),
                secret || is_marked(doc_get(schema, "items")));
    if (!doc_is(d, DOC_OBJECT))
        return;
    secret |= is_pair_of_secret(d);
    for (const struct doc_member *m = doc_first(d); m; m = doc_next(d, m)) {
        const char *name = doc_member_key(m);

        collect(s, doc_member_value(m), shape_of(schema, name),
                secret || secret_is_name(name) || marked_anywhere(schema, name, 0));
    }
}

void secrets_add_settings(struct secrets *s, const struct doc *settings, const struct doc *schema)
{
    collect(s, settings, schema, is_marked(schema));
}

void secrets_add_options(struct secrets *s, const struct option *table, const struct doc *config)
{
    for (const struct option *o = table; o->name; o++) {
        if (o->flags & OPTION_SECRET)
            collect(s, doc_get(config, o->name), NULL, !(o->flags & OPTION_SETTINGS));
    }
}

void secrets_keep_out(const struct secrets *s, struct redactor *redactor)
{
    redactor_add_list(redactor, s->items, s->n);
}
