#pragma once
#include <stddef.h>

/*
 * Sends one datagram to an AF_UNIX address, with descriptors if there are any: what sd_notify(3) and
 * the journal's native protocol need. `path` is a file, or an abstract name that begins with '@'.
 * Returns 0 or -errno: -EINVAL for a path that is no address, -E2BIG for more than 253 descriptors.
 */
int datagram_send(const char *path, const void *bytes, size_t length, const int *fds, size_t fd_count, int flags);

/* More than the kernel takes in one SCM_RIGHTS message is refused by it (SCM_MAX_FD, unix(7)). */
#define DATAGRAM_MAX_FDS 253
