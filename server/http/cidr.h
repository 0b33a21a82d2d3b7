/*
 * cidr.h - ranges of addresses, "10.0.0.0/8" or "fd00::/8" or one address. Pure, safe from any
 * thread.
 */
#ifndef SERVER_HTTP_CIDR_H
#define SERVER_HTTP_CIDR_H

#include <stdbool.h>
#include <stddef.h>

/* An address; IPv4 in its mapped form. */
struct cidr {
    unsigned char bytes[16];
    unsigned bits; /* that count */
};

/* False for anything but an address or address/bits. */
bool cidr_parse(const char *text, size_t n, struct cidr *out);
/* Is the address, parsed without bits, in the range? */
bool cidr_holds(const struct cidr *range, const struct cidr *address);

#endif
