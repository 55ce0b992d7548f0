#include "base/sys.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mounting.h"

int sys_empty(void) {
    static const char *const options[] = {"mode", "0755", "size", "4096", "nr_inodes", "8", NULL};
    int sys = mounting_new("tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
    if (sys < 0) return sys;
    int result = mkdirat(sys, "fs", 0755) < 0 || mkdirat(sys, "fs/cgroup", 0755) < 0 ? -errno : 0;
    if (result == 0) result = mounting_change(sys, false, MOUNT_ATTR_RDONLY, 0);
    if (result == 0) return mounting_attach_at(sys, "/sys", true);
    (void)close(sys);
    return result;
}
