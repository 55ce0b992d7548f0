#pragma once
#include "slot/layers.h"
#include "slot/tunnel.h"

/* An installed version, VERSIONS/NAME/VERSION. */
struct version {
    int fd;
    struct source source;
};

/*
 * Opens a version of the tunnel's plugin by its path. Returns 0 or -errno: -EINVAL for a path of something else, -ELOOP
 * for one with a symbolic link behind VERSIONS, -ENOTDIR for what is no directory.
 */
int version_open(struct version *version, const struct tunnel *tunnel, const char *path);

/*
 * A mount of it that is attached nowhere yet, read-only, without set-uid programs and devices. Both that and its
 * independence have to be there before it is attached: what propagates later is the mount, not its flags, and a copy that
 * were still a peer of the host's mount would propagate back into it. A descriptor or -errno.
 */
int version_mount(const struct version *version);

/* The name of the version of this plugin that is mounted so; what else is mounted is called by its path. */
void version_name(const struct source *source, const struct tunnel *tunnel, char *out, size_t size);
