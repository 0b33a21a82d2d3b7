/*
 * cleanup.h - scope-bound release of locks, descriptors and library objects.
 *
 * A variable is declared with CLEANUP at the place where it is acquired, so that every return
 * releases it. TAKE hands the value on and disarms the cleanup. No goto is needed, and none is
 * allowed, in a function that uses these.
 */
#ifndef CONNECTORS_BASE_CLEANUP_H
#define CONNECTORS_BASE_CLEANUP_H

#include <pthread.h>
#include <stddef.h>

/* A result that may never be ignored, of a function that takes no NULL. */
#define CHECKED __attribute__((nonnull, warn_unused_result))

/* `fn` receives the address of the variable when it goes out of scope. */
#define CLEANUP(fn) __attribute__((cleanup(fn)))

/* Defines `name` as a cleanup that calls `fn` on a pointer variable unless it is NULL. */
#define DEFINE_CLEANUP(type, name, fn) \
    static inline void name(type *p)   \
    {                                  \
        if (*p)                        \
            fn(*p);                    \
    }                                  \
    struct name##_takes_a_semicolon

/* The pointer in `p`, which forgets it: ownership leaves the scope. */
#define TAKE(p)                     \
    (__extension__({                \
        __typeof__(p) taken_ = (p); \
        (p) = NULL;                 \
        taken_;                     \
    }))

static inline void unlock_cleanup(pthread_mutex_t **mutex)
{
    pthread_mutex_unlock(*mutex);
}

static inline pthread_mutex_t *lock_taken(pthread_mutex_t *mutex)
{
    pthread_mutex_lock(mutex);
    return mutex;
}

/* Holds `mutex` until the end of the enclosing block. */
#define LOCK_GUARD(mutex) \
    __attribute__((unused)) CLEANUP(unlock_cleanup) pthread_mutex_t *lock_guard_ = lock_taken(mutex)

#endif
