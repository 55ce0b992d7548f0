#pragma once
#include <sys/types.h>

#include "init/filter.h"
#include "init/options.h"

/* What a child that could not be executed writes into its error pipe. */
struct payload_failure {
    int step;
    int error;
};

const char *payload_step_name(int step);

struct payload {
    pid_t pid;
    /* Reads a payload_failure, or its end once the program was executed (or the child died). */
    int errors;
    /* Closing it lets the child end unexecuted; a byte lets it go on. */
    int gate;
    /* Where the listener of the child's filter arrives, for forbidden_watch(). */
    int handover;
};

/*
 * The calling process becomes the program of these options, with all of its walls; returns what failed. The listener of
 * its filter goes to the socket `handover`; without one, -1, a forbidden call ends the process that makes it.
 */
struct payload_failure payload_become(const struct options *options, const struct filter *filter, int handover);

/* Forks the child, which waits at the gate. Returns 0 or -errno. */
int payload_fork(struct payload *payload, const struct options *options, const struct filter *filter);

/*
 * Kills all of the payload. kill(2) takes the list of processes as a whole, and a fork by somebody whom it has met fails:
 * nobody gets away. Only where this is PID 1 are "all" the payload.
 */
void payload_kill(pid_t payload);

/* Where the payload tells that it is ready (--ready=notify). */
#define NOTIFY_PATH "/run/notify"
/* Exit status when nothing was executed, as EX_SOFTWARE of sysexits.h. */
enum { EXIT_SETUP_FAILED = 70 };
