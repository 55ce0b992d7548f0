/* Large binaries as files in memory: sealed, so that neither their size nor their content changes any more. */
#include "sdk/values.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };

/*
 * Only of tmpfs: a file of huge pages has seals, too, but touching it may fail with SIGBUS when there are none left.
 * Private, because a shared mapping of a file that is sealed against writing is refused by kernels before 6.7.
 */
static int body_map(struct body *body, uint64_t length) {
    struct stat status;
    struct statfs system;
    if (length > MAX_BODY) return -EFBIG;
    int seals = fcntl(body->fd, F_GET_SEALS);
    if (seals < 0 || (seals & SEALS) != SEALS) return -EINVAL;
    if (fstat(body->fd, &status) < 0 || !S_ISREG(status.st_mode) || status.st_size < 0) return -EINVAL;
    if ((uint64_t)status.st_size != length || fstatfs(body->fd, &system) < 0 || system.f_type != TMPFS_MAGIC) return -EINVAL;
    body->length = (size_t)length;
    /* A mapping has at least a byte; of an empty file it is never touched. */
    body->map = mmap(NULL, length == 0 ? 1 : (size_t)length, PROT_READ, MAP_PRIVATE, body->fd, 0);
    if (body->map == MAP_FAILED) {
        body->map = NULL;
        return -ENOMEM;
    }
    (void)close(body->fd);
    body->fd = -1;
    return 0;
}

static void bodies_release(struct bulkhead_bodies *bodies) {
    for (unsigned int i = 0; i < bodies->count; i++) {
        struct body *body = &bodies->each[i];
        if (body->map != NULL) (void)munmap(body->map, body->length == 0 ? 1 : body->length);
        if (body->fd >= 0) (void)close(body->fd);
    }
    bodies->count = 0;
}

static int body_make(const void *bytes, size_t length) {
    int fd = memfd_create("bulkhead-body", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) return -errno;
    for (size_t done = 0; done < length;) {
        ssize_t written = write(fd, (const char *)bytes + done, length - done);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) {
            int error = written < 0 ? -errno : -ENOSPC;
            (void)close(fd);
            return error;
        }
        done += (size_t)written;
    }
    if (fcntl(fd, F_ADD_SEALS, SEALS) < 0) {
        int error = -errno;
        (void)close(fd);
        return error;
    }
    return fd;
}
