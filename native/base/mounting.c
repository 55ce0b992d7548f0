#include "base/mounting.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int mounting_new(const char *type, const char *const *options, unsigned int attributes) {
    int context = fsopen(type, FSOPEN_CLOEXEC);
    if (context < 0) return -errno;
    int result = 0;
    for (; *options != NULL && result == 0; options += 2)
        if (fsconfig(context, FSCONFIG_SET_STRING, options[0], options[1], 0) < 0) result = -errno;
    if (result == 0 && fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) result = -errno;
    if (result == 0) {
        result = fsmount(context, FSMOUNT_CLOEXEC, attributes);
        if (result < 0) result = -errno;
    }
    (void)close(context);
    return result;
}

int mounting_copy(int directory, const char *path, bool recursive) {
    unsigned int flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW;
    int mount = open_tree(directory, path, flags | (recursive ? AT_RECURSIVE : 0));
    return mount < 0 ? -errno : mount;
}

int mounting_change(int mount, bool recursive, uint64_t set, uint64_t clear) {
    struct mount_attr attributes = {.attr_set = set, .attr_clr = clear, .propagation = MS_PRIVATE};
    unsigned int flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);
    return mount_setattr(mount, "", flags, &attributes, sizeof(attributes)) < 0 ? -errno : 0;
}

int mounting_restrict(int mount, uint64_t set) {
    struct mount_attr attributes = {.attr_set = set};
    return mount_setattr(mount, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof(attributes)) < 0 ? -errno : 0;
}

int mounting_attach(int mount, int directory, const char *path) {
    unsigned int flags = MOVE_MOUNT_F_EMPTY_PATH | (path[0] == '\0' ? MOVE_MOUNT_T_EMPTY_PATH : 0);
    return move_mount(mount, "", directory, path, flags) < 0 ? -errno : 0;
}

static int open_below(int directory, const char *path, bool is_directory) {
    struct open_how how = {.flags = O_PATH | O_CLOEXEC | (is_directory ? O_DIRECTORY : 0),
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
    int fd;
    /* EAGAIN: something was renamed meanwhile, and the kernel wants to be asked again. */
    do fd = (int)syscall(SYS_openat2, directory, path, &how, sizeof(how));
    while (fd < 0 && (errno == EINTR || errno == EAGAIN));
    return fd < 0 ? -errno : fd;
}

static int make(int directory, const char *name, bool is_directory) {
    if (is_directory) return mkdirat(directory, name, 0755) < 0 && errno != EEXIST ? -errno : 0;
    int fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444);
    if (fd < 0) return errno == EEXIST ? 0 : -errno;
    (void)close(fd);
    return 0;
}

int mounting_place(const char *path, bool is_directory) {
    char component[NAME_MAX + 1];
    int at = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (at < 0) return -errno;
    while (*path == '/') path++;
    while (*path != '\0' && at >= 0) {
        size_t length = strcspn(path, "/");
        if (length > NAME_MAX) {
            (void)close(at);
            return -ENAMETOOLONG;
        }
        (void)memcpy(component, path, length);
        component[length] = '\0';
        path += length;
        while (*path == '/') path++;
        bool inner = *path != '\0' || is_directory;
        int next = open_below(at, component, inner);
        if (next == -ENOENT) {
            next = make(at, component, inner);
            if (next == 0) next = open_below(at, component, inner);
        }
        (void)close(at);
        at = next;
    }
    return at;
}

int mounting_attach_at(int mount, const char *path, bool is_directory) {
    if (mount < 0) return mount;
    int place = mounting_place(path, is_directory);
    int result = place < 0 ? place : mounting_attach(mount, place, "");
    if (place >= 0) (void)close(place);
    (void)close(mount);
    return result;
}
