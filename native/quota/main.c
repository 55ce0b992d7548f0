/*
 * plugin-quota DIRECTORY BYTES|infinity: limits what a directory and all below it may hold, by a project quota.
 *
 * The project is the directory's own: it gets one that no directory beside it has, and everything that is made
 * in it inherits it. Run by systemd, because quotactl(2) needs CAP_SYS_ADMIN. Exit status 0 also where the file
 * system has no project quotas, since that is nothing that could be corrected here; statfs(2) of the directory
 * tells whether there is one.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/text.h"

/* Projects from "BH" on, so that they are seldom those of an administrator's /etc/projid. */
enum { FIRST_PROJECT = 0x42480000, LAST_PROJECT = 0x4248ffff };
/* One file for so many bytes: without it a directory could have all inodes of its file system. */
enum { BYTES_OF_A_FILE = 4096, LEAST_FILES = 64 };
/* dqblk counts blocks of so many bytes (quotactl(2)). */
enum { QUOTA_BLOCK = 1024 };

static int failed(const char *what, const char *directory) {
    (void)fprintf(stderr, "cannot %s '%s': %s\n", what, directory, strerror(errno));
    return 1;
}

static uint32_t project_of(int fd) {
    struct fsxattr attributes;
    return ioctl(fd, FS_IOC_FSGETXATTR, &attributes) < 0 ? 0 : attributes.fsx_projid;
}

/* Whether another directory beside this one has the project. */
static bool is_taken(DIR *parent, const char *own, uint32_t project) {
    rewinddir(parent);
    for (struct dirent *entry; (entry = readdir(parent)) != NULL;) {
        if (entry->d_name[0] == '.' || strcmp(entry->d_name, own) == 0) continue;
        int fd = openat(dirfd(parent), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0) continue;
        bool same = project_of(fd) == project;
        (void)close(fd);
        if (same) return true;
    }
    return false;
}

/* The directory's project, given to it if it has none of ours. Returns 0 where there are no projects. */
static int64_t own_project(int fd, DIR *parent, const char *name) {
    struct fsxattr attributes;
    if (ioctl(fd, FS_IOC_FSGETXATTR, &attributes) < 0) return errno == ENOTTY || errno == EOPNOTSUPP ? 0 : -errno;
    uint32_t project = attributes.fsx_projid;
    bool ours = project >= FIRST_PROJECT && project <= LAST_PROJECT;
    if (ours && (attributes.fsx_xflags & FS_XFLAG_PROJINHERIT) != 0) return project;
    if (!ours) {
        for (project = FIRST_PROJECT; is_taken(parent, name, project); project++)
            if (project == LAST_PROJECT) return -ENOSPC;
    }
    attributes.fsx_projid = project;
    attributes.fsx_xflags |= FS_XFLAG_PROJINHERIT;
    if (ioctl(fd, FS_IOC_FSSETXATTR, &attributes) < 0) return errno == ENOTTY || errno == EOPNOTSUPP ? 0 : -errno;
    return project;
}

/* Returns 0, also where there are no project quotas, or -errno. */
static int limit(int fd, uint32_t project, unsigned long bytes) {
    struct if_dqblk block = {.dqb_valid = QIF_LIMITS};
    if (bytes != 0) {
        block.dqb_bhardlimit = bytes / QUOTA_BLOCK;
        block.dqb_ihardlimit = bytes / BYTES_OF_A_FILE < LEAST_FILES ? LEAST_FILES : bytes / BYTES_OF_A_FILE;
    }
    if (syscall(SYS_quotactl_fd, fd, QCMD(Q_SETQUOTA, PRJQUOTA), project, &block) == 0) return 0;
    /* ESRCH: not switched on. ENOSYS: no quotas in this kernel, or for this file system. */
    return errno == ESRCH || errno == ENOSYS || errno == EOPNOTSUPP || errno == EINVAL ? 0 : -errno;
}

int main(int argc, char **argv) {
    unsigned long bytes = 0;
    const char *slash = argc == 3 ? strrchr(argv[1], '/') : NULL;
    if (slash == NULL || slash == argv[1] || slash[1] == '\0' ||
        (strcmp(argv[2], "infinity") != 0 && !text_number(argv[2], 1, INT64_MAX, &bytes))) {
        (void)fputs("usage: plugin-quota /PARENT/DIRECTORY BYTES|infinity\n", stderr);
        return 2;
    }
    char above[4096];
    if (snprintf(above, sizeof(above), "%.*s", (int)(slash - argv[1]), argv[1]) >= (int)sizeof(above)) return 2;
    DIR *parent = opendir(above);
    if (parent == NULL) return failed("open", above);
    /* Two at once would choose the same project. */
    if (flock(dirfd(parent), LOCK_EX) < 0) return failed("lock", above);
    int fd = openat(dirfd(parent), slash + 1, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return failed("open", argv[1]);
    int64_t project = own_project(fd, parent, slash + 1);
    if (project == 0) return 0;
    errno = project < 0 ? (int)-project : 0;
    if (project < 0) return failed("give a project to", argv[1]);
    int error = limit(fd, (uint32_t)project, bytes);
    errno = -error;
    return error < 0 ? failed("set the quota of", argv[1]) : 0;
}
