/*
 * Declared types of SQLite are free text, so words decide, never substrings: INTERVAL, POINT and
 * "print" all contain "int".
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "connectors/base/text.h"
#include "connectors/sql/sqlite.h"

enum match { MATCH_START, MATCH_WORD }; /* of the whole text; of one of its words */

/* clang-format off */
/* The first row that fits wins. */
static const struct {
    enum match how;
    const char *word;
    enum type type;
} words[] = {
    {MATCH_START, "INTERVAL",                 TYPE_INTERVAL},
    {MATCH_START, "TIMESTAMPTZ",              TYPE_TIMESTAMPTZ},
    {MATCH_START, "TIMESTAMP WITH TIME ZONE", TYPE_TIMESTAMPTZ},
    {MATCH_START, "TIMESTAMP",                TYPE_TIMESTAMP},
    {MATCH_START, "DATETIME",                 TYPE_TIMESTAMP},
    {MATCH_START, "DATE",                     TYPE_DATE},
    {MATCH_START, "TIME",                     TYPE_TIME},
    {MATCH_START, "BOOL",                     TYPE_BOOL},
    {MATCH_START, "DECIMAL",                  TYPE_DECIMAL},
    {MATCH_START, "NUMERIC",                  TYPE_DECIMAL},
    {MATCH_START, "REAL",                     TYPE_FLOAT},
    {MATCH_START, "FLOAT",                    TYPE_FLOAT},
    {MATCH_START, "DOUB",                     TYPE_FLOAT},
    {MATCH_START, "UUID",                     TYPE_UUID},
    {MATCH_START, "JSON",                     TYPE_JSON},
    {MATCH_START, "INT",                      TYPE_INT},
    {MATCH_WORD,  "INT",                      TYPE_INT},
    {MATCH_WORD,  "INTEGER",                  TYPE_INT},
    {MATCH_WORD,  "TINYINT",                  TYPE_INT},
    {MATCH_WORD,  "SMALLINT",                 TYPE_INT},
    {MATCH_WORD,  "MEDIUMINT",                TYPE_INT},
    {MATCH_WORD,  "BIGINT",                   TYPE_INT},
    {MATCH_START, "TEXT",                     TYPE_STRING},
    {MATCH_START, "CLOB",                     TYPE_STRING},
    {MATCH_START, "CHAR",                     TYPE_STRING},
    {MATCH_START, "VARCHAR",                  TYPE_STRING},
    {MATCH_START, "NCHAR",                    TYPE_STRING},
    {MATCH_START, "NVARCHAR",                 TYPE_STRING},
    {MATCH_START, "NATIVE CHARACTER",         TYPE_STRING},
    {MATCH_START, "VARYING CHARACTER",        TYPE_STRING},
    {MATCH_START, "BLOB",                     TYPE_BYTES},
    {MATCH_START, "TINYBLOB",                 TYPE_BYTES},
    {MATCH_START, "MEDIUMBLOB",               TYPE_BYTES},
    {MATCH_START, "LONGBLOB",                 TYPE_BYTES},
    {MATCH_START, "BINARY",                   TYPE_BYTES},
    {MATCH_START, "VARBINARY",                TYPE_BYTES},
    {MATCH_START, "BYTEA",                    TYPE_BYTES},
};
/* clang-format on */

static bool has_word(const char *text, const char *word)
{
    size_t n = strlen(word);

    for (const char *at = strstr(text, word); at; at = strstr(at + 1, word)) {
        if ((at == text || at[-1] == ' ') && (at[n] == '\0' || at[n] == ' '))
            return true;
    }
    return false;
}

/* "(15,2)" into precision and scale; anything else leaves the type unconstrained. */
static void read_digits(const char *open, struct column_type *t)
{
    const char *comma = strchr(open, ','), *close = strchr(open, ')');
    int64_t precision, scale = 0;
    size_t n;

    if (!close)
        return;
    n = (size_t)((comma && comma < close ? comma : close) - open - 1);
    if (!text_to_int64(open + 1, n, &precision) || precision < 1 || precision > 1000)
        return;
    if (comma && comma < close) {
        comma++;
        while (*comma == ' ')
            comma++;
        if (!text_to_int64(comma, (size_t)(close - comma), &scale) || scale < 0 ||
            scale > precision)
            return;
    }
    t->precision = (uint16_t)precision;
    t->scale = (int16_t)scale;
}

/* Words only: upper case, one blank between, the part in parentheses left out. */
static void normalise(const char *declared, char *text, size_t size)
{
    size_t n = 0;

    for (const char *s = declared; *s && n + 1 < size; s++) {
        if (*s == '(') {
            s = strchr(s, ')');
            if (!s)
                break;
            continue;
        }
        if (*s == ' ' && (n == 0 || text[n - 1] == ' '))
            continue;
        text[n++] = (char)toupper((unsigned char)*s);
    }
    while (n > 0 && text[n - 1] == ' ')
        n--;
    text[n] = '\0';
}

bool sqlite_parse_type(const char *declared, struct column_type *out)
{
    const char *open = strchr(declared, '(');
    char text[128];

    normalise(declared, text, sizeof text);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (words[i].how == MATCH_START ? !text_starts_with(text, words[i].word)
                                        : !has_word(text, words[i].word))
            continue;
        *out = type_plain(words[i].type);
        if (words[i].type == TYPE_DECIMAL && open)
            read_digits(open, out);
        return true;
    }
    return false;
}

void sqlite_tell_types(tell_fn *tell, void *arg)
{
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        char shown[64];

        snprintf(shown, sizeof shown, words[i].how == MATCH_START ? "%s..." : "... %s ...",
                 words[i].word);
        tell(arg, shown, type_name(words[i].type));
    }
    tell(arg, "anything else, and nothing", "what the values of a sample are");
}
