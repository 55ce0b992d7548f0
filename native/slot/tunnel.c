#include "slot/tunnel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* What src/declare/plugin-name.ts allows, and no name of another directory. */
static bool is_plugin(const char *name, size_t length) {
    return length > 0 && length <= 48 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") >= length &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789") > 0;
}

bool tunnel_parse(struct tunnel *tunnel, const char *path) {
    *tunnel = (struct tunnel){.fd = -1};
    static const char above[] = TUNNELS "/";
    if (strncmp(path, above, sizeof(above) - 1) != 0) return false;
    const char *name = path + sizeof(above) - 1;
    size_t length = strcspn(name, "/");
    const char *slot = name + length;
    if (!is_plugin(name, length) || (strcmp(slot, "/a") != 0 && strcmp(slot, "/b") != 0)) return false;
    (void)memcpy(tunnel->plugin, name, length);
    tunnel->slot = slot[1];
    (void)snprintf(tunnel->live, sizeof(tunnel->live), TUNNELS "/%s/%c/" SLOT_LIVE, tunnel->plugin, tunnel->slot);
    return true;
}

/* One component below; nobody but root may have made it, or may change what is in it. */
static int descend(int above, const char *name, bool make) {
    if (make && mkdirat(above, name, 0755) < 0 && errno != EEXIST) return -errno;
    int fd = openat(above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return -errno;
    struct stat status;
    int error = fstat(fd, &status) < 0 ? -errno : status.st_uid != 0 || (status.st_mode & 022) != 0 ? -EPERM : 0;
    if (error == 0) return fd;
    (void)close(fd);
    return error;
}

int tunnel_open(struct tunnel *tunnel, bool make) {
    const char slot[] = {tunnel->slot, '\0'};
    const char *const names[] = {"run", "bulkhead", "slot", tunnel->plugin, slot};
    (void)umask(022);
    int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return -errno;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        /* The first two are the package's. */
        int next = descend(fd, names[i], make && i >= 2);
        (void)close(fd);
        if (next < 0) return next;
        fd = next;
    }
    struct stat status, live;
    int error = flock(fd, LOCK_EX) < 0 || fstat(fd, &status) < 0 ? -errno : 0;
    if (error == 0 && make && mkdirat(fd, SLOT_LIVE, 0755) < 0 && errno != EEXIST) error = -errno;
    if (error == 0 && fstatat(fd, SLOT_LIVE, &live, AT_SYMLINK_NOFOLLOW) < 0) error = -errno;
    if (error == 0 && !S_ISDIR(live.st_mode)) error = -ENOTDIR;
    if (error < 0) {
        (void)close(fd);
        return error;
    }
    tunnel->fd = fd;
    tunnel->device = status.st_dev;
    tunnel->inode = status.st_ino;
    return 0;
}

int tunnel_remove(struct tunnel *tunnel) {
    char path[PLACE_SIZE];
    if (unlinkat(tunnel->fd, SLOT_LIVE, AT_REMOVEDIR) < 0 && errno != ENOENT) return -errno;
    (void)snprintf(path, sizeof(path), TUNNELS "/%s/%c", tunnel->plugin, tunnel->slot);
    if (rmdir(path) < 0 && errno != ENOENT) return -errno;
    (void)snprintf(path, sizeof(path), TUNNELS "/%s", tunnel->plugin);
    /* The other slot may be there. */
    return rmdir(path) < 0 && errno != ENOENT && errno != ENOTEMPTY ? -errno : 0;
}
