#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "forward/address.h"
#include "forward/watch.h"

/* A connection to one address may take so long. */
enum { ROUTE_CONNECT_MS = 10000 };

struct forwarder;

/* From one listening socket to one place. */
struct route {
    struct watch listener;
    struct watch probe;
    struct forwarder *forwarder;
    /* How people call the place. */
    const char *name;
    struct address addresses[MOST_ADDRESSES];
    size_t address_count;
    /* Why there are none. */
    const char *nowhere;
    /* A place that did not take a connection yet, or not any more, is tried; until it does, nobody is accepted. */
    bool closed;
    int64_t probe_at, probe_until, probe_delay;
    /* Connections that came to nothing since that was last told, and when it was. */
    unsigned long failures;
    int64_t told_at;
};

/* A connection to its place came to nothing: told at once the first time, and then once a minute with their number. */
void route_tell(struct route *route, const char *why);

/* Begins to connect. Returns the socket or -errno. */
int route_connect(const struct address *address);

/* What became of that: 0, or an errno. */
int route_connect_error(int fd);

/* Its place refuses: nobody is accepted until it takes a connection again. */
void route_shut(struct route *route);

/* For epoll. */
void route_probe_ready(struct watch *watch, uint32_t events);

/* Tries a place that is shut, now and then. Returns when it wants the next turn (INT64_MAX: it does not). */
int64_t route_turn(struct route *route);
