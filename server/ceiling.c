/* M1: the malloc of this program, which refuses what is larger than CEILING_BYTES to everybody but
 * us. It is glibc's but for that, so memory may be given back by any free. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "connectors/base/ceiling.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ADDRESS_SANITIZER
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define HAS_ADDRESS_SANITIZER
#endif

#ifdef HAS_ADDRESS_SANITIZER

/* It has a malloc of its own, with one ceiling for all of us: what is ours may be larger. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1:max_allocation_size_mb=320";
}

#elif !defined(__SANITIZE_THREAD__)

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

static bool refused(size_t n)
{
    if (n <= CEILING_BYTES || ceiling_lifted)
        return false;
    errno = ENOMEM;
    return true;
}

__attribute__((visibility("default"))) void *malloc(size_t n)
{
    return refused(n) ? NULL : __libc_malloc(n);
}

__attribute__((visibility("default"))) void *calloc(size_t n, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(n, size, &bytes))
        bytes = SIZE_MAX;
    return refused(bytes) ? NULL : __libc_calloc(n, size);
}

__attribute__((visibility("default"))) void *realloc(void *p, size_t n)
{
    return refused(n) ? NULL : __libc_realloc(p, n);
}

#endif
