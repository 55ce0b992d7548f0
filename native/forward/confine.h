#pragma once
#include <stddef.h>
#include <sys/types.h>

/* What a confined process may call beside the memory and the end of its own. */
enum confine_profile {
    /* Sockets of the internet, epoll, and its log. */
    CONFINE_FORWARDER,
    /* Files, to be read; and the descriptors that it has. */
    CONFINE_READER,
    /* Processes of its own, and connections within the host; no more than that. */
    CONFINE_PROBER,
};

/*
 * Gives up everything but what `profile` names: groups, ids, all capabilities and the way back to them, being traced,
 * and all other system calls, of which one ends the process. `id` is uid and gid. Returns 0 or -errno.
 */
int confine(uid_t id, enum confine_profile profile);
