#include "stdio/probe.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "stdio/bridge.h"
#include "stdio/say.h"
#include "stdio/session.h"
#include "stdio/speech.h"
#include "stdio/tell.h"

/* Who asked and has no answer yet. More than this have given up asking. */
enum { HELD = 8 };

static struct watch listener = {.fd = -1, .events = -1};
static int held[HELD];
static size_t held_count;
static bool asking, again;
/* How often WATCHDOG=1 is told; ms, 0 for never. */
static int64_t watchdog_ms, watchdog_due;

static void let_oldest_go(void) {
    (void)close(held[0]);
    held_count--;
    memmove(held, held + 1, held_count * sizeof(held[0]));
}

static void ready(struct watch *watch, uint32_t events) {
    (void)events;
    int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) return;
    if (held_count == HELD) let_oldest_go();
    held[held_count++] = fd;
}

void probe_open(int fd) {
    const char *watchdog = getenv("WATCHDOG_USEC");
    unsigned long usec;
    if (watchdog != NULL && text_number(watchdog, 1000, 86400000000UL, &usec)) watchdog_ms = (int64_t)(usec / 3000) + 1;
    listener = (struct watch){.ready = ready, .fd = fd, .events = -1};
    if (fd >= 0 && watch_for(&listener, bridge.epoll, EPOLLIN) < 0) die("cannot wait for probes");
}

void probe_again(void) { again = true; }

static bool is_pinged(const struct session *session) {
    for (const struct call *call = session->calls.oldest; call != NULL; call = call->younger)
        if (call->kind == CALL_PING) return true;
    return false;
}

/*
 * Whoever is starting, between two lives, or ending has its own time for that; and one whose client does not read may
 * have to wait for it.
 */
static bool can_answer(const struct session *session) { return session->state == SESSION_UP && !session_is_behind(session); }

static bool ask(void) {
    for (struct session *session = bridge.sessions; session != NULL; session = session->next) {
        if (bridge.options.shared && session->state != SESSION_UP) return false;
        if (bridge.options.protocol == PROTOCOL_MCP && can_answer(session) && !is_pinged(session)) speech_ping(session);
    }
    return true;
}

static bool is_answered(void) {
    for (const struct session *session = bridge.sessions; session != NULL; session = session->next)
        if (can_answer(session) && is_pinged(session)) return false;
    return true;
}

void probe_turn(void) {
    const bool watchdog = watchdog_ms > 0 && bridge.now >= watchdog_due;
    if (watchdog_ms > 0 && !watchdog) bridge_due(watchdog_due);
    if (held_count == 0 && !watchdog) return;
    if (!asking) {
        again = false;
        asking = ask();
    }
    if (!asking || !is_answered()) return;
    asking = false;
    if (again) {
        bridge_due(bridge.now);
        return;
    }
    while (held_count > 0) let_oldest_go();
    if (watchdog) {
        tell("WATCHDOG=1");
        watchdog_due = bridge.now + watchdog_ms;
        bridge_due(watchdog_due);
    }
}
