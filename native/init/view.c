#include "init/view.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mounting.h"
#include "base/proc.h"
#include "base/slot.h"
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

/* The place of the mount that a line of mountinfo is about (proc_pid_mountinfo(5)), or NULL. */
static char *place_of(char *line) {
    char *rest = line, *place = NULL, *out;
    for (int i = 0; i < 5; i++)
        if ((place = strsep(&rest, " ")) == NULL) return NULL;
    /* Blanks and the like are three octal digits behind a backslash. */
    out = place;
    for (const char *at = place; *at != '\0'; out++) {
        bool escaped = at[0] == '\\' && strspn(at + 1, "01234567") >= 3;
        *out = escaped ? (char)((at[1] - '0') << 6 | (at[2] - '0') << 3 | (at[3] - '0')) : *at;
        at += escaped ? 4 : 1;
    }
    *out = '\0';
    return place;
}

static bool is_in_slot(const char *place) {
    const size_t length = sizeof(SLOT_PLACE) - 1;
    return strncmp(place, SLOT_PLACE, length) == 0 && (place[length] == '\0' || place[length] == '/');
}

/*
 * nspawn's mounts are shared with each other: what is put over one would show on others, too. And all follow the host's.
 * Only the tunnel of a slot goes on doing so, where there is one: a mount that is private once cannot follow again.
 */
static int cut_ties(void) {
    if (access(SLOT_PLACE, F_OK) < 0) {
        if (errno != ENOENT) return -errno;
        return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ? -errno : 0;
    }
    FILE *mounts = fopen("/proc/self/mountinfo", "re");
    if (mounts == NULL) return -errno;
    int error = mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ? -errno : 0;
    char *line = NULL;
    size_t size = 0;
    while (error == 0 && getline(&line, &size, mounts) > 0) {
        const char *place = place_of(line);
        if (place == NULL || is_in_slot(place) || mount(NULL, place, NULL, MS_PRIVATE, NULL) == 0) continue;
        /* Under another one, where no path leads; or of the host's, and gone since. */
        if (errno != EINVAL && errno != ENOENT && errno != ENOTDIR) error = -errno;
    }
    if (error == 0 && ferror(mounts)) error = -EIO;
    free(line);
    (void)fclose(mounts);
    return error;
}

int view_close(const char **notify) {
    int error = keep_socket(notify);
    if (error == 0) error = cut_ties();
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
