#pragma once
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/* One address to connect to. */
struct address {
    socklen_t length;
    union {
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
    };
};

/* Addresses of one place, which are tried one after the other. */
enum { MOST_ADDRESSES = 8 };

/* A host name with its end (RFC 1035). */
enum { HOST_SIZE = 254 };

/* Reads an IPv4 or IPv6 address (inet_pton(3)). */
bool address_parse(const char *text, unsigned int port, struct address *address);

void address_set_port(struct address *address, unsigned int port);

/* Takes `HOST:PORT` or `[HOST]:PORT` apart, without looking at the host. */
bool address_split(const char *text, char host[HOST_SIZE], unsigned int *port);
