/*
 * redact_forms.h - how a secret may be written where it should not be: private to redact.c.
 */
#ifndef CONNECTORS_BASE_REDACT_FORMS_H
#define CONNECTORS_BASE_REDACT_FORMS_H

#include <stddef.h>

/* Receives one form; short ones included. */
typedef void redact_form_fn(void *arg, const char *form, size_t n);

/* As it is, and escaped for URLs, base64 at each alignment, JSON and SQL; a long one in pieces, one
 * of several lines also line by line. A form may come more than once. */
void redact_forms(const char *secret, size_t n, redact_form_fn *each, void *arg);

#endif
