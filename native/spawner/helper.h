#pragma once
#include <sys/types.h>

#include "spawner/box.h"

/*
 * Starts the forwarder of a box: a process outside of it, in the host's network, that waits. `*control` becomes the
 * end for init of a socket between the two, `*gate` where a byte lets it go on once it is in the box's unit; at the
 * gate's end it ends. `journal` is the journal's socket, as a path only. Returns its pid, or -errno.
 */
pid_t helper_start(const struct box *box, int journal, int *control, int *gate);
