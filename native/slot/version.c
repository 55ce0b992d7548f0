#include "slot/version.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mounting.h"
#include "base/text.h"

/* As src/declare/plugin.schema.json has it. */
static bool is_version(const char *name) {
    size_t length = strlen(name);
    static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    return length > 0 && length <= 64 && strspn(name, first) > 0 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+~-") == length;
}

/* VERSIONS itself may be a link of the administrator's. */
static int open_named(const char *plugin, const char *name) {
    char below[PLACE_SIZE];
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
    int versions = open(VERSIONS, O_PATH | O_DIRECTORY | O_CLOEXEC), fd;
    if (versions < 0) return -errno;
    (void)snprintf(below, sizeof(below), "%s/%s", plugin, name);
    do fd = (int)syscall(SYS_openat2, versions, below, &how, sizeof(how));
    while (fd < 0 && (errno == EINTR || errno == EAGAIN));
    int result = fd < 0 ? -errno : fd;
    (void)close(versions);
    return result;
}

int version_open(struct version *version, const struct tunnel *tunnel, const char *path) {
    char above[PLACE_SIZE];
    int length = snprintf(above, sizeof(above), VERSIONS "/%s/", tunnel->plugin);
    if (strncmp(path, above, (size_t)length) != 0 || !is_version(path + length)) return -EINVAL;
    int fd = open_named(tunnel->plugin, path + length);
    if (fd < 0) return fd;
    version->fd = fd;
    return layers_source_of(fd, &version->source);
}

int version_mount(const struct version *version) {
    int mount = mounting_copy(version->fd, "", false);
    if (mount < 0) return mount;
    int error = mounting_change(mount, false, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, 0);
    if (error == 0) return mount;
    (void)close(mount);
    return error;
}

void version_name(const struct source *source, const struct tunnel *tunnel, char *out, size_t size) {
    const char *slash = strrchr(source->root, '/'), *name = slash == NULL ? source->root : slash + 1;
    struct source there;
    int fd = is_version(name) ? open_named(tunnel->plugin, name) : -ENOENT;
    bool same = fd >= 0 && layers_source_of(fd, &there) == 0 && layers_same(source, &there);
    if (fd >= 0) (void)close(fd);
    const char *shown = same ? name : source->root;
    (void)text_clean(shown, strlen(shown), out, size);
}
