/*
 * unconst.h - for libraries that take a pointer to what they only read, and do not say const.
 */
#ifndef CONNECTORS_BASE_UNCONST_H
#define CONNECTORS_BASE_UNCONST_H

/* The same pointer; who gets it must not write through it. */
static inline void *unconst(const void *p)
{
    union {
        const void *read_only;
        void *any;
    } u = {p};

    return u.any;
}

#endif
