#include "init/adapter.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/waiters.h"
#include "forward/confine.h"
#include "forward/forwarder.h"
#include "init/payload.h"

enum { MOST_CONNECTIONS = 4096 };
/* Beside those of connections: standard streams, listeners, probes. */
enum { OTHER_DESCRIPTORS = 64 };

static struct forwarder forwarder;
static struct watch control;

/* What adapter_gate() says, one byte each; the last one counts. */
static void control_ready(struct watch *watch, uint32_t events) {
    (void)events;
    char states[64];
    ssize_t got = read(watch->fd, states, sizeof(states));
    if (got > 0) {
        forwarder.held = states[got - 1] != GATE_OPEN;
    } else {
        forwarder.draining = true;
        (void)watch_for(watch, forwarder.epoll, -1);
    }
    /* What we were told of and do not take now is for another sandbox. */
    for (size_t i = 0; i < forwarder.route_count; i++) wake_waiters(forwarder.routes[i].listener.fd);
}

void adapter_gate(int adapter, enum gate_state state) {
    const char byte = (char)state;
    /* Init is not to wait for it. It fails when the adapter is gone, which is noticed anyway. */
    (void)send(adapter, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void opened(struct forwarder *opened_forwarder) {
    (void)opened_forwarder;
    /* Init waits for it, or is gone. */
    if (write(control.fd, "ready\n", 6) != 6) forwarder.over = true;
}

/* All but standard streams, the sockets of --to, and the control socket behind them. Returns that, or -errno. */
static int keep_descriptors(unsigned int first, unsigned int count, int socket) {
    int kept = dup2(socket, (int)(first + count));
    if (kept < 0) return -errno;
    if (syscall(SYS_close_range, 3U, first - 1, 0) < 0 || syscall(SYS_close_range, first + count + 1, ~0U, 0) < 0)
        return -errno;
    return kept;
}

static size_t connections(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur < OTHER_DESCRIPTORS + 2) return 1;
    size_t most = (size_t)(limit.rlim_cur - OTHER_DESCRIPTORS) / 2;
    return most < MOST_CONNECTIONS ? most : MOST_CONNECTIONS;
}

static int run(const struct options *options, int socket) {
    static const struct policy policy = {.patient = true, .opened = opened};
    static char names[MAX_TO][24];
    unsigned int first = FIRST_LISTENER_FD + (unsigned int)options->listeners;
    int kept = keep_descriptors(first, (unsigned int)options->to_count, socket);
    if (kept < 0) return kept;
    control = (struct watch){.ready = control_ready, .fd = kept, .events = -1};
    if (setsid() < 0 || prctl(PR_SET_NAME, "plugin-adapter") < 0) return -errno;
    int error = forward_open(&forwarder, &policy, connections(), (int64_t)options->start_timeout_ms);
    if (error < 0) return error;
    forwarder.held = options->gated && options->gate != GATE_OPEN;
    for (size_t i = 0; i < options->to_count; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "127.0.0.1:%u", options->to[i]);
        struct route *route = forward_add(&forwarder, (int)(first + i), names[i]);
        if (route == NULL || !address_parse("127.0.0.1", options->to[i], &route->addresses[0])) return -EBADF;
        route->address_count = 1;
    }
    if ((error = watch_for(&control, forwarder.epoll, EPOLLIN)) < 0) return error;
    if ((error = confine(ADAPTER_ID, CONFINE_FORWARDER)) < 0) return error;
    return forward_run(&forwarder);
}

int adapter_fork(const struct options *options) {
    int sockets[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0) return -errno;
    pid_t pid = fork();
    if (pid < 0) return -errno;
    if (pid > 0) {
        (void)close(sockets[1]);
        return sockets[0];
    }
    int error = run(options, sockets[1]);
    if (error < 0) (void)fprintf(stderr, "plugin-init: the adapter ends: %s\n", strerror(-error));
    _exit(error < 0 ? EXIT_SETUP_FAILED : 0);
}
