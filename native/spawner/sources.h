#pragma once
#include "spawner/box.h"
#include "spawner/failure.h"

/* Device nodes of every box. */
#define STANDARD_DEVICES {"null", "zero", "full", "random", "urandom", "tty"}
enum { STANDARD_DEVICE_COUNT = 6 };

/*
 * What a box needs of the host, opened with the daemon's privileges: copies of mounts that are attached nowhere, with
 * their attributes set. A child has only to put them in their places.
 */
struct sources {
    int root;
    int devices[STANDARD_DEVICE_COUNT];
    /* One for each of the box's mounts; -1 for a tmpfs, and for a slot, which the child copies itself. */
    int mounts[MAX_MOUNTS];
    bool is_directory[MAX_MOUNTS];
    /* The journal's socket, as a path only. */
    int journal;
};

/* Opens all of it. The first failure is the result; its error is 0 if there was none. */
struct failure sources_open(struct sources *sources, const struct box *box);

/* Makes what belongs to id N on the host belong to id N inside, for the writable binds. */
struct failure sources_map_ids(const struct sources *sources, const struct box *box, int user_namespace);
