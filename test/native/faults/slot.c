/*
 * Linked into plugin-slot for the tests alone: what changes something in the system ends the process instead, when it is
 * the call with the number SLOT_KILL_AT, counted from 1 on. So it is killed between every two steps.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static void step(void) {
    static long done;
    const char *at = getenv("SLOT_KILL_AT");
    if (at != NULL && ++done == strtol(at, NULL, 10)) (void)kill(getpid(), SIGKILL);
}

#define STAND_IN(name, parameters, arguments) \
    int __real_##name parameters;             \
    int __wrap_##name parameters;             \
    int __wrap_##name parameters {            \
        step();                               \
        return __real_##name arguments;       \
    }

STAND_IN(mkdirat, (int directory, const char *path, mode_t mode), (directory, path, mode))
STAND_IN(open_tree, (int directory, const char *path, unsigned int flags), (directory, path, flags))
STAND_IN(mount_setattr, (int directory, const char *path, unsigned int flags, struct mount_attr *attributes, size_t size),
         (directory, path, flags, attributes, size))
STAND_IN(move_mount, (int from, const char *path, int to, const char *place, unsigned int flags), (from, path, to, place, flags))
STAND_IN(umount2, (const char *path, int flags), (path, flags))
STAND_IN(setns, (int fd, int kind), (fd, kind))
STAND_IN(unlinkat, (int directory, const char *path, int flags), (directory, path, flags))
STAND_IN(rmdir, (const char *path), (path))
