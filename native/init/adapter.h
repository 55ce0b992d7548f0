#pragma once
#include "init/options.h"

/* uid and gid of the adapter inside the sandbox; src/plan/identity.ts knows it, too. */
enum { ADAPTER_ID = 1001 };

/*
 * Forks the process that takes connections of the listening sockets of --to and forwards them to the ports of the
 * program, as soon as that accepts there. It lives and dies with this one. Returns this end of a socket, or -errno:
 * "ready\n" comes over it when all ports accept, and its end when the adapter ended; shut down in the other
 * direction, it makes the adapter accept no more and end with the last connection. If there is a gate, the adapter obeys it.
 */
int adapter_fork(const struct options *options);

/* Tells the adapter behind that socket how the gate stands. */
void adapter_gate(int adapter, enum gate_state state);
