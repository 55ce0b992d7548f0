#pragma once
#include <stddef.h>
#include <stdint.h>

#include "stdio/json.h"

struct client;

/* More than a program may have in hand, of all clients together; a power of two, since numbers are made with it. */
enum { CALLS_MOST = 1024, CALL_METHOD_SIZE = 56 };

enum call_kind {
    /* A client's; its answer goes there. */
    CALL_OF_CLIENT,
    /* Of the bridge itself: is it there? */
    CALL_PING,
    /* Of the bridge itself: who is it? */
    CALL_INITIALIZE,
};

/* A request without an answer. */
struct call {
    /* What it is called on the way to whom it is asked of. */
    uint64_t number;
    enum call_kind kind;
    /* Who asked; NULL when it is the bridge, or nobody any more. */
    struct client *client;
    /* What whoever asked calls it, and its progress. JSON texts, in memory of the call's own; empty for none. */
    struct span id, token;
    char method[CALL_METHOD_SIZE];
    unsigned char trace_id[16];
    /* Nanoseconds of CLOCK_MONOTONIC. */
    uint64_t started;
    /* In the order in which they came. */
    struct call *older, *younger;
};

/* All zeros is an empty one. */
struct calls {
    struct call *places[CALLS_MOST];
    size_t count;
    uint64_t serial;
    struct call *oldest, *youngest;
};

/* Keeps copies of id and token. NULL when there are CALLS_MOST already. */
struct call *calls_add(struct calls *calls, enum call_kind kind, struct client *client, struct span id, struct span token);

/* The number comes from whoever answers, and can be any. NULL when there is no such call. */
struct call *calls_find(const struct calls *calls, unsigned long number);

/* What a client calls so; NULL when it has no such call. */
struct call *calls_of(const struct calls *calls, const struct client *client, struct span id);

void calls_end(struct calls *calls, struct call *call);
