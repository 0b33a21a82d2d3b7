/*
 * egress_class.h - kinds of addresses, for egress.c alone. All addresses are 16 bytes; IPv4 is
 * written ::ffff:a.b.c.d.
 */
#ifndef CONNECTORS_BASE_EGRESS_CLASS_H
#define CONNECTORS_BASE_EGRESS_CLASS_H

#include <stdbool.h>
#include <sys/socket.h>

/* In the order of how much speaks against them. */
enum egress_class { EGRESS_PUBLIC, EGRESS_PRIVATE, EGRESS_LOOPBACK, EGRESS_FORBIDDEN };

struct egress_kind {
    enum egress_class class;
    const char *name;
};

/* False when the family is neither IPv4 nor IPv6. */
bool egress_bytes(const struct sockaddr *to, unsigned char out[static 16], int *out_port);
/* The IPv4 address that a packet to `outer` ends at; false when there is none in it. */
bool egress_embedded(const unsigned char outer[static 16], unsigned char out[static 16]);
/* The kind of this address, or of the one inside it if more speaks against that. */
struct egress_kind egress_classify(const unsigned char address[static 16]);

bool egress_in_network(const unsigned char address[static 16], const unsigned char net[static 16],
                       int bits);

#endif
