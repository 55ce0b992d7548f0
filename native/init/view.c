#include "init/view.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/mounting.h"
#include "base/proc.h"
#include "base/sys.h"

/* Whose mounts become read-only; a version of nspawn may not have all. Nodes stay as writable as their modes say. */
static const char *const frozen[] = {"/sys/fs/cgroup", "/proc/kmsg", "/proc/sys/kernel/random/boot_id", "/dev/pts",
                                     "/dev/mqueue",    "/dev",       "/run/host/unix-export",           "/run"};

/* A directory that nobody uses, for a moment. */
#define SPARE "/run/covers"

/* Not a mount, or not there: then there is nothing to freeze. */
static int freeze(const char *path) {
    struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY};
    if (mount_setattr(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, &attributes, sizeof(attributes)) == 0) return 0;
    return errno == EINVAL || errno == ENOENT ? 0 : -errno;
}

/* A socket can be reached through a descriptor of its file when its path is covered. */
static int keep_socket(const char **path) {
    static char kept[32];
    if (*path == NULL) return 0;
    int fd = open(*path, O_PATH | O_CLOEXEC);
    if (fd < 0) return -errno;
    (void)snprintf(kept, sizeof(kept), "/proc/self/fd/%d", fd);
    *path = kept;
    return 0;
}

/* /run/host tells of the host's system, and leads to a directory of the host that is written to. */
static int cover_host(void) {
    static const char *const options[] = {"mode", "0555", "size", "4096", "nr_inodes", "1", NULL};
    if (access("/run/host", F_OK) < 0) return errno == ENOENT ? 0 : -errno;
    unsigned int attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    return mounting_attach_at(mounting_new("tmpfs", options, attributes), "/run/host", true);
}

static int mask_proc(void) {
    int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (proc < 0) return -errno;
    int result = proc_mask(proc, SPARE);
    (void)close(proc);
    if (result == 0 && rmdir(SPARE) < 0) result = -errno;
    return result;
}

int view_close(const char **notify) {
    int error = keep_socket(notify);
    /* nspawn's mounts are shared with each other: what is put over one would show on others, too. */
    if (error == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) error = -errno;
    if (error == 0) error = mask_proc();
    for (size_t i = 0; i < sizeof(frozen) / sizeof(frozen[0]) && error == 0; i++) error = freeze(frozen[i]);
    if (error < 0) return error;
    int cgroup = mounting_copy(AT_FDCWD, "/sys/fs/cgroup", false);
    if (cgroup < 0) return cgroup;
    error = sys_empty();
    if (error < 0) {
        (void)close(cgroup);
        return error;
    }
    error = mounting_attach_at(cgroup, "/sys/fs/cgroup", true);
    return error < 0 ? error : cover_host();
}
