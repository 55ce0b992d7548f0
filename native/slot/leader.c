#include "slot/leader.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mounting.h"

#define LIVE_THERE SLOT_PLACE "/" SLOT_LIVE

static int open_own(void) {
    int fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* Goes to a namespace, whose root is then "/". */
static int enter(int namespace) { return setns(namespace, CLONE_NEWNS) < 0 ? -errno : 0; }

/* The way back has to be there before; without it nothing else can be done. */
static int leave(int own, int result) {
    int error = enter(own);
    (void)close(own);
    return error < 0 ? error : result;
}

/* The directory of the tunnel, where it is the same. */
static int find_tunnel(struct leader *leader, const struct tunnel *tunnel) {
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS};
    struct stat status;
    int fd = (int)syscall(SYS_openat2, AT_FDCWD, SLOT_PLACE, &how, sizeof(how));
    if (fd < 0) return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 : -errno;
    int result = fstat(fd, &status) < 0 ? -errno : status.st_dev == tunnel->device && status.st_ino == tunnel->inode;
    if (result == 1) {
        int error = layers_mount_of(fd, &leader->tunnel);
        if (error < 0) result = error;
    }
    (void)close(fd);
    return result;
}

int leader_open(struct leader *leader, pid_t pid, const struct tunnel *tunnel) {
    char path[48];
    (void)snprintf(path, sizeof(path), "/proc/%d/ns/mnt", pid);
    int namespace = open(path, O_RDONLY | O_CLOEXEC);
    /* A process that has ended has no namespaces any more. */
    if (namespace < 0) return errno == ENOENT || errno == ESRCH || errno == EINVAL ? 0 : -errno;
    *leader = (struct leader){.pid = pid, .namespace = namespace};
    int own = open_own(), result = own;
    if (own >= 0) result = enter(namespace);
    if (own >= 0) result = leave(own, result < 0 ? result : find_tunnel(leader, tunnel));
    if (result != 1) (void)close(namespace);
    return result;
}

int leader_cover(const struct leader *leader, struct source *source) {
    static struct layers layers;
    char path[48];
    (void)snprintf(path, sizeof(path), "/proc/%d/mountinfo", leader->pid);
    int error = layers_read(&layers, path, LIVE_THERE, leader->tunnel);
    if (error < 0) return error == -ENOENT || error == -ESRCH || error == -EINVAL ? 0 : error;
    const struct layer *top = layers_top(&layers);
    if (top == NULL || top->follows) return 0;
    *source = top->source;
    return 1;
}

int leader_lay(const struct leader *leader, int mount) {
    int own = open_own(), result = own;
    if (own >= 0) result = enter(leader->namespace);
    if (own >= 0) result = leave(own, result < 0 ? result : mounting_attach(mount, AT_FDCWD, LIVE_THERE));
    (void)close(mount);
    return result;
}

int leader_uncover(const struct leader *leader) {
    int own = open_own(), result = own;
    if (own >= 0) result = enter(leader->namespace);
    if (own >= 0) result = leave(own, result < 0 ? result : umount2(LIVE_THERE, MNT_DETACH) < 0 ? -errno : 0);
    return result;
}
