#include "spawner/sources.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mounting.h"

#define JOURNAL_SOCKET "/run/systemd/journal/stdout"

static struct failure failed(enum step step, int error, int mount) {
    return (struct failure){.step = step, .error = -error, .mount = mount};
}

static int open_resolved(const char *path, uint64_t resolve, struct stat *status) {
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = resolve};
    int fd;
    do fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
    while (fd < 0 && (errno == EINTR || errno == EAGAIN));
    if (fd < 0) return -errno;
    if (fstat(fd, status) == 0) return fd;
    int error = -errno;
    (void)close(fd);
    return error;
}

/* Symbolic links are followed, because root laid them; those of /proc, which lead anywhere, are not. */
static int open_path(const char *path, struct stat *status) { return open_resolved(path, RESOLVE_NO_MAGICLINKS, status); }

/* A copy of the mount that `fd` is in, with attributes. Closes `fd`. */
static int copy(int fd, bool recursive, uint64_t set, uint64_t clear) {
    int mount = mounting_copy(fd, "", recursive);
    (void)close(fd);
    if (mount < 0) return mount;
    int error = mounting_change(mount, recursive, set, clear);
    if (error == 0) return mount;
    (void)close(mount);
    return error;
}

static int open_root(const char *path) {
    struct stat status;
    int fd = open_path(path, &status);
    if (fd < 0) return fd;
    if (S_ISDIR(status.st_mode)) return copy(fd, true, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, 0);
    (void)close(fd);
    return -ENOTDIR;
}

/* A node on a read-only mount can be written to as its permissions say; the mode and owner of it cannot be changed. */
static int copy_device(int fd) { return copy(fd, false, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, 0); }

/* A file of the box's own ids, and no other: what is written into it is nobody else's. */
static int open_file(const char *path, uid_t base) {
    struct stat status;
    int fd = open_resolved(path, RESOLVE_NO_SYMLINKS, &status);
    if (fd < 0) return fd;
    int error = !S_ISREG(status.st_mode) ? -EINVAL : status.st_uid < base || status.st_uid - base >= ID_RANGE ? -EPERM : 0;
    if (error == 0) return copy(fd, false, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, MOUNT_ATTR_RDONLY);
    (void)close(fd);
    return error;
}

static int open_mount(const struct box_mount *mount, uid_t base, bool *is_directory) {
    struct stat status;
    if (mount->kind == BIND_FILE) {
        *is_directory = false;
        return open_file(mount->source, base);
    }
    int fd = open_path(mount->source, &status);
    if (fd < 0) return fd;
    *is_directory = S_ISDIR(status.st_mode);
    switch (mount->kind) {
        case BIND_READ_ONLY:
            return copy(fd, true, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, 0);
        case BIND_WRITABLE:
            /* Read-only is cleared, because the whole file system is in the daemon's own namespace. */
            return copy(fd, false, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, MOUNT_ATTR_RDONLY);
        case BIND_DEVICE:
            if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) return copy_device(fd);
            (void)close(fd);
            return -ENODEV;
        case BIND_FILE:
        case BIND_SLOT:
        case TMPFS:
            break;
    }
    (void)close(fd);
    return -EINVAL;
}

struct failure sources_open(struct sources *sources, const struct box *box) {
    sources->root = open_root(box->root);
    if (sources->root < 0) return failed(STEP_ROOT, sources->root, -1);

    static const char *const devices[] = STANDARD_DEVICES;
    for (int i = 0; i < STANDARD_DEVICE_COUNT; i++) {
        char path[32];
        struct stat status;
        (void)snprintf(path, sizeof(path), "/dev/%s", devices[i]);
        int fd = open_path(path, &status);
        if (fd >= 0) fd = copy_device(fd);
        if (fd < 0) return failed(STEP_DEVICES, fd, -1);
        sources->devices[i] = fd;
    }

    for (size_t i = 0; i < box->mount_count; i++) {
        sources->mounts[i] = -1;
        sources->is_directory[i] = true;
        if (box->mounts[i].kind == TMPFS || box->mounts[i].kind == BIND_SLOT) continue;
        sources->mounts[i] = open_mount(&box->mounts[i], box->id_base, &sources->is_directory[i]);
        if (sources->mounts[i] < 0) return failed(STEP_SOURCE, sources->mounts[i], (int)i);
    }

    struct stat status;
    sources->journal = open_path(JOURNAL_SOCKET, &status);
    if (sources->journal < 0) return failed(STEP_JOURNAL, sources->journal, -1);
    return (struct failure){0};
}

struct failure sources_map_ids(const struct sources *sources, const struct box *box, int user_namespace) {
    for (size_t i = 0; i < box->mount_count; i++) {
        if (box->mounts[i].kind != BIND_WRITABLE) continue;
        struct mount_attr attributes = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)user_namespace};
        if (mount_setattr(sources->mounts[i], "", AT_EMPTY_PATH, &attributes, sizeof(attributes)) < 0)
            return failed(STEP_ID_MAPPED_MOUNT, -errno, (int)i);
    }
    return (struct failure){0};
}
