/*
 * error.h - why something failed: a class for machines, a reason for programs, a sentence for
 * people.
 *
 * A `struct error` belongs to the caller, has a fixed size, is set once where the failure is found
 * and wrapped with context on the way up. It is logged once, at the edge. Not shared between
 * threads.
 */
#ifndef CONNECTORS_BASE_ERROR_H
#define CONNECTORS_BASE_ERROR_H

#include <stdbool.h>
#include <stddef.h>

#include "connectors/base/cleanup.h"

/*
 * The classes decide what happens next: whether the same work is tried again, and which status an
 * HTTP caller gets. The columns are: enumerator, wire name, retry.
 */
/* clang-format off */
#define ERROR_CODES(X)                                                                             \
    X(INVALID,      "invalid_argument",  false)  /* the caller sent nonsense                    */ \
    X(CONFIG,       "config_error",      false)  /* a connector's settings are wrong            */ \
    X(UNAUTHORIZED, "auth_failed",       false)  /* the remote refused our identity             */ \
    X(PERMISSION,   "permission_denied", false)  /* our identity may not do this                */ \
    X(NOT_FOUND,    "not_found",         false)  /* the named thing does not exist              */ \
    X(CONFLICT,     "conflict",          false)  /* contradicts the present state               */ \
    X(TOO_LARGE,    "too_large",         false)  /* a documented limit was exceeded             */ \
    X(DATA,         "data_error",        false)  /* a value cannot be read or stored            */ \
    X(SCHEMA,       "schema_changed",    false)  /* the shape cannot be made to fit             */ \
    X(TRANSIENT,    "transient",         true)   /* asking again may succeed                    */ \
    X(CONTENTION,   "contention",        true)   /* somebody else holds a lock                  */ \
    X(RATE_LIMITED, "rate_limited",      true)   /* the remote asked us to slow down            */ \
    X(RESOURCE,     "resource",          true)   /* disk, memory or descriptors are used up     */ \
    X(FENCED,       "fenced",            false)  /* another worker owns this work now           */ \
    X(RESYNC,       "resync_required",   false)  /* the position no longer means anything       */ \
    X(UNSUPPORTED,  "not_supported",     false)  /* this connector cannot do that               */ \
    X(CANCELLED,    "cancelled",         false)  /* we were told to stop                        */ \
    X(INTERNAL,     "internal",          false)  /* our own broken invariant                    */
/* clang-format on */

enum error_code {
    ERR_NONE = 0,
#define X(name, wire, retry) ERR_##name,
    ERROR_CODES(X)
#undef X
        ERR_CODE_COUNT
};

#define ERROR_MESSAGE_BYTES 1024 /* the detail limit of a problem document */

struct error {
    enum error_code code;
    const char *reason; /* stable identifier, a constant; NULL means the wire name of the code */
    const char *file;   /* where it was first set */
    int line;
    char message[ERROR_MESSAGE_BYTES]; /* one sentence of UTF-8, no newline, no secret */
};

#define ERROR_INIT ((struct error){.code = ERR_NONE})

/*
 * All four return -1, so failing is one line. They are macros so that whoever reads the code of a
 * caller, a static analyser included, sees that it is -1 and not just any int.
 *
 * error_set         sets *err, which must be unset; a format and its arguments follow
 * error_set_reason  the same with a reason more specific than the class, a string constant
 * error_set_errno   class and reason by cause, from the errno of a failed system call
 * error_wrap        puts "context: " in front of the message of an error that is set
 */
#define error_set(err, code, ...) \
    (error_set_at((err), (code), NULL, __FILE__, __LINE__, __VA_ARGS__), error_failed())
#define error_set_reason(err, code, why, ...) \
    (error_set_at((err), (code), (why), __FILE__, __LINE__, __VA_ARGS__), error_failed())
#define error_set_errno(err, errno_value, ...) \
    (error_set_errno_at((err), (errno_value), __FILE__, __LINE__, __VA_ARGS__), error_failed())
#define error_wrap(err, ...) (error_put_context((err), __VA_ARGS__), error_failed())

static inline int error_failed(void)
{
    return -1;
}

__attribute__((format(printf, 6, 7), nonnull(1, 4, 6))) void
error_set_at(struct error *err, enum error_code code, const char *reason, const char *file,
             int line, const char *fmt, ...);
__attribute__((format(printf, 5, 6), nonnull)) void error_set_errno_at(struct error *err,
                                                                       int errno_value,
                                                                       const char *file, int line,
                                                                       const char *fmt, ...);
__attribute__((format(printf, 2, 3), nonnull)) void error_put_context(struct error *err,
                                                                      const char *fmt, ...);

/* The wire name of a class, and the reason of an error (which falls back on it). */
const char *error_code_name(enum error_code code);
const char *error_reason(const struct error *err);

/* The class with this wire name, or ERR_INTERNAL for one that is unknown. */
enum error_code error_code_from_name(const char *name);

bool error_is_retryable(const struct error *err);

#endif
