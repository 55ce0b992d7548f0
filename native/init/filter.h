#pragma once
#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>

/* A compiled seccomp filter as it is loaded. */
struct filter {
    struct sock_fprog program;
    /* What init has to give as SECRET_ARGUMENT of execve(2) for the filter to let it pass; drawn anew at each start. */
    uint64_t secret;
};

/*
 * Reads the compiled filter from FILTER_FD, whole: 1 to 4096 instructions (BPF_MAXINSNS), and puts a secret in the place
 * of the placeholder. Returns 0 or -errno: -EINVAL for a size that no filter has, -EFBIG for too many instructions.
 */
int filter_read(struct filter *filter);

/*
 * Loads it for good (seccomp(2)), or while learning one that asks about every call, and sends its listener to the socket `handover`, which
 * the filter must allow (sendmsg(2)). With -1 for it there is no listener, and a call that is not allowed ends its process.
 * Needs no_new_privs. Returns 0 or -errno.
 */
int filter_load(const struct filter *filter, bool learn, int handover);
