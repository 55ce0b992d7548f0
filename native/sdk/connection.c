/* A client's connection, and what becomes of its output. */
#include "sdk/internal.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static size_t connection_pending(const struct connection *connection) {
    return connection->out.length - connection->sent;
}

static bool connection_clogged(const struct connection *connection) {
    return connection_pending(connection) + connection->attached > HIGH_WATER;
}

static bool connection_holds(const struct connection *connection) {
    return !connection->left && (connection_clogged(connection) || connection->notified >= WINDOW ||
                                  connection->notified_bytes > MOST_NOTIFIED);
}

static void connection_dirty(struct connection *connection) {
    if (connection->dirty) return;
    connection->dirty = true;
    connection->next_dirty = connection->plugin->dirty;
    connection->plugin->dirty = connection;
}

/* What is waited for: input, unless it is held; room for output, if there is any. */
static void expect(struct connection *connection) {
    uint32_t events = 0;
    const bool clogged = !connection->left && connection_clogged(connection);
    if (!connection->eof && !connection->held && !clogged) events |= EPOLLIN;
    if (connection_pending(connection) > 0 && !connection->unread_waits) events |= EPOLLOUT;
    if (events == connection->events) return;
    struct epoll_event event = {.events = events, .data.ptr = connection};
    if (epoll_ctl(connection->plugin->epoll, EPOLL_CTL_MOD, connection->fd, &event) < 0) connection->broken = true;
    connection->events = events;
}

static void connection_new(struct bulkhead_plugin *plugin, int fd) {
    struct connection *connection = calloc(1, sizeof(*connection));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    int domain = 0;
    socklen_t size = sizeof(domain);
    if (connection == NULL || epoll_ctl(plugin->epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
        free(connection);
        (void)close(fd);
        return;
    }
    connection->plugin = plugin;
    connection->fd = fd;
    connection->events = EPOLLIN;
    connection->local = getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX;
    connection->frame = connection->peer_frame = DEFAULT_FRAME;
    connection->quiet_ns = connection->moved_ns = plugin->now;
    connection->last_attachment = &connection->attachments;
    connection->next = plugin->connections;
    if (connection->next != NULL) connection->next->previous = connection;
    plugin->connections = connection;
    if (++plugin->connection_count <= MAX_CONNECTIONS) return;
    /* It is told, so that the client tries elsewhere at once. */
    send_close(connection, "overloaded", "this plugin has 256 connections");
}

static void close_all(const int *fds, unsigned int count) {
    for (unsigned int i = 0; i < count; i++) (void)close(fds[i]);
}

/* Descriptors go with the first byte of their message, so what is before it is sent first. */
static ssize_t send_some(struct connection *connection) {
    const struct attachment *attachment = connection->attachments;
    size_t length = connection_pending(connection);
    struct iovec vector = {.iov_base = connection->out.bytes + connection->sent};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int) * MESSAGE_FDS)];
    } control;
    if (attachment == NULL) return send(connection->fd, vector.iov_base, length, MSG_NOSIGNAL);
    const uint64_t before = attachment->position - connection->sent_ever;
    if (before > 0) return send(connection->fd, vector.iov_base, before < length ? (size_t)before : length, MSG_NOSIGNAL);
    if (attachment->next != NULL && attachment->next->position - connection->sent_ever < length)
        length = (size_t)(attachment->next->position - connection->sent_ever);
    vector.iov_len = length;
    memset(&control, 0, sizeof(control));
    message.msg_control = &control;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * attachment->count);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * attachment->count);
    memcpy(CMSG_DATA(header), attachment->fds, sizeof(int) * attachment->count);
    return sendmsg(connection->fd, &message, MSG_NOSIGNAL);
}

static void drop_attachment(struct connection *connection) {
    struct attachment *attachment = connection->attachments;
    close_all(attachment->fds, attachment->count);
    connection->attached -= attachment->body_bytes;
    connection->plugin->total_attached -= attachment->body_bytes;
    connection->attachments = attachment->next;
    if (connection->attachments == NULL) connection->last_attachment = &connection->attachments;
    free(attachment);
}

static void set_unread_waits(struct connection *connection, bool waits) {
    if (waits && !connection->unread_waits) connection->plugin->unread_waiting++;
    if (!waits && connection->unread_waits) connection->plugin->unread_waiting--;
    connection->unread_waits = waits;
}

/* Whether the client has taken enough of the files that were sent. */
static bool may_attach(struct connection *connection) {
    int waiting = 0;
    if (connection->unread + connection->attachments->body_bytes <= MOST_UNREAD) return true;
    if (ioctl(connection->fd, SIOCOUTQ, &waiting) < 0) return false;
    /* It reads, though nothing is sent. */
    if (waiting != connection->queued) connection->moved_ns = connection->plugin->now;
    connection->queued = waiting;
    if (waiting > 0) return false;
    connection->unread = 0;
    return true;
}

static void flush(struct connection *connection) {
    set_unread_waits(connection, false);
    while (connection_pending(connection) > 0) {
        const bool attached = connection->attachments != NULL && connection->attachments->position == connection->sent_ever;
        if (attached && !may_attach(connection)) {
            set_unread_waits(connection, true);
            break;
        }
        ssize_t sent = send_some(connection);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0) {
            if (errno != EAGAIN) connection->broken = true;
            break;
        }
        if (attached && sent > 0) {
            connection->unread += connection->attachments->body_bytes;
            drop_attachment(connection);
        }
        connection->sent += (size_t)sent;
        connection->sent_ever += (size_t)sent;
        connection->plugin->total_output -= (size_t)sent;
        connection->moved_ns = connection->plugin->now;
    }
    if (connection_pending(connection) == 0) {
        buffer_reset(&connection->out, HIGH_WATER);
        connection->sent = 0;
    } else if (connection->sent > HIGH_WATER && connection->sent > connection->out.length / 2) {
        connection->out.length -= connection->sent;
        memmove(connection->out.bytes, connection->out.bytes + connection->sent, connection->out.length);
        connection->sent = 0;
    }
}

static void stop(struct connection *connection) {
    connection->over = true;
    while (connection->calls != NULL) call_end(connection->calls, BULKHEAD_GONE);
}

static void connection_end(struct connection *connection) {
    if (connection->dead) return;
    if (!connection->over && !connection->broken) flush(connection);
    connection->dead = true;
    connection->plugin->sweep = true;
    (void)epoll_ctl(connection->plugin->epoll, EPOLL_CTL_DEL, connection->fd, NULL);
    (void)close(connection->fd);
    stop(connection);
}

/*
 * close(2) with something unread would make the client's next write fail, and many clients do not read any more then.
 * So what it still sends is thrown away until it has left, for a second or two.
 */
static void connection_linger(struct connection *connection) {
    if (connection->over) return;
    flush(connection);
    if (connection->broken || connection_pending(connection) > 0 || connection->plugin->connection_count > MAX_CONNECTIONS ||
        shutdown(connection->fd, SHUT_WR) < 0) {
        connection->broken = true;
        connection_end(connection);
        return;
    }
    connection->held = connection->eof = false;
    connection->moved_ns = connection->plugin->now;
    stop(connection);
    connection_dirty(connection);
}

static void connection_free(struct connection *connection) {
    struct bulkhead_plugin *plugin = connection->plugin;
    if (connection->previous != NULL) connection->previous->next = connection->next;
    else plugin->connections = connection->next;
    if (connection->next != NULL) connection->next->previous = connection->previous;
    plugin->connection_count--;
    set_unread_waits(connection, false);
    plugin->total_output -= connection_pending(connection);
    while (connection->attachments != NULL) drop_attachment(connection);
    close_all(connection->fds, connection->fd_count);
    buffer_free(&connection->in);
    buffer_free(&connection->out);
    free(connection);
}

static void connection_event(struct connection *connection, uint32_t events) {
    if (connection->dead) return;
    /* When the client has left, what it sent before is read all the same: it may hold notifications. */
    const bool left = (events & (EPOLLHUP | EPOLLERR)) != 0;
    if ((events & EPOLLOUT) != 0) connection_dirty(connection);
    if (left && !connection->left) {
        connection->left = true;
        input_resume(connection);
    }
    if (!connection->dead && (left || (events & EPOLLIN) != 0)) input_read(connection);
    if (left && (connection->eof || connection->over)) connection_end(connection);
    else if (left) connection_dirty(connection);
}

/* Room again: the connection's calls may send, and what was held is taken. */
static void unclog(struct connection *connection) {
    for (struct bulkhead_call *call = connection->calls, *next; call != NULL; call = next) {
        next = call->next;
        if (call->threaded) stream_move(call);
        else stream_list(call);
    }
    if (connection->held && !connection_holds(connection)) input_resume(connection);
}

static bool connections_settle(struct bulkhead_plugin *plugin) {
    for (struct connection *each = plugin->unread_waiting > 0 ? plugin->connections : NULL; each != NULL; each = each->next)
        if (each->unread_waits) connection_dirty(each);
    struct connection *dirty = plugin->dirty;
    plugin->dirty = NULL;
    for (struct connection *next; dirty != NULL; dirty = next) {
        next = dirty->next_dirty;
        dirty->dirty = false;
        if (dirty->dead) continue;
        const bool waits = dirty->held || connection_clogged(dirty);
        if (!dirty->broken) flush(dirty);
        if (!dirty->broken && waits && !connection_clogged(dirty)) unclog(dirty);
        if (!dirty->dead) expect(dirty);
        if (dirty->broken || (dirty->eof && dirty->open == 0 && connection_pending(dirty) == 0)) connection_end(dirty);
    }
    if (plugin->sweep) {
        plugin->sweep = false;
        for (struct connection *connection = plugin->connections, *next; connection != NULL; connection = next) {
            next = connection->next;
            if (connection->dead && !connection->dirty) connection_free(connection);
            else if (connection->dead) plugin->sweep = true;
        }
    }
    return plugin->dirty != NULL;
}

static void connection_look(struct connection *connection) {
    const uint64_t now = connection->plugin->now;
    if (connection->dead) return;
    if (connection->over) {
        if (now - connection->moved_ns > (uint64_t)QUIET_MS * 1000000) connection_end(connection);
        return;
    }
    if (connection_pending(connection) > 0) {
        if (now - connection->moved_ns > (uint64_t)STALL_MS * 1000000) connection_end(connection);
        return;
    }
    if (!connection->plugin->draining || connection->open > 0 || connection->drain_told) return;
    if (now - connection->quiet_ns > (uint64_t)QUIET_MS * 1000000) connection_end(connection);
}
