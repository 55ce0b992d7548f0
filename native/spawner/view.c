/*
 * Every place is opened as a path from the new root, without following symbolic links, and mounts go where the
 * descriptor is: whatever a root directory has at its mount points, nothing lands elsewhere.
 */
#include "spawner/view.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mounting.h"
#include "base/proc.h"
#include "base/sys.h"

/* Of file systems in memory. */
static const unsigned int not_special = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

/* The root becomes "/". The old one is then on top of it, where no path from "/" on leads. */
static int enter_root(int root) {
    int error = mounting_attach(root, AT_FDCWD, "/");
    if (error < 0) return error;
    return fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ? -errno : 0;
}

/* The host's mounts go. */
static int leave_host(void) { return umount2(".", MNT_DETACH) < 0 || chdir("/") < 0 ? -errno : 0; }

/* The directories of the host whose mounts are followed, while they have paths; -1 for all other mounts of the box. */
static int open_slots(const struct box *box, int *slots) {
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS};
    for (size_t i = 0; i < box->mount_count; i++) {
        slots[i] = -1;
        if (box->mounts[i].kind != BIND_SLOT) continue;
        do slots[i] = (int)syscall(SYS_openat2, AT_FDCWD, box->mounts[i].source, &how, sizeof(how));
        while (slots[i] < 0 && (errno == EINTR || errno == EAGAIN));
        if (slots[i] < 0) return (int)i;
    }
    return -1;
}

/*
 * What the host mounts in the directory, or takes away, is missed by a copy while that is attached nowhere. This one is
 * made and attached in one step (mount(2)), which leaves no such time.
 */
static int add_slot(int slot, const char *target) {
    char from[32], to[32];
    int place = mounting_place(target, true);
    if (place < 0) return place;
    (void)snprintf(from, sizeof(from), "/proc/self/fd/%d", slot);
    (void)snprintf(to, sizeof(to), "/proc/self/fd/%d", place);
    int result = mount(from, to, NULL, MS_BIND | MS_REC, NULL) < 0 ? -errno : 0;
    (void)close(place);
    (void)close(slot);
    if (result < 0) return result;
    int bound = mounting_place(target, true);
    if (bound < 0) return bound;
    result = mounting_restrict(bound, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
    (void)close(bound);
    return result;
}

static int add_proc(int proc) {
    int place = mounting_place("/proc", true);
    int result = place < 0 ? place : mounting_attach(proc, place, "");
    if (place >= 0) (void)close(place);
    return result;
}

static int add_run(void) {
    static const char *const options[] = {"mode", "0755", "size", "1048576", "nr_inodes", "1024", NULL};
    return mounting_attach_at(mounting_new("tmpfs", options, not_special), "/run", true);
}

static int add_dev(const int *devices) {
    static const char *const names[] = STANDARD_DEVICES;
    static const struct {
        const char *name, *target;
    } links[] = {{"fd", "/proc/self/fd"},
                 {"stdin", "/proc/self/fd/0"},
                 {"stdout", "/proc/self/fd/1"},
                 {"stderr", "/proc/self/fd/2"}};
    static const char *const options[] = {"mode", "0755", "size", "65536", "nr_inodes", "512", NULL};
    int dev = mounting_new("tmpfs", options, not_special | MOUNT_ATTR_NOEXEC);
    if (dev < 0) return dev;
    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
        if (symlinkat(links[i].target, dev, links[i].name) == 0) continue;
        int error = -errno;
        (void)close(dev);
        return error;
    }
    int result = mounting_attach_at(dev, "/dev", true);
    for (int i = 0; i < STANDARD_DEVICE_COUNT && result == 0; i++) {
        char path[32];
        (void)snprintf(path, sizeof(path), "/dev/%s", names[i]);
        result = mounting_attach_at(devices[i], path, false);
    }
    return result;
}

static int add_tmpfs(const struct box_mount *mount) {
    char size[32], mode[8], inodes[32];
    (void)snprintf(size, sizeof(size), "%lu", mount->size);
    (void)snprintf(mode, sizeof(mode), "%o", mount->mode);
    /* As many as there are pages, which a file with content takes one of anyway, but enough for a small one. */
    unsigned long count = mount->size / 4096;
    (void)snprintf(inodes, sizeof(inodes), "%lu", count < 1024 ? 1024 : count);
    const char *const options[] = {"size", size, "mode", mode, "nr_inodes", inodes, NULL};
    return mounting_attach_at(mounting_new("tmpfs", options, not_special), mount->target, true);
}

static int add_mount(const struct box_mount *mount, int source, bool is_directory, int slot) {
    switch (mount->kind) {
        case TMPFS:
            return add_tmpfs(mount);
        case BIND_SLOT:
            return add_slot(slot, mount->target);
        default:
            return mounting_attach_at(source, mount->target, is_directory);
    }
}

/* Nothing can be made in it any more, once all mount points are there. */
static int finish_dev(void) {
    int dev = mounting_place("/dev", true);
    int result = dev < 0 ? dev : mounting_change(dev, false, MOUNT_ATTR_RDONLY, 0);
    if (dev >= 0) (void)close(dev);
    return result;
}

struct failure view_build(const struct box *box, const struct sources *sources) {
    int error;
#define STEP(name, expression) \
    if ((error = (expression)) < 0) return (struct failure){.step = (name), .error = -error, .mount = -1}
    static int slots[MAX_MOUNTS];
    /* Nothing of here shows on the host. What the host does shows here, until its mounts go: then in slots alone. */
    STEP(STEP_PROPAGATION, mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ? -errno : 0);
    int missing = open_slots(box, slots);
    if (missing >= 0) return (struct failure){.step = STEP_SOURCE, .error = errno, .mount = missing};
    /* While the host's is still visible: that is the kernel's condition. */
    static const char *const none[] = {NULL};
    int proc = mounting_new("proc", none, not_special | MOUNT_ATTR_NOEXEC);
    STEP(STEP_PROC, proc);
    STEP(STEP_PIVOT, enter_root(sources->root));
    (void)close(sources->root);
    STEP(STEP_PROC, add_proc(proc));
    STEP(STEP_PROC_MASKS, proc_mask(proc, "/run"));
    (void)close(proc);
    STEP(STEP_SYS, sys_empty());
    STEP(STEP_DEV, add_dev(sources->devices));
    STEP(STEP_RUN, add_run());
    for (size_t i = 0; i < box->mount_count; i++) {
        const struct box_mount *mount = &box->mounts[i];
        error = add_mount(mount, sources->mounts[i], sources->is_directory[i], slots[i]);
        if (error < 0) return (struct failure){.step = STEP_MOUNT, .error = -error, .mount = (int)i};
    }
    STEP(STEP_DEV, finish_dev());
    STEP(STEP_PIVOT, leave_host());
#undef STEP
    return (struct failure){0};
}

int view_add_cgroup(void) {
    static const char *const none[] = {NULL};
    unsigned int attributes = not_special | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY;
    return mounting_attach_at(mounting_new("cgroup2", none, attributes), "/sys/fs/cgroup", true);
}
