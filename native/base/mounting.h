#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/mount.h>

/* The mount calls by descriptor (fsopen(2), open_tree(2), mount_setattr(2), move_mount(2)): a descriptor or 0, or -errno. */

/* A new file system, attached nowhere yet; `options` are names and values by turns, NULL at the end. */
int mounting_new(const char *type, const char *const *options, unsigned int attributes);

/* A copy of the mount at `path`, attached nowhere yet, recursive with all that is mounted below. */
int mounting_copy(int directory, const char *path, bool recursive);

/* Sets and clears attributes of a mount (MOUNT_ATTR_*), and cuts its ties to others: nothing propagates. */
int mounting_change(int mount, bool recursive, uint64_t set, uint64_t clear);

/* Sets attributes of a mount and of all below it, and leaves its ties as they are. */
int mounting_restrict(int mount, uint64_t set);

int mounting_attach(int mount, int directory, const char *path);

/*
 * Opens a place of the box as a path only. No symbolic link is followed, so it is where it says it is. What is missing
 * is made if it can be, as a directory or as an empty file.
 */
int mounting_place(const char *path, bool is_directory);

/* Attaches a mount at a place of the box, and closes it. `mount` may be the error of making it. */
int mounting_attach_at(int mount, const char *path, bool is_directory);
