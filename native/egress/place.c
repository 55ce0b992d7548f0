#include "egress/place.h"

#include <string.h>
#include <unistd.h>

struct block {
    uint32_t base;
    unsigned int bits;
};

/* This network, loopback, link-local (cloud metadata among it), multicast, and reserved with broadcast (RFC 6890). */
static const struct block closed_four[] = {
    {0x00000000, 8}, {0x7f000000, 8}, {0xa9fe0000, 16}, {0xe0000000, 4}, {0xf0000000, 4}};

static bool is_open_four(uint32_t address) {
    for (size_t i = 0; i < sizeof(closed_four) / sizeof(closed_four[0]); i++)
        if ((address ^ closed_four[i].base) >> (32 - closed_four[i].bits) == 0) return false;
    return true;
}

static uint32_t four_at(const unsigned char *bytes) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static bool begins(const unsigned char *bytes, const char *prefix, size_t length) {
    return memcmp(bytes, prefix, length) == 0;
}

/* Those that carry an IPv4 address are judged by it: they may be translated on the way. */
static bool is_open_six(const struct in6_addr *address) {
    const unsigned char *bytes = address->s6_addr;
    if (begins(bytes, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12)) return is_open_four(four_at(bytes + 12));
    /* NAT64 (RFC 6052) and 6to4 (RFC 3056). */
    if (begins(bytes, "\0\x64\xff\x9b\0\0\0\0\0\0\0\0", 12)) return is_open_four(four_at(bytes + 12));
    if (begins(bytes, "\x20\x02", 2)) return is_open_four(four_at(bytes + 2));
    /* Unspecified, loopback, and what else is below them: nobody's. */
    if (begins(bytes, "\0\0\0\0\0\0\0\0\0\0\0\0", 12)) return false;
    if (bytes[0] == 0xff) return false;
    /* Link-local, and site-local, which is deprecated and as good. */
    return !(bytes[0] == 0xfe && (bytes[1] & 0x80) != 0);
}

/* The kernel routes to an address of its own from that very address. Nothing is sent to find it out. */
static bool is_of_this_host(const struct address *address) {
    int fd = socket(address->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return true;
    struct address target = *address, own = {.length = sizeof(own.six)};
    address_set_port(&target, 9);
    bool routed = connect(fd, &target.any, target.length) == 0 && getsockname(fd, &own.any, &own.length) == 0;
    (void)close(fd);
    /* Without a route there is nothing to be opened; connecting will say so. */
    if (!routed) return false;
    if (address->any.sa_family == AF_INET) return own.four.sin_addr.s_addr == address->four.sin_addr.s_addr;
    return memcmp(&own.six.sin6_addr, &address->six.sin6_addr, sizeof(own.six.sin6_addr)) == 0;
}

bool place_is_open(const struct address *address) {
    bool is_open = address->any.sa_family == AF_INET ? is_open_four(ntohl(address->four.sin_addr.s_addr))
                                                     : is_open_six(&address->six.sin6_addr);
    return is_open && !is_of_this_host(address);
}
