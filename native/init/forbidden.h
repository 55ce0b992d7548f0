#pragma once
#include <stdbool.h>
#include <sys/types.h>

/* A call that no line of the payload's list allows, as the kernel told it. */
struct forbidden {
    /* Not known: its caller was interrupted before its call was looked at. The other fields are 0 then. */
    bool unknown;
    int number;
    /* AUDIT_ARCH_ of struct seccomp_data. */
    unsigned int arch;
    pid_t pid, tid;
};

/*
 * Starts the thread that waits for the first forbidden call and answers it with the end of the whole payload. Calls that
 * the gate is for, if one was made, go to it.
 * `handover` is where the child sends the filter's listener to; it is taken over. To be called with the privileges
 * given up already, for a thread has its own. Returns a descriptor for forbidden_read(), or -errno.
 */
int forbidden_watch(int handover, pid_t payload);

/* True if there was one: told once, and before anything of the payload has died of it. */
bool forbidden_read(int fd, struct forbidden *call);
