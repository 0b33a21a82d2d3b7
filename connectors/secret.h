/*
 * secret.h - which texts of a configuration are secrets.
 *
 * The option tables of connectors say it for their own settings. A program that is not ours has
 * settings of all kinds (OPTION_SETTINGS), most of them words that occur everywhere; there a text
 * is a secret when one of these says so:
 *
 *   - the name it stands under, or one above that ("password", "apiKey", "credentials");
 *   - the schema of the program, where it is known (writeOnly, format "password", "secret");
 *   - its look: the password of a URL, the value of "password=..." in a line of such pairs, a
 * private key in PEM, a word that looks drawn at random, as tokens do.
 *
 * In doubt it is one: a masked word is a nuisance, a secret in a log is not taken back.
 */
#ifndef CONNECTORS_SECRET_H
#define CONNECTORS_SECRET_H

#include "connectors/option.h"

struct redactor;

/* Texts that were found; the caller owns it by value, the texts live in `mem`. */
struct secrets {
    struct arena *mem;
    const char **items;
    size_t n, cap;
};
#define SECRETS_INIT(arena) ((struct secrets){.mem = (arena)})

/* The text, and what a program may show of it alone: the rest behind "Bearer ". */
void secrets_add(struct secrets *s, const char *text);
/* Of what a table calls secret; of OPTION_SETTINGS those that are. */
__attribute__((nonnull(1, 2))) void
secrets_add_options(struct secrets *s, const struct option *table, const struct doc *config);
/* Of settings of all kinds. `schema` is the program's, NULL where it is not known. */
__attribute__((nonnull(1))) void secrets_add_settings(struct secrets *s, const struct doc *settings,
                                                      const struct doc *schema);

/* All of them at once: what a redactor looks for is built once. */
void secrets_keep_out(const struct secrets *s, struct redactor *redactor);

/* Whether what is called so is a secret: in snake_case, kebab-case and camelCase. */
bool secret_is_name(const char *name);
/* Whether a text looks drawn at random. */
bool secret_is_random(const char *text);

#endif
