#pragma once
#include "init/options.h"
#include "init/payload.h"

/* Blocks everything that supervise() handles: from then on no signal is lost. Returns 0 or -errno. */
int supervise_block_signals(void);

/* Gives up all capabilities but CAP_KILL, and the right to be traced. Returns 0 or -errno. */
int supervise_give_up_privileges(void);

/* The other ends of sockets to processes without which a sandbox is none; -1 for one that there is not. */
struct helpers {
    int egress, adapter, prober;
};

/*
 * The life of PID 1 while there is a payload: opens the gate, relays readiness and status, forwards signals,
 * reaps, and ends the payload when a helper ends. Returns the exit status to end with. `notify` is -1 for --ready=exec.
 */
int supervise(struct payload *payload, const struct options *options, const struct filter *filter,
              struct helpers helpers, int signals, int notify, const char *systemd);

/* Returns a descriptor for the blocked signals, or -errno. */
int supervise_open_signals(void);
