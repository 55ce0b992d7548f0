/* Messages with descriptors, and who the other end of a socket is. */
#include "addon.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/datagram.h"

/* sendDatagram(path, bytes, fds): 0 */
napi_value send_datagram(napi_env env, napi_callback_info info) {
    napi_value values[3];
    char path[TEXT_SIZE];
    const void *bytes;
    size_t length, count;
    int fds[MAX_FDS];
    if (!arguments(env, info, 3, values) || !to_text(env, values[0], "path", path) ||
        !to_bytes(env, values[1], "bytes", &bytes, &length) || !to_fds(env, values[2], "fds", fds, &count))
        return NULL;
    return from_int(env, datagram_send(path, bytes, length, fds, count, MSG_DONTWAIT));
}

/* sendWithFds(socket, bytes, fds): number of bytes taken; the descriptors go with the first of them. */
napi_value send_with_fds(napi_env env, napi_callback_info info) {
    napi_value values[3];
    int fd, fds[MAX_FDS];
    const void *bytes;
    size_t length, count;
    if (!arguments(env, info, 3, values) || !to_int(env, values[0], "socket", &fd) ||
        !to_bytes(env, values[1], "bytes", &bytes, &length) || !to_fds(env, values[2], "fds", fds, &count))
        return NULL;

    struct iovec vector = {.iov_base = (void *)bytes, .iov_len = length};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int) * MAX_FDS)];
    } control;
    if (count > 0) {
        memset(&control, 0, sizeof(control));
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(header), fds, sizeof(int) * count);
    }
    ssize_t sent;
    do sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return from_int(env, sent < 0 ? -errno : sent);
}

/* peerCredentials(socket): {pid, uid, gid} at the time of its connect(2), as SO_PEERCRED has them. */
napi_value peer_credentials(napi_env env, napi_callback_info info) {
    napi_value values[1];
    int fd;
    if (!arguments(env, info, 1, values) || !to_int(env, values[0], "socket", &fd)) return NULL;
    struct ucred peer;
    socklen_t length = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0) return from_int(env, -errno);
    napi_value object = new_object(env);
    set(env, object, "pid", from_int(env, peer.pid));
    set(env, object, "uid", from_int(env, peer.uid));
    set(env, object, "gid", from_int(env, peer.gid));
    return object;
}
