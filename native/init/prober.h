#pragma once
#include "init/filter.h"
#include "init/options.h"
#include "init/probe.h"

/* uid and gid inside the sandbox of whoever asks by connections; src/plan/identity.ts knows it, too. */
enum { PROBER_ID = 1003 };

/* What init says to the prober: the program was executed, and, it is ready. */
enum { PROBER_EXECUTED = 'x', PROBER_READY = 'r' };

/* What the prober says to init: what is known now, and by which answer. */
struct probe_news {
    int name;
    struct probe_state state;
    struct outcome outcome;
};

/* Makes the probe socket, which the payload gets as its last one. Returns a descriptor or -errno. */
int prober_listen(void);

/*
 * Forks the process that asks the payload whether it is well. It lives and dies with this one. Returns this end of a
 * socket, or -errno: a probe_news comes over it for each change, and its end when the prober ended; shut down in the
 * other direction, it makes the prober end.
 */
int prober_fork(const struct options *options, const struct filter *filter);
