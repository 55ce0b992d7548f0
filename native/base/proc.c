#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mounting.h"

/* What systemd-nspawn hides, and more that tells of the host's memory, devices and load. Not all kernels have all. */
static const char *const files[] = {"interrupts",    "iomem",       "ioports",     "kallsyms",    "kcore",
                                    "key-users",     "keys",        "kmsg",        "kpagecgroup", "kpagecount",
                                    "kpageflags",    "latency_stats", "mtrr",      "sched_debug", "slabinfo",
                                    "sysrq-trigger", "timer_list",  "vmallocinfo"};
static const char *const directories[] = {"acpi", "asound", "bus", "driver", "dynamic_debug", "fs", "irq", "scsi", "tty"};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Programs take it for the identity of a machine's boot: each sandbox has its own. */
static int make_boot_id(int directory) {
    unsigned char id[16];
    if (getrandom(id, sizeof(id), 0) != sizeof(id)) return -EIO;
    /* Version 4, variant 1 (RFC 9562), as the kernel's own. */
    id[6] = (unsigned char)((id[6] & 0x0f) | 0x40);
    id[8] = (unsigned char)((id[8] & 0x3f) | 0x80);
    char text[2 * sizeof(id) + 6], *end = text;
    for (size_t i = 0; i < sizeof(id); i++)
        end += sprintf(end, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", id[i]);
    *end++ = '\n';
    int fd = openat(directory, "boot-id", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
    if (fd < 0) return -errno;
    int result = write(fd, text, (size_t)(end - text)) == end - text ? 0 : -EIO;
    (void)close(fd);
    return result;
}

/* A small read-only file system with what is put over the files and directories. */
static int make_covers(void) {
    static const char *const options[] = {"mode", "0755", "size", "4096", "nr_inodes", "8", NULL};
    int covers = mounting_new("tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
    if (covers < 0) return covers;
    int result = make_boot_id(covers);
    if (result == 0 && (mkdirat(covers, "directory", 0) < 0 || mknodat(covers, "file", S_IFREG, 0) < 0)) result = -errno;
    if (result == 0) result = mounting_change(covers, false, MOUNT_ATTR_RDONLY, 0);
    if (result == 0) return covers;
    (void)close(covers);
    return result;
}

/* Puts a copy of `cover` over a name of /proc, if there is one that nobody has covered yet. */
static int put_over(int proc, const char *name, int covers, const char *cover) {
    struct stat status, top;
    if (fstatat(proc, name, &status, AT_SYMLINK_NOFOLLOW) < 0) return errno == ENOENT ? 0 : -errno;
    if (fstat(proc, &top) < 0) return -errno;
    if (status.st_dev != top.st_dev) return 0;
    int mount = mounting_copy(covers, cover, false);
    if (mount < 0) return mount;
    int result = mounting_attach(mount, proc, name);
    (void)close(mount);
    return result;
}

static int make_read_only(int proc, const char *name) {
    int mount = mounting_copy(proc, name, true);
    if (mount < 0) return mount;
    int result = mounting_change(mount, true, MOUNT_ATTR_RDONLY, 0);
    if (result == 0) result = mounting_attach(mount, proc, name);
    (void)close(mount);
    return result;
}

int proc_mask(int proc, const char *spare) {
    int covers = make_covers();
    if (covers < 0) return covers;
    /* Only from an attached mount can parts be copied. It may go afterwards: the copies stay. */
    int place = mounting_place(spare, true);
    int result = place < 0 ? place : mounting_attach(covers, place, "");
    if (place >= 0) (void)close(place);
    if (result < 0) {
        (void)close(covers);
        return result;
    }
    for (size_t i = 0; i < COUNT(files) && result == 0; i++) result = put_over(proc, files[i], covers, "file");
    for (size_t i = 0; i < COUNT(directories) && result == 0; i++)
        result = put_over(proc, directories[i], covers, "directory");
    if (result == 0) result = make_read_only(proc, "sys");
    if (result == 0) result = put_over(proc, "sys/kernel/random/boot_id", covers, "boot-id");
    if (result == 0 && umount2(spare, MNT_DETACH | UMOUNT_NOFOLLOW) < 0) result = -errno;
    (void)close(covers);
    return result;
}
