#pragma once
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is mounted: a directory of a file system, by the path that it has there. What was removed has no such path. */
struct source {
    char device[24];
    char root[PATH_MAX];
};

struct layer {
    uint64_t id;
    struct source source;
    /* It came from another namespace, and goes with the mount there. */
    bool follows;
};

/* Mounts over each other at one place; two while a switch is under way. */
enum { MOST_LAYERS = 8 };

struct layers {
    size_t count;
    /* The lowest one first. */
    struct layer layer[MOST_LAYERS];
};

/* The mount that a descriptor is in. Returns 0 or -errno. */
int layers_mount_of(int fd, uint64_t *id);

/*
 * What lies over the directory `place` of the mount `parent`, from a file like /proc/self/mountinfo, whose order is not
 * theirs. Returns 0 or -errno: -E2BIG for more than there is room for.
 */
int layers_read(struct layers *layers, const char *mountinfo, const char *place, uint64_t parent);

/* Whether mounts made at that mount show in other namespaces; -errno when it cannot be told. */
int layers_propagates(uint64_t mount);

/* What a mount of the directory that `fd` is would be. Returns 0 or -errno. */
int layers_source_of(int fd, struct source *source);

bool layers_same(const struct source *one, const struct source *other);

/* The uppermost one, which is what is seen; NULL for none. */
const struct layer *layers_top(const struct layers *layers);
