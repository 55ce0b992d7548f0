#pragma once
#include "init/options.h"

/*
 * Makes each endpoint of --egress a listening socket at its address in this network namespace, hands the sockets to the
 * forwarder at the other end of `control`, and waits until that has taken them. Returns 0 or -errno.
 */
int network_open(const struct options *options, int control);
