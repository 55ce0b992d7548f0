#pragma once
#include "slot/layers.h"
#include "slot/tunnel.h"

/* A process of a sandbox that has the tunnel, for its mount namespace. */
struct leader {
    pid_t pid;
    int namespace;
    /* The mount of the tunnel there. */
    uint64_t tunnel;
};

/* Returns 1, 0 when it has gone or has not this tunnel (any more), or -errno. */
int leader_open(struct leader *leader, pid_t pid, const struct tunnel *tunnel);

/*
 * Whether a mount of its own, which follows none of the host's, lies over those of the tunnel, and of what. Returns 1, 0
 * for none, or -errno.
 */
int leader_cover(const struct leader *leader, struct source *source);

/* Lays the mount over what is live there. Closes it. Returns 0 or -errno. */
int leader_lay(const struct leader *leader, int mount);

/* Takes the cover away, and what the host has shows. Returns 0 or -errno. */
int leader_uncover(const struct leader *leader);
