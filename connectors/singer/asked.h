/*
 * asked.h - what a listed program's configuration looks like, as its operator or the program says.
 *
 * The operator's config_schema counts. A program without one is asked: with --spec, which programs
 * of ours answer with a schema and a template, and then with --show_templates, which gives a
 * template alone. An answer, or that there is none, is kept for a while. Safe from any thread.
 */
#ifndef CONNECTORS_SINGER_ASKED_H
#define CONNECTORS_SINGER_ASKED_H

#include "connectors/connector.h"
#include "connectors/singer/program.h"

#define ASKED_WAIT_MS   10000 /* for one answer; a program that takes longer gives none */
#define ASKED_KEPT_S    600
#define ASKED_MAX_BYTES ((size_t)1 << 20)

/* May start the program twice. The caller owns both documents; NULL = nobody says. */
void asked_config(const struct program *p, struct doc **out_schema, struct doc **out_template);

/*
 * Adds what is wrong with the configuration of the program of this name; `pointer` is where it
 * stands. Of the schema, types, enum, required, properties, additionalProperties, items and the
 * bounds of numbers and of lengths are looked at. NULL is an empty object. A program that is not
 * listed, or that does not say, accepts everything.
 */
__attribute__((nonnull(1, 3, 4))) void asked_judge(const char *program, const struct doc *config,
                                                   const char *pointer, struct problems *problems);

/*
 * The secrets of a program's configuration (secret.h), which the run's redactor is told too. Of the
 * schema what was last said counts, however long ago that was; a program is asked when it never
 * was.
 */
__attribute__((nonnull(1, 3))) struct string_list
asked_secrets(const struct program *p, const struct doc *config, struct run *run);

/* Puts what the program says into the schema, or the template, of a connector that runs it. Fails
 * as program_find does. */
CHECKED int asked_complete_schema(const char *program, struct doc *schema, struct error *err);
CHECKED int asked_complete_template(const char *program, struct doc *template, struct error *err);

#endif
