#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "forward/address.h"
#include "forward/watch.h"

/* What moves in one turn, and so the most that is kept for a peer that does not take it now. */
enum { CHUNK = 32768 };

struct route;

/* One of the two sockets of a flow. */
struct end {
    struct watch watch;
    struct flow *flow;
    /* Nothing comes from it any more; nothing will be sent to it any more. */
    bool read_ended, write_ended;
    /* What it sent and the other one has not taken: `pending` bytes of `buffer` from `at` on. */
    char *buffer;
    size_t at, pending;
};

/* WAITING: for addresses, or for a program that does not listen yet. */
enum flow_state { FLOW_FREE, FLOW_WAITING, FLOW_CONNECTING, FLOW_OPEN };

/* A connection that came in (`near`), and the one that is made for it (`far`). */
struct flow {
    enum flow_state state;
    struct route *route;
    struct end near, far;
    /* Milliseconds of the clock: when it came, and when it is given up, 0 for never. */
    int64_t began, deadline;
    /* Which of the route's addresses is tried. */
    size_t tried;
    struct flow *next;
};

/* Moves what can be moved now. Returns false when it is over, in good order or not: `*broken`. */
bool flow_move(struct flow *flow, int epoll, int64_t now, bool *broken);

/* Closes both sockets; `reset` lets the peers know that it is no good end (RST instead of FIN). */
void flow_close(struct flow *flow, bool reset);
