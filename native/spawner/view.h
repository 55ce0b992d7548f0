#pragma once
#include "spawner/box.h"
#include "spawner/failure.h"
#include "spawner/sources.h"

/*
 * Makes the file system of a box, in the mount namespace of its own that the caller is in, and goes there: on return
 * "/" is the box's root and nothing of the host's mounts is left. The failure's error is 0 if there was none.
 */
struct failure view_build(const struct box *box, const struct sources *sources);

/* Shows the caller's cgroup namespace, read-only. Returns 0 or -errno. */
int view_add_cgroup(void);
