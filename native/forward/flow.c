/*
 * The bytes of one connection, both ways. What cannot be sent on at once is kept, and nothing more is read until it is
 * gone: that is all the memory that a flow takes, and how a slow reader slows its writer down. An end that is read to
 * its end ends the other direction only.
 */
#include "forward/flow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A connection of which one direction has ended, and through which nothing moves for so long, is given up. */
enum { HALF_CLOSED_MS = 600000 };

/* All flows use it in turn: what is left in it after a turn is copied. */
static char chunk[CHUNK];

static bool again(void) { return errno == EAGAIN || errno == EINTR; }

/* Sends what is kept. Returns false when the connection broke. */
static bool send_pending(struct end *from, const struct end *to, bool *moved) {
    while (from->pending > 0) {
        ssize_t sent = send(to->watch.fd, from->buffer + from->at, from->pending, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0) return again();
        *moved = true;
        from->at += (size_t)sent;
        from->pending -= (size_t)sent;
    }
    free(from->buffer);
    from->buffer = NULL;
    return true;
}

static bool keep(struct end *from, const char *bytes, size_t length) {
    from->buffer = malloc(length);
    if (from->buffer == NULL) return false;
    (void)memcpy(from->buffer, bytes, length);
    from->at = 0;
    from->pending = length;
    return true;
}

/* One direction, at most one chunk. Returns false when the connection broke. */
static bool pump(struct end *from, struct end *to, bool *moved) {
    if (from->pending > 0 && !send_pending(from, to, moved)) return false;
    if (from->pending > 0) return true;
    if (!from->read_ended) {
        ssize_t got = recv(from->watch.fd, chunk, sizeof(chunk), MSG_DONTWAIT);
        if (got < 0) return again();
        if (got > 0) {
            *moved = true;
            ssize_t sent = send(to->watch.fd, chunk, (size_t)got, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (sent < 0 && !again()) return false;
            size_t gone = sent < 0 ? 0 : (size_t)sent;
            return gone == (size_t)got || keep(from, chunk + gone, (size_t)got - gone);
        }
        *moved = true;
        from->read_ended = true;
    }
    if (to->write_ended) return true;
    to->write_ended = true;
    return shutdown(to->watch.fd, SHUT_WR) == 0;
}

/* One whose directions have both ended has nothing to tell but that, again and again. */
static int wanted(const struct end *end, const struct end *other) {
    if (end->read_ended && end->write_ended) return -1;
    int events = 0;
    if (!end->read_ended && end->pending == 0) events |= EPOLLIN;
    if (other->pending > 0) events |= EPOLLOUT;
    return events;
}

bool flow_move(struct flow *flow, int epoll, int64_t now, bool *broken) {
    struct end *near = &flow->near, *far = &flow->far;
    bool moved = false;
    *broken = true;
    if (!pump(near, far, &moved) || !pump(far, near, &moved)) return false;
    if (near->write_ended && far->write_ended) {
        *broken = false;
        return false;
    }
    if (watch_for(&near->watch, epoll, wanted(near, far)) < 0 || watch_for(&far->watch, epoll, wanted(far, near)) < 0) return false;
    bool half = near->read_ended || far->read_ended;
    if (half && (moved || flow->deadline == 0)) flow->deadline = now + HALF_CLOSED_MS;
    return true;
}

static void close_end(struct end *end, bool reset) {
    free(end->buffer);
    end->buffer = NULL;
    end->pending = 0;
    if (end->watch.fd < 0) return;
    const struct linger at_once = {.l_onoff = 1};
    if (reset) (void)setsockopt(end->watch.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    (void)close(end->watch.fd);
    end->watch.fd = end->watch.events = -1;
}

void flow_close(struct flow *flow, bool reset) {
    close_end(&flow->near, reset);
    close_end(&flow->far, reset);
}
