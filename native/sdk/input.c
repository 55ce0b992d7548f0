/* What clients send: cut into messages, checked, and given to whom it is for. */
#include "sdk/internal.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static void refuse_frame(struct connection *connection, const char *why) {
    send_close(connection, "bad-frame", why);
}

/* Gives the message the descriptors that it mentions, and maps those that are said to be files. */
static bool take_descriptors(struct connection *connection, const unsigned char *bytes, size_t length,
                             struct bulkhead_bodies *bodies) {
    const unsigned int count = connection->scan.mentions;
    if (count > connection->fd_count) return false;
    for (unsigned int i = 0; i < count; i++) bodies->each[i] = (struct body){.fd = connection->fds[i]};
    bodies->count = count;
    connection->fd_count -= count;
    memmove(connection->fds, connection->fds + count, connection->fd_count * sizeof(int));
    struct head head;
    for (const unsigned char *at = bytes; head_of(at, bytes + length, &head); at += head.size + (size_t)head.payload) {
        if (head.extension != 1) continue;
        const unsigned char *payload = at + head.size;
        uint64_t size = 0;
        for (size_t i = 1; i < 9; i++) size = size << 8 | payload[i];
        if (body_map(&bodies->each[payload[0]], size) < 0) return false;
    }
    return true;
}

static void request(struct connection *connection, const struct message *message) {
    if (text_is(message->method, "$hello") && !connection->bare) {
        greet(connection, message);
    } else if (text_is(message->method, "$ping") && connection->greeted) {
        struct bulkhead_writer nil = {0};
        send_result(connection, message->id, &nil);
        writer_release(&nil);
    } else {
        send_error(connection, message->id, "unknown-method", "the protocol has no such request", NULL, false);
    }
}

/* A whole message. `owner` is the memory that it lies at the beginning of, if that may be taken over. */
static void take_message(struct connection *connection, const unsigned char *bytes, size_t length, struct buffer *owner) {
    struct message message;
    struct bulkhead_bodies bodies = {0};
    const char *wrong = message_parse(bytes, length, &message);
    if (wrong == NULL && connection->scan.mentions > 0 && !take_descriptors(connection, bytes, length, &bodies))
        wrong = "a descriptor is missing, or is not what the message says";
    connection->quiet_ns = connection->plugin->now;
    if (wrong != NULL) {
        bodies_release(&bodies);
        refuse_frame(connection, wrong);
        return;
    }
    if (message.method.bytes[0] != '$') {
        call_begin(connection, &message, bytes, length, owner, &bodies);
    } else if (message.type == MESSAGE_REQUEST) {
        if (call_find(connection, message.id) != NULL) refuse_frame(connection, "two requests have the same id");
        else request(connection, &message);
    } else {
        control_notification(connection, &message);
    }
    bodies_release(&bodies);
    if (message.type == MESSAGE_REQUEST) connection->asked = true;
}

static uint32_t frame_length(const unsigned char *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* Messages behind their lengths. Returns how many bytes are done with. */
static size_t take_frames(struct connection *connection, const unsigned char *bytes, size_t length, struct buffer *owner) {
    size_t at = 0;
    while (length - at >= 4 && !connection->held) {
        const uint32_t size = frame_length(bytes + at);
        if (size == 0 || size > connection->frame) {
            refuse_frame(connection, size == 0 ? "an empty message" : "a message that is longer than the limit");
            return length;
        }
        if (length - at - 4 < size) break;
        const unsigned char *message = bytes + at + 4;
        if (!scan_is_value(&connection->scan, message, size)) {
            refuse_frame(connection, connection->scan.wrong);
            return length;
        }
        at += 4 + (size_t)size;
        take_message(connection, message, size, at == length ? owner : NULL);
        if (connection->over || connection->broken) return length;
        connection->held = connection_holds(connection);
    }
    return at;
}

/* Messages without lengths: the scan goes on where it was when more comes in. */
static size_t take_bare(struct connection *connection, const unsigned char *bytes, size_t length) {
    size_t at = 0;
    while (at < length && !connection->held) {
        struct scan *scan = &connection->scan;
        if (scan->at == 0) scan_start(scan);
        const enum scan_result result = scan_more(scan, bytes + at, length - at);
        if (result == SCAN_BAD || scan->at > BARE_FRAME || (result == SCAN_MORE && length - at > BARE_FRAME)) {
            refuse_frame(connection, result == SCAN_BAD ? scan->wrong : "a message that is longer than the limit");
            return length;
        }
        if (result == SCAN_MORE) break;
        const size_t size = scan->at;
        take_message(connection, bytes + at, size, NULL);
        if (connection->over || connection->broken) return length;
        scan_start(scan);
        at += size;
        connection->held = connection_holds(connection);
    }
    return at;
}

/* Returns how many bytes have been used up. No length within the limit begins like the array that a bare peer sends. */
static size_t take_input(struct connection *connection, const unsigned char *bytes, size_t length, struct buffer *owner) {
    if (!connection->known && length > 0) {
        connection->known = true;
        connection->bare = bytes[0] >= 0x93 && bytes[0] <= 0x95;
        scan_start(&connection->scan);
        if (connection->bare) connection->frame = connection->peer_frame = BARE_FRAME;
    }
    return connection->bare ? take_bare(connection, bytes, length) : take_frames(connection, bytes, length, owner);
}

static bool keep_fds(struct connection *connection, struct msghdr *message) {
    bool whole = (message->msg_flags & MSG_CTRUNC) == 0;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header != NULL; header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
            if (connection->fd_count < WAITING_FDS) {
                connection->fds[connection->fd_count++] = fd;
            } else {
                (void)close(fd);
                whole = false;
            }
        }
    }
    return whole;
}

/* Descriptors are asked for where they have been agreed on; else the kernel drops them. Returns 0 at the end, or -1. */
static ssize_t receive(struct connection *connection, unsigned char *bytes, size_t size) {
    struct iovec vector = {.iov_base = bytes, .iov_len = size};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int) * WAITING_FDS)];
    } control;
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    ssize_t got;
    if (!connection->body && !connection->descriptor) return recv(connection->fd, bytes, size, 0);
    got = recvmsg(connection->fd, &message, MSG_CMSG_CLOEXEC);
    if (got < 0 || keep_fds(connection, &message)) return got;
    refuse_frame(connection, "more descriptors than messages have mentioned");
    return got;
}

static void received(struct connection *connection, ssize_t got) {
    if (connection->over || (got < 0 && (errno == EAGAIN || errno == EINTR))) return;
    if (got == 0) {
        connection->eof = true;
        connection_dirty(connection);
    } else if (got < 0) {
        connection_end(connection);
    }
}

/* Without memory for what a client sends, it is not served. */
static void give_up(struct connection *connection) {
    connection->broken = true;
    connection_dirty(connection);
}

/* A long message is gathered in memory of its own, which grows as it comes in, not as it says that it will. */
static void read_long(struct connection *connection, size_t whole) {
    struct buffer *in = &connection->in;
    size_t more = whole - in->length;
    if (more > SCRATCH && more > in->length) more = in->length > SCRATCH ? in->length : SCRATCH;
    /* With the room that a call needs which takes it over. */
    if (!buffer_reserve(in, more + META_ROOM)) {
        give_up(connection);
        return;
    }
    const ssize_t got = receive(connection, in->bytes + in->length, more);
    if (got <= 0 || connection->over) {
        received(connection, got);
        return;
    }
    in->length += (size_t)got;
    if (in->length < whole) return;
    (void)take_input(connection, in->bytes, in->length, in);
    buffer_reset(in, SCRATCH);
}

static void keep_rest(struct connection *connection, const unsigned char *bytes, size_t length) {
    struct buffer *in = &connection->in;
    in->length = 0;
    if (connection->over || connection->broken) return;
    if (!buffer_add(in, bytes, length)) give_up(connection);
}

static void read_bare(struct connection *connection) {
    struct buffer *in = &connection->in;
    if (!buffer_reserve(in, SCRATCH)) {
        give_up(connection);
        return;
    }
    const ssize_t got = receive(connection, in->bytes + in->length, SCRATCH);
    if (got <= 0) {
        received(connection, got);
        return;
    }
    in->length += (size_t)got;
    input_resume(connection);
}

/* What a client sends that has been told why its connection ends. */
static void discard(struct connection *connection) {
    const ssize_t got = recv(connection->fd, connection->plugin->scratch, SCRATCH, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) connection_end(connection);
}

static void input_read(struct connection *connection) {
    struct buffer *in = &connection->in;
    unsigned char *scratch = connection->plugin->scratch;
    if (connection->over) {
        discard(connection);
        return;
    }
    if (connection->held || connection->eof) return;
    size_t whole = 4;
    if (connection->known && !connection->bare && in->length >= 4) whole = 4 + (size_t)frame_length(in->bytes);
    if (whole > SCRATCH) {
        read_long(connection, whole);
        return;
    }
    if (connection->bare) {
        read_bare(connection);
        return;
    }
    const size_t before = in->length;
    if (before > 0) memcpy(scratch, in->bytes, before);
    const ssize_t got = receive(connection, scratch + before, SCRATCH - before);
    if (got <= 0 || connection->over) {
        received(connection, got);
        return;
    }
    const size_t length = before + (size_t)got, used = take_input(connection, scratch, length, NULL);
    keep_rest(connection, scratch + used, length - used);
}

static void input_resume(struct connection *connection) {
    struct buffer *in = &connection->in;
    connection->held = false;
    if (connection->over || connection->broken || in->length == 0) return;
    const size_t used = take_input(connection, in->bytes, in->length, NULL);
    if (connection->over || connection->broken) return;
    if (used > 0) {
        in->length -= used;
        memmove(in->bytes, in->bytes + used, in->length);
    }
    if (in->length == 0) buffer_reset(in, SCRATCH);
}
