/* Stream sockets that carry descriptors, and bodies as sealed files in memory: docs/protocol.md. */
#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };
/* As docs/protocol.md has it. */
#define MOST_BODY (1LL << 30)

/* connectUnix(path): descriptor of a stream socket that does not block; -EAGAIN when too many wait there */
napi_value connect_unix(napi_env env, napi_callback_info info) {
    napi_value values[1];
    char path[TEXT_SIZE];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!arguments(env, info, 1, values) || !to_text(env, values[0], "path", path)) return NULL;
    const size_t length = strlen(path);
    if (length == 0 || length >= sizeof(address.sun_path)) return from_int(env, -ENAMETOOLONG);
    memcpy(address.sun_path, path, length);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return from_int(env, -errno);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) return from_int(env, fd);
    int error = -errno;
    (void)close(fd);
    return from_int(env, error);
}

/* closeDescriptor(fd): 0 */
napi_value close_descriptor(napi_env env, napi_callback_info info) {
    napi_value values[1];
    int fd;
    if (!arguments(env, info, 1, values) || !to_int(env, values[0], "fd", &fd)) return NULL;
    return from_int(env, close(fd) < 0 ? -errno : 0);
}

/* finishWriting(fd): 0; the other end reads to here, and then the end */
napi_value finish_writing(napi_env env, napi_callback_info info) {
    napi_value values[1];
    int fd;
    if (!arguments(env, info, 1, values) || !to_int(env, values[0], "fd", &fd)) return NULL;
    return from_int(env, shutdown(fd, SHUT_WR) < 0 ? -errno : 0);
}

/* unread(socket): bytes of memory that the other end of a Unix socket has not taken; 0 when it has taken all */
napi_value unread(napi_env env, napi_callback_info info) {
    napi_value values[1];
    int fd, bytes;
    if (!arguments(env, info, 1, values) || !to_int(env, values[0], "socket", &fd)) return NULL;
    return from_int(env, ioctl(fd, SIOCOUTQ, &bytes) < 0 ? -errno : bytes);
}

/* Puts the descriptors of a message into `out`; -1 when some were cut off or are too many, and all are closed then. */
static int take_descriptors(struct msghdr *message, int32_t *out, size_t room) {
    size_t used = 0;
    bool whole = (message->msg_flags & MSG_CTRUNC) == 0;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header != NULL; header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
            if (used < room) {
                out[used++] = fd;
            } else {
                (void)close(fd);
                whole = false;
            }
        }
    }
    for (size_t i = 0; !whole && i < used; i++) (void)close(out[i]);
    return whole ? (int)used : -1;
}

/*
 * receive(socket, bytes, fds): number of bytes, 0 at the end. `fds` is an Int32Array of 65: how many descriptors came,
 * and which. -E2BIG: more than 64, or than this process may have.
 */
napi_value receive_stream(napi_env env, napi_callback_info info) {
    napi_value values[3];
    int fd;
    const void *bytes;
    size_t length, room = 0;
    void *fds = NULL;
    napi_typedarray_type type;
    if (!arguments(env, info, 3, values) || !to_int(env, values[0], "socket", &fd) ||
        !to_bytes(env, values[1], "bytes", &bytes, &length))
        return NULL;
    if (napi_get_typedarray_info(env, values[2], &type, &room, &fds, NULL, NULL) != napi_ok || type != napi_int32_array ||
        room != 65) {
        (void)napi_throw_type_error(env, NULL, "argument 'fds' must be an Int32Array of 65");
        return NULL;
    }
    struct iovec vector = {.iov_base = (void *)bytes, .iov_len = length};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int) * 64)];
    } control;
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    ssize_t got;
    do got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    int32_t *out = fds;
    out[0] = 0;
    if (got < 0) return from_int(env, -errno);
    /* Without room for a single descriptor the kernel says only that some were cut off. */
    const int count = take_descriptors(&message, out + 1, room - 1);
    if (count < 0) return from_int(env, -E2BIG);
    out[0] = count;
    return from_int(env, got);
}

/* makeBody(bytes): a sealed file in memory that has them */
napi_value make_body(napi_env env, napi_callback_info info) {
    napi_value values[1];
    const void *bytes;
    size_t length;
    if (!arguments(env, info, 1, values) || !to_bytes(env, values[0], "bytes", &bytes, &length)) return NULL;
    int fd = memfd_create("bulkhead-body", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) return from_int(env, -errno);
    int error = 0;
    for (size_t done = 0; error == 0 && done < length;) {
        const ssize_t written = write(fd, (const char *)bytes + done, length - done);
        if (written > 0) done += (size_t)written;
        else if (written == 0 || errno != EINTR) error = written == 0 ? -ENOSPC : -errno;
    }
    if (error == 0 && fcntl(fd, F_ADD_SEALS, SEALS) < 0) error = -errno;
    if (error == 0) return from_int(env, fd);
    (void)close(fd);
    return from_int(env, error);
}

/* Only of tmpfs: a file of huge pages has seals, too, but touching it may fail with SIGBUS when there are none left. */
static bool is_body(int fd, int64_t length) {
    struct stat status;
    struct statfs system;
    const int seals = fcntl(fd, F_GET_SEALS);
    return seals >= 0 && (seals & SEALS) == SEALS && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
           status.st_size == length && fstatfs(fd, &system) == 0 && system.f_type == TMPFS_MAGIC;
}

static void unmap(napi_env env, void *memory, void *length) {
    (void)env;
    (void)munmap(memory, (size_t)(uintptr_t)length);
}

/*
 * mapBody(fd, length): an ArrayBuffer over what such a file has, which stays when the descriptor is closed. -EINVAL when
 * it is none, or of another length. What is written to the memory is seen by nobody else.
 */
napi_value map_body(napi_env env, napi_callback_info info) {
    napi_value values[2], buffer = NULL;
    int fd;
    int64_t length;
    if (!arguments(env, info, 2, values) || !to_int(env, values[0], "fd", &fd)) return NULL;
    if (napi_get_value_int64(env, values[1], &length) != napi_ok || length < 1 || length > MOST_BODY || !is_body(fd, length))
        return from_int(env, -EINVAL);
    void *memory = mmap(NULL, (size_t)length, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    if (memory == MAP_FAILED) return from_int(env, -errno);
    if (napi_create_external_arraybuffer(env, memory, (size_t)length, unmap, (void *)(uintptr_t)length, &buffer) == napi_ok)
        return buffer;
    unmap(env, memory, (void *)(uintptr_t)length);
    return from_int(env, -ENOMEM);
}
