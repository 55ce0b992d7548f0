#include "stdio/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stdio/hand.h"
#include "stdio/say.h"
#include "stdio/session.h"
#include "stdio/speech.h"

/* A client of a bridge that drains is let go when it has been without a request for so long; ms. */
enum { IDLE_MS = 1000 };

static void client_ready(struct watch *watch, uint32_t events) {
    struct client *client = (struct client *)watch;
    if (watch->fd < 0 || (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0) return;
    ssize_t got = bytes_read(&client->in, watch->fd);
    if (got > 0 || got == -EAGAIN) return;
    client->ended = true;
    /* Whoever has only ended its half still gets its answers. */
    if (got < 0 || (events & (EPOLLHUP | EPOLLERR)) != 0) client->gone = true;
}

void client_new(int fd) {
    struct client *client = calloc(1, sizeof(*client));
    if (client == NULL) die("out of memory");
    client->watch = (struct watch){.ready = client_ready, .fd = fd, .events = -1};
    client->session = bridge.options.shared ? bridge.sessions : session_new(client);
    client->busy = bridge.now;
    client->next = bridge.clients;
    bridge.clients = client;
    bridge.client_count++;
}

void client_send(struct client *client, struct span line) {
    if (client->closing) return;
    bytes_add(&client->out, line.at, line.length);
    bytes_add(&client->out, "\n", 1);
}

void client_close(struct client *client) { client->closing = true; }

static void let_go(struct client *client) {
    if (client->watch.fd < 0) return;
    (void)watch_for(&client->watch, bridge.epoll, -1);
    (void)close(client->watch.fd);
    client->watch.fd = -1;
    bridge.client_count--;
    struct session *session = client->session;
    speech_left(client);
    if (session->owner == client) {
        /* It may have sent all it had, and left. */
        if (bridge.options.protocol == PROTOCOL_RAW && session->pid > 0 && !session->no_more_input)
            bytes_add(&session->to, bytes_at(&client->in), client->in.length);
        session->owner = NULL;
        session_end(session);
    }
    client->session = NULL;
}

/*
 * Whether it may say more. Each message may be worth an answer, and those of one that does not read them are not kept
 * without end. Of bytes it is not known: as with a pipe, only the program decides what it reads.
 */
static bool may_say(const struct client *client) {
    const bool reads = client->out.length < WAIT_BYTES || bridge.options.protocol == PROTOCOL_RAW;
    return !client->closing && reads && session_takes(client->session);
}

static void take_lines(struct client *client) {
    while (client->in.length > 0 && may_say(client)) {
        const char *begin = bytes_at(&client->in);
        const char *end = memchr(begin + client->scanned, '\n', client->in.length - client->scanned);
        const bool whole = end != NULL;
        if (!whole) client->scanned = client->in.length;
        if (!whole && client->ended) end = begin + client->in.length;
        size_t length = end == NULL ? client->in.length : (size_t)(end - begin);
        if (length > bridge.options.message) {
            speech_too_long(client);
            client_close(client);
            return;
        }
        if (end == NULL) return;
        struct span line = {begin, length > 0 && begin[length - 1] == '\r' ? length - 1 : length};
        speech_from_client(client, line);
        bytes_take(&client->in, length + (whole ? 1 : 0));
        client->scanned = 0;
    }
}

static void take_bytes(struct client *client) {
    struct session *session = client->session;
    if (client->in.length == 0 || !session_takes(session)) return;
    bytes_add(&session->to, bytes_at(&client->in), client->in.length);
    bytes_clear(&client->in);
}

/* It will send nothing more, and all that it sent was taken. */
static void finish(struct client *client) {
    struct session *session = client->session;
    if (bridge.options.shared) {
        if (client->in_hand == 0) client_close(client);
    } else if (bridge.options.protocol == PROTOCOL_MCP) {
        if (client->in_hand == 0) session_end(session);
    } else {
        /* Its program answers as long as it likes: whoever does not want to wait closes both halves. */
        session->no_more_input = true;
        /* The end is something to read, too; when it is read is not to be seen. */
        session->was_fed = true;
    }
}

void client_turn(struct client *client) {
    if (client->watch.fd < 0 || client->closing) return;
    if (bridge.options.protocol == PROTOCOL_RAW) take_bytes(client);
    else take_lines(client);
    if (client->ended && client->in.length == 0) finish(client);
}

void client_write(struct client *client) {
    if (client->watch.fd < 0) return;
    bool over = client->gone || bytes_write(&client->out, client->watch.fd) < 0;
    if (client->closing && client->out.length == 0) over = true;
    if (bridge.options.shared && client->out.length > bridge.options.message + 4 * WAIT_BYTES) {
        say("a client that does not read is let go");
        over = true;
    }
    if (bridge.draining && bridge.options.protocol != PROTOCOL_RAW) {
        /* What it asked while its program was away has not been read yet. */
        const bool rests = client->in_hand == 0 && client->in.length == 0 && client->out.length == 0 && session_takes(client->session);
        if (!rests) client->busy = bridge.now;
        else if (bridge.now >= client->busy + IDLE_MS) over = true;
        bridge_due(client->busy + IDLE_MS);
    }
    if (over) let_go(client);
}

void client_settle(struct client *client) {
    if (client->watch.fd < 0) return;
    const bool takes = may_say(client);
    const bool pending = client->in.length > client->scanned;
    int events = takes && !client->ended && client->in.length <= bridge.options.message ? EPOLLIN : 0;
    if (client->out.length > 0) events |= EPOLLOUT;
    /* Of one that has only ended its half so far it is to be learned when it has gone. */
    (void)watch_for(&client->watch, bridge.epoll, events == 0 && !client->ended ? -1 : events);
    /* What stopped because of a program, or of a client, that did not read goes on when it has read. */
    if (takes && (pending || (client->ended && client->in.length > 0))) bridge_due(bridge.now);
}

void client_sweep(void) {
    for (struct client **link = &bridge.clients; *link != NULL;) {
        struct client *client = *link;
        if (client->watch.fd >= 0) {
            link = &client->next;
            continue;
        }
        *link = client->next;
        bytes_clear(&client->in);
        bytes_clear(&client->out);
        free(client->in.room);
        free(client->out.room);
        free(client);
    }
}
