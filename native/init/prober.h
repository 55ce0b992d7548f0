#pragma once
#include "init/filter.h"
#include "init/options.h"
#include "init/probe.h"

/* uid and gid inside the sandbox of whoever asks by connections; src/plan/identity.ts knows it, too. */
enum { PROBER_ID = 1003 };

/* What init says to the prober: the program was executed; it is ready; its figures are to be asked for. */
enum { PROBER_EXECUTED = 'x', PROBER_READY = 'r', PROBER_METRICS = 'm' };

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
 * socket, or -errno: a probe_news comes over it for each change, a struct metrics for each time that it was asked for
 * one, and its end when the prober ended; shut down in the other direction, it makes the prober end.
 */
int prober_fork(const struct options *options, const struct filter *filter);
