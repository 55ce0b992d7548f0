#pragma once
#include <sys/socket.h>

/*
 * Wakes everybody who waits for connections of a listening socket, in whatever process; who finds none goes on waiting.
 * The kernel tells a connection to one of those only who wait with EPOLLEXCLUSIVE, and tells an edge (EPOLLET) once: what
 * was told to somebody who then does not accept has to be told again. Shutting down the sending half of a listening
 * socket does that and nothing else, for it has none (inet_shutdown() and unix_shutdown() of the kernel).
 */
static inline void wake_waiters(int listener) { (void)shutdown(listener, SHUT_WR); }
