#pragma once
#include "forward/flow.h"
#include "forward/route.h"

/* Listening sockets of one forwarder. */
enum { MOST_ROUTES = 64 };

struct forwarder;

/* What the two forwarders do differently. */
struct policy {
    /*
     * Finds the addresses of a route for a connection that came in, `near`. Returns 1 when they are there, 0 when
     * forward_resume() will be called, and -1 when there are none. NULL where all routes have addresses.
     */
    int (*find)(struct route *route, int near);
    /* Called in each turn; returns when it wants the next one (INT64_MAX: it does not). NULL for nothing. */
    int64_t (*turn)(struct forwarder *forwarder);
    /* Wait for a place that refuses, instead of telling who wants there. */
    bool patient;
    /* All routes were open at the same time for the first time. */
    void (*opened)(struct forwarder *forwarder);
};

struct forwarder {
    const struct policy *policy;
    int epoll;
    /* Milliseconds, as of this turn. */
    int64_t now;
    struct route routes[MOST_ROUTES];
    size_t route_count;
    struct flow *flows, *unused, *ended;
    size_t capacity, count;
    /* How long a connection waits for its place: milliseconds. */
    int64_t patience;
    /* Until then nothing is accepted, because descriptors or memory ran out. */
    int64_t starved_until;
    int64_t looked_at;
    bool was_open;
    /* Accept nothing for now. */
    bool held;
    /* Accept no more; end when the last flow has ended. */
    bool draining;
    bool over;
};

/* Room for `capacity` flows, of which each takes two descriptors. Returns 0 or -errno. */
int forward_open(struct forwarder *forwarder, const struct policy *policy, size_t capacity, int64_t patience);

/* Takes over a listening socket, which becomes non-blocking. Returns its route, or NULL. */
struct route *forward_add(struct forwarder *forwarder, int listener, const char *name);

/* The route has addresses now, or will have none: what waits for it goes on, or ends. */
void forward_resume(struct route *route);

/* Works until it is over. Returns 0 or -errno. */
int forward_run(struct forwarder *forwarder);
