#pragma once
#include <linux/filter.h>

/*
 * Reads the compiled seccomp filter from FILTER_FD, whole: 1 to 4096 instructions (BPF_MAXINSNS). Returns 0
 * or -errno: -EINVAL for a size that no filter has, -EFBIG for too many instructions.
 */
int filter_read(struct sock_fprog *program);

/*
 * Loads it for good (seccomp(2)) and sends its listener to the socket `handover`, which the filter must allow
 * (sendmsg(2)). Needs no_new_privs. Returns 0 or -errno.
 */
int filter_load(const struct sock_fprog *program, int handover);
