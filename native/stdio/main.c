/*
 * plugin-stdio --protocol=mcp|lines|raw --process=connection|shared OPTIONS -- PROGRAM ARGUMENTS...
 *
 * Offers a program that speaks on its standard input and output at sockets: those that are passed (sd_listen_fds(3)), or
 * one at a path, for trying things out by hand. docs/stdio.md says what it does, docs/internals.md how it is called.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "stdio/bridge.h"
#include "stdio/client.h"
#include "stdio/options.h"
#include "stdio/page.h"
#include "stdio/probe.h"
#include "stdio/process.h"
#include "stdio/say.h"
#include "stdio/session.h"
#include "stdio/tell.h"

enum { FIRST_LISTENER = 3, MOST_LISTENERS = 17, TICK_MS = 1000, MOST_EVENTS = 64, ACCEPTS = 16 };
/* A gate before accept(2) lets a call wait (docs/decisions/0015): where one did, the next comes after a while; ms. */
enum { GATE_SHOWS_MS = 10, GATE_PAUSE_MS = 100 };
/* Descriptors beside those of clients, and how many one client takes: its socket, two pipes, and one more while a
   program is started. */
enum { OTHER_DESCRIPTORS = 48, CLIENT_DESCRIPTORS = 4 };

struct bridge bridge;

static struct watch listeners[MOST_LISTENERS];
static int listener_count;
static int64_t next_turn, accept_after;
static volatile sig_atomic_t child_ended, asked_to_stop, passed_on;

/* Signals that are for the program: upgrade.signal is one of them. SIGTERM asks the bridge to stop. */
static const int relayed[] = {SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH};
enum { RELAYED = sizeof(relayed) / sizeof(relayed[0]) };

void bridge_due(int64_t at) {
    if (at < next_turn) next_turn = at;
}

static void on_signal(int number) {
    if (number == SIGCHLD) child_ended = 1;
    if (number == SIGTERM) asked_to_stop = 1;
    for (int i = 0; i < RELAYED; i++)
        if (number == relayed[i]) passed_on |= 1 << i;
}

/* All of them come while the loop waits, and only then. */
static void handle_signals(void) {
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t handled;
    sigemptyset(&handled);
    sigaddset(&handled, SIGCHLD);
    sigaddset(&handled, SIGTERM);
    for (int i = 0; i < RELAYED; i++) sigaddset(&handled, relayed[i]);
    bool good = sigprocmask(SIG_BLOCK, &handled, NULL) == 0 && sigaction(SIGCHLD, &action, NULL) == 0 &&
                sigaction(SIGTERM, &action, NULL) == 0 && signal(SIGPIPE, SIG_IGN) != SIG_ERR;
    for (int i = 0; i < RELAYED; i++) good = good && sigaction(relayed[i], &action, NULL) == 0;
    if (!good) die("%s", strerror(errno));
}

static int64_t milliseconds(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* So that nothing of them is left when the bridge has ended. */
static void kill_programs(void) {
    session_signal(SIGKILL);
    for (struct session *session = bridge.sessions; session != NULL; session = session->next)
        if (session->pid > 0) (void)waitpid(session->pid, NULL, 0);
}

void bridge_give_up(int status) {
    say("BH318: the program keeps ending, and is not started again: the last one %s", process_end_text(status));
    page_note("the program keeps ending");
    kill_programs();
    if (WIFEXITED(status)) exit(WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : EXIT_FAILURE);
    /* The core that there may be is the program's. */
    const struct rlimit none = {0, 0};
    int number = WTERMSIG(status);
    sigset_t all;
    sigfillset(&all);
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)signal(number, SIG_DFL);
    (void)sigprocmask(SIG_UNBLOCK, &all, NULL);
    (void)kill(getpid(), number);
    exit(128 + number);
}

static void listener_ready(struct watch *watch, uint32_t events) {
    (void)events;
    for (int i = 0; i < ACCEPTS && bridge.client_count < bridge.options.connections; i++) {
        const int64_t before = milliseconds();
        int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            if (milliseconds() - before >= GATE_SHOWS_MS) accept_after = bridge.now + GATE_PAUSE_MS;
            if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
                say("cannot accept a client: %s", strerror(errno));
                accept_after = bridge.now + GATE_PAUSE_MS;
            }
            return;
        }
        client_new(fd);
    }
}

static void add_listener(int fd) {
    int accepts = 0, flags = fcntl(fd, F_GETFL);
    socklen_t size = sizeof(accepts);
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &size) < 0 || accepts == 0 || flags < 0 ||
        fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        die("descriptor %d is not a listening socket that can be used", fd);
    listeners[listener_count++] = (struct watch){.ready = listener_ready, .fd = fd, .events = -1};
}

static void listen_at(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (strlen(path) >= sizeof(address.sun_path)) die("'%s' is too long for a socket", path);
    memcpy(address.sun_path, path, strlen(path));
    (void)unlink(path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, SOMAXCONN) < 0)
        die("cannot listen at '%s': %s", path, strerror(errno));
    add_listener(fd);
    say("offers '%s' at %s; try: socat - UNIX-CONNECT:%s", bridge.options.command[0], path, path);
}

/* The sockets that were passed; the last one may be for probes, and is called so. */
static void open_listeners(void) {
    unsigned long count = 0;
    const char *passed = getenv("LISTEN_FDS"), *names = getenv("LISTEN_FDNAMES");
    if (passed != NULL && !text_number(passed, 1, MOST_LISTENERS, &count)) die("LISTEN_FDS is not usable");
    if (bridge.options.socket != NULL) listen_at(bridge.options.socket);
    const char *last = names == NULL ? NULL : strrchr(names, ':');
    const bool probed = last != NULL && strcmp(last + 1, "probe") == 0;
    for (int i = 0; i < (int)count - probed; i++) add_listener(FIRST_LISTENER + i);
    const int probe = FIRST_LISTENER + (int)count - 1;
    if (probed && (fcntl(probe, F_SETFD, FD_CLOEXEC) < 0 || fcntl(probe, F_SETFL, O_NONBLOCK) < 0)) die("no socket for probes");
    probe_open(probed ? probe : -1);
    if (listener_count == 0) die("there is no socket to listen at: give --socket=PATH, or pass one (sd_listen_fds(3))");
}

/* As many as there are descriptors for, if that is less than was said. */
static void bound_connections(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur < OTHER_DESCRIPTORS + CLIENT_DESCRIPTORS)
        die("there are too few descriptors (RLIMIT_NOFILE)");
    const size_t most = (size_t)(limit.rlim_cur - OTHER_DESCRIPTORS) / CLIENT_DESCRIPTORS;
    if (bridge.options.connections <= most) return;
    say("serves %zu clients at a time, not %zu: there are no descriptors for more", most, bridge.options.connections);
    bridge.options.connections = most;
}

static void drain(void) {
    bridge.draining = true;
    tell("STOPPING=1");
    for (int i = 0; i < listener_count; i++) {
        /* Who is in the queue has a connection, and may have asked something already. */
        for (size_t before = SIZE_MAX; bridge.ready_told && before != bridge.client_count;) {
            before = bridge.client_count;
            listener_ready(&listeners[i], EPOLLIN);
        }
        (void)watch_for(&listeners[i], bridge.epoll, -1);
        (void)close(listeners[i].fd);
    }
    listener_count = 0;
}

static void obey_signals(void) {
    if (child_ended) {
        child_ended = 0;
        session_reap();
    }
    for (int i = 0; i < RELAYED; i++)
        if ((passed_on & 1 << i) != 0) session_signal(relayed[i]);
    passed_on = 0;
    if (asked_to_stop && !bridge.draining) drain();
}

static void watch_listeners(void) {
    const bool takes = bridge.ready_told && bridge.client_count < bridge.options.connections && bridge.now >= accept_after;
    for (int i = 0; i < listener_count; i++)
        if (watch_for(&listeners[i], bridge.epoll, takes ? EPOLLIN : -1) < 0) die("cannot wait for clients");
    if (bridge.now < accept_after) bridge_due(accept_after);
}

/* Whether all that is left to do was done. */
static bool is_drained(void) {
    if (!bridge.draining || bridge.clients != NULL) return false;
    bool over = true;
    for (struct session *session = bridge.sessions; session != NULL; session = session->next) {
        session_end(session);
        over = over && session->state == SESSION_OVER;
    }
    return over;
}

/* First what there is to take, then what there is to send, then what is waited for. */
static void turn(void) {
    next_turn = bridge.now + TICK_MS;
    obey_signals();
    for (struct session *session = bridge.sessions; session != NULL; session = session->next) session_turn(session);
    for (struct client *client = bridge.clients; client != NULL; client = client->next) client_turn(client);
    /* After the answers to pings were taken, and before pings are sent. */
    probe_turn();
    for (struct session *session = bridge.sessions; session != NULL; session = session->next) session_write(session);
    for (struct client *client = bridge.clients; client != NULL; client = client->next) client_write(client);
    for (struct session *session = bridge.sessions; session != NULL; session = session->next) session_settle(session);
    for (struct client *client = bridge.clients; client != NULL; client = client->next) client_settle(client);
    client_sweep();
    session_sweep();
    watch_listeners();
}

static void run(void) {
    sigset_t none;
    sigemptyset(&none);
    int64_t ticked = 0;
    while (!is_drained()) {
        struct epoll_event events[MOST_EVENTS];
        const int64_t wait = next_turn - milliseconds();
        int count = epoll_pwait(bridge.epoll, events, MOST_EVENTS, wait > 0 ? (int)wait : 0, &none);
        if (count < 0 && errno != EINTR) die("%s", strerror(errno));
        bridge.now = milliseconds();
        for (int i = 0; i < count; i++) {
            struct watch *watch = events[i].data.ptr;
            watch->ready(watch, events[i].events);
        }
        turn();
        if (bridge.now - ticked >= TICK_MS) {
            ticked = bridge.now;
            page_tick();
        }
    }
}

int main(int argc, char **argv) {
    (void)argc;
    options_read(&bridge.options, argv);
    bridge.now = milliseconds();
    bridge.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (bridge.epoll < 0) die("%s", strerror(errno));
    handle_signals();
    page_open();
    process_open();
    open_listeners();
    bound_connections();
    if (bridge.options.shared || bridge.options.protocol == PROTOCOL_MCP) {
        (void)session_new(NULL);
    } else {
        /* There is nothing that a program would have to say before its first client. */
        bridge.ready_told = true;
        tell("READY=1");
    }
    run();
    kill_programs();
    return EXIT_SUCCESS;
}
