#pragma once
#include "forward/forwarder.h"

/* Takes this end of the reader's socket into use. Returns 0 or -errno. */
int names_open(struct forwarder *forwarder, int reader);

/* The route leads to a name. False: out of memory. */
bool names_add(struct route *route, const char *host, unsigned int port);

/* For struct policy. */
int names_find(struct route *route, int near);
int64_t names_turn(struct forwarder *forwarder);
