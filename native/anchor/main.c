/*
 * plugin-anchor: the process of plugin@NAME.service. It says "this plugin is wanted" by being there, and
 * relays the supervisor's truth about it to systemd. docs/internals.md has the protocol.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "anchor/systemd.h"
#include "base/connection.h"
#include "base/text.h"

#define SOCKET_PATH "/run/bulkhead/anchor.sock"

/* RETRY: between two tries to connect. STOP: how long a stop waits for a supervisor that is away. */
enum { RETRY_MS = 100, STOP_MS = 5000 };

static struct {
    struct connection connection;
    bool connected;
    bool stopping;
    /* Asked for while the supervisor was away. */
    bool reload_pending;
    /* When a stop without supervisor gives up. */
    int64_t stop_deadline;
    int64_t next_try;
    char status[LINE_SIZE + 1];
} anchor;

static int64_t now_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void show_away(void) {
    char text[sizeof(anchor.status) + 40];
    (void)snprintf(text, sizeof(text), anchor.status[0] == '\0' ? "%sthe supervisor is away" : "%s (the supervisor is away)",
                   anchor.status);
    systemd_status(text);
}

static void disconnect(void) {
    connection_close(&anchor.connection);
    anchor.connected = false;
    anchor.next_try = now_ms() + RETRY_MS;
    anchor.stop_deadline = now_ms() + STOP_MS;
    show_away();
}

static void say(const char *text) {
    if (connection_send(&anchor.connection, text, strlen(text)) < 0) disconnect();
}

static void try_to_connect(void) {
    anchor.next_try = now_ms() + RETRY_MS;
    if (connection_open(&anchor.connection, SOCKET_PATH) < 0) return;
    anchor.connected = true;
    /* The note that it is away must not outlive its return. */
    if (anchor.status[0] != '\0') systemd_status(anchor.status);
    char hello[64];
    (void)snprintf(hello, sizeof(hello), "hello 1 %s\n", systemd_invocation());
    say(hello);
    if (anchor.connected && anchor.reload_pending) {
        anchor.reload_pending = false;
        say("reload\n");
    }
    if (anchor.connected && anchor.stopping) say("stop\n");
}

/* "BH304 it keeps dying": shown by systemctl status and in the journal. */
__attribute__((noreturn)) static void fail(const char *reason) {
    systemd_status(reason);
    (void)fprintf(stderr, "%s\n", reason);
    exit(1);
}

static bool has_code(const char *text) {
    return strncmp(text, "BH", 2) == 0 && strspn(text + 2, "0123456789") == 3 && text[5] == ' ' && text[6] != '\0';
}

/* Does what the line says. False: it is not one of ours. */
static bool obey(const char *line, size_t length) {
    if (!text_is_printable(line, length)) return false;
    if (strncmp(line, "status ", 7) == 0) {
        memcpy(anchor.status, line + 7, length - 7 + 1);
        systemd_status(anchor.status);
        return true;
    }
    if (strcmp(line, "ready") == 0) {
        systemd_ready();
        return true;
    }
    if (strcmp(line, "reloading") == 0) {
        systemd_reloading();
        return true;
    }
    if (strcmp(line, "stopped") == 0) exit(0);
    if (strncmp(line, "failed ", 7) == 0 && has_code(line + 7)) fail(line + 7);
    return false;
}

/* A few lines at a time, so that signals are seen in between. */
static void listen_to_supervisor(void) {
    for (int i = 0; i < 16 && anchor.connected; i++) {
        char *line;
        size_t length;
        switch (connection_line(&anchor.connection, &line, &length)) {
            case CONNECTION_LINE:
                if (obey(line, length))
                    connection_drop_line(&anchor.connection, length);
                else
                    disconnect();
                break;
            case CONNECTION_EMPTY:
                return;
            case CONNECTION_CLOSED:
            case CONNECTION_MALFORMED:
                disconnect();
                break;
        }
    }
}

static void handle_signals(int signals) {
    struct signalfd_siginfo info;
    while (read(signals, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGTERM && !anchor.stopping) {
            anchor.stopping = true;
            anchor.stop_deadline = now_ms() + STOP_MS;
            if (anchor.connected) say("stop\n");
        } else if (info.ssi_signo == SIGHUP) {
            if (anchor.connected)
                say("reload\n");
            else
                anchor.reload_pending = true;
        }
    }
}

static int open_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    if (sigprocmask(SIG_SETMASK, &set, NULL) < 0) return -1;
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Until the next try to connect, or until a stop gives up; for ever while connected. */
static int due_in(void) {
    if (anchor.connected) return -1;
    int64_t due = anchor.next_try;
    if (anchor.stopping && anchor.stop_deadline < due) due = anchor.stop_deadline;
    int64_t left = due - now_ms();
    return left < 0 ? 0 : (int)left;
}

int main(void) {
    int signals = open_signals();
    systemd_open();
    if (signals < 0) {
        (void)fprintf(stderr, "plugin-anchor: no signals: %s\n", strerror(errno));
        return 1;
    }
    try_to_connect();
    if (!anchor.connected) show_away();
    for (;;) {
        if (!anchor.connected && anchor.stopping && now_ms() >= anchor.stop_deadline) return 0;
        if (!anchor.connected && now_ms() >= anchor.next_try) try_to_connect();
        struct pollfd polled[2] = {{.fd = signals, .events = POLLIN},
                                   {.fd = anchor.connected ? anchor.connection.fd : -1, .events = POLLIN}};
        /* Whole lines may be left in the buffer, of which poll(2) knows nothing. */
        bool unread = anchor.connected && memchr(anchor.connection.buffer, '\n', anchor.connection.used) != NULL;
        (void)poll(polled, 2, unread ? 0 : due_in());
        handle_signals(signals);
        if (anchor.connected) listen_to_supervisor();
    }
}
