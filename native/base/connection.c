#include "base/connection.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int connection_open(struct connection *connection, const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path)) return -EINVAL;
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -errno;
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        int error = -errno;
        (void)close(fd);
        return error;
    }
    connection->fd = fd;
    connection->used = 0;
    connection->fd_count = 0;
    return 0;
}

void connection_close(struct connection *connection) {
    for (size_t i = 0; i < connection->fd_count; i++) (void)close(connection->fds[i]);
    connection->fd_count = 0;
    (void)close(connection->fd);
    connection->fd = -1;
}

int connection_send(struct connection *connection, const char *text, size_t length) {
    ssize_t sent;
    do sent = send(connection->fd, text, length, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0) return -errno;
    return (size_t)sent == length ? 0 : -EAGAIN;
}

/* Keeps the descriptors of a message; false when they are too many, or some were cut off. */
static bool take_fds(struct connection *connection, struct msghdr *message) {
    bool whole = (message->msg_flags & MSG_CTRUNC) == 0;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header != NULL; header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
            if (connection->fd_count < CONNECTION_MAX_FDS) {
                connection->fds[connection->fd_count++] = fd;
            } else {
                (void)close(fd);
                whole = false;
            }
        }
    }
    return whole;
}

enum connection_event connection_line(struct connection *connection, char **line, size_t *length) {
    for (;;) {
        char *end = memchr(connection->buffer, '\n', connection->used);
        if (end != NULL) {
            *end = '\0';
            *line = connection->buffer;
            *length = (size_t)(end - connection->buffer);
            return CONNECTION_LINE;
        }
        if (connection->used == sizeof(connection->buffer)) return CONNECTION_MALFORMED;

        struct iovec vector = {.iov_base = connection->buffer + connection->used,
                               .iov_len = sizeof(connection->buffer) - connection->used};
        union {
            struct cmsghdr header;
            char space[CMSG_SPACE(sizeof(int) * CONNECTION_MAX_FDS)];
        } control;
        struct msghdr message = {
            .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
        ssize_t got = recvmsg(connection->fd, &message, MSG_CMSG_CLOEXEC);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno == EAGAIN ? CONNECTION_EMPTY : CONNECTION_CLOSED;
        if (!take_fds(connection, &message)) return CONNECTION_MALFORMED;
        if (got == 0) return CONNECTION_CLOSED;
        connection->used += (size_t)got;
    }
}

void connection_drop_line(struct connection *connection, size_t length) {
    connection->used -= length + 1;
    memmove(connection->buffer, connection->buffer + length + 1, connection->used);
}
