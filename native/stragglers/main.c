/*
 * plugin-stragglers --uid=N --connections=N
 *
 * Answers those who wait at listening sockets that nobody accepts from any more, because connections go to another slot:
 * each is forwarded to the address that it came to, where that slot listens. Descriptor 3 is a pipe that is told how many
 * there were; 4, 5... are the sockets. It accepts until nobody reads the pipe any more, or until SIGTERM, and ends with
 * the last connection. docs/internals.md.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/text.h"
#include "forward/confine.h"
#include "forward/forwarder.h"

enum { COUNTS = 3, FIRST_LISTENER = 4, MOST_CONNECTIONS = 4096 };
/* Beside those of connections: listeners, and the forwarder's own. */
enum { OTHER_DESCRIPTORS = 2 * MOST_ROUTES };
/* How often it is told how many there are, if that has changed. */
enum { TELL_MS = 100 };

static struct forwarder forwarder;
static struct watch counts;
static int64_t told_at;
static unsigned long found, told;
static volatile sig_atomic_t asked;

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...) {
    va_list values;
    va_start(values, format);
    (void)fputs("plugin-stragglers: ", stderr);
    (void)vfprintf(stderr, format, values);
    (void)fputc('\n', stderr);
    va_end(values);
    exit(EXIT_FAILURE);
}

static unsigned long option(const char *argument, const char *name, unsigned long most) {
    unsigned long value = 0;
    size_t length = strlen(name);
    if (argument == NULL || strncmp(argument, name, length) != 0 || !text_number(argument + length, 1, most, &value))
        die("usage: plugin-stragglers --uid=N --connections=N");
    return value;
}

static void ask_to_end(int number) {
    (void)number;
    asked = 1;
}

/* Nothing comes out of it: its reader is gone. */
static void counts_ready(struct watch *watch, uint32_t events) {
    (void)watch, (void)events;
    asked = 1;
}

/*
 * It goes on to the very address that it came to, which is one of many where the listener has a wildcard: so it comes
 * from that address, too, and who came from elsewhere is not taken for somebody on 127.0.0.1. Who comes over a Unix
 * socket would be taken for us by his peer (SO_PEERCRED), and is not let through.
 */
static int find(struct route *route, int near) {
    struct address *address = &route->addresses[0];
    address->length = sizeof(address->six);
    route->nowhere = "who waits at a Unix socket is not forwarded";
    found++;
    if (getsockname(near, &address->any, &address->length) < 0 || address->any.sa_family == AF_UNIX) return -1;
    route->address_count = 1;
    return 1;
}

static void tell(void) {
    char line[32];
    int length = snprintf(line, sizeof(line), "%lu\n", found);
    if (write(COUNTS, line, (size_t)length) > 0) told = found;
}

static int64_t turn(struct forwarder *of) {
    if (!of->draining && asked != 0) {
        of->draining = true;
        (void)watch_for(&counts, of->epoll, -1);
        /* The address is free for whoever listens there next. */
        for (size_t i = 0; i < of->route_count; i++) {
            (void)watch_for(&of->routes[i].listener, of->epoll, -1);
            (void)close(of->routes[i].listener.fd);
        }
        of->route_count = 0;
    }
    if (found == told || of->draining) return INT64_MAX;
    if (of->now >= told_at + TELL_MS) {
        told_at = of->now;
        tell();
    }
    return found == told ? INT64_MAX : told_at + TELL_MS;
}

static void add_route(int listener) {
    int accepts = 0;
    socklen_t size = sizeof(accepts);
    bool is_listener = getsockopt(listener, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &size) == 0 && accepts == 1;
    if (!is_listener || forward_add(&forwarder, listener, "the slot that is live") == NULL)
        die("descriptor %d is not a listening socket that can be used", listener);
}

int main(int argc, char **argv) {
    uid_t uid = (uid_t)option(argc > 1 ? argv[1] : NULL, "--uid=", 4294967294UL);
    unsigned long connections = option(argc > 2 ? argv[2] : NULL, "--connections=", MOST_CONNECTIONS), descriptors = 0;
    const char *passed = getenv("LISTEN_FDS");
    if (passed == NULL || !text_number(passed, 2, MOST_ROUTES + 1, &descriptors))
        die("from 1 to %d listening sockets are needed, and where to tell of them", MOST_ROUTES);
    int listeners = (int)descriptors - 1;

    rlim_t most = 2 * connections + OTHER_DESCRIPTORS;
    const struct rlimit limit = {.rlim_cur = most, .rlim_max = most};
    if (syscall(SYS_close_range, (unsigned int)(FIRST_LISTENER + listeners), ~0U, 0) < 0 || chdir("/") < 0 ||
        setrlimit(RLIMIT_NOFILE, &limit) < 0)
        die("%s", strerror(errno));
    struct sigaction action = {.sa_handler = ask_to_end};
    if (sigaction(SIGTERM, &action, NULL) < 0) die("%s", strerror(errno));

    static const struct policy policy = {.find = find, .turn = turn};
    int error = forward_open(&forwarder, &policy, connections, ROUTE_CONNECT_MS);
    if (error < 0) die("%s", strerror(-error));
    counts = (struct watch){.ready = counts_ready, .fd = COUNTS, .events = -1};
    if ((error = watch_for(&counts, forwarder.epoll, 0)) < 0) die("%s", strerror(-error));
    for (int i = 0; i < listeners; i++) add_route(FIRST_LISTENER + i);
    if ((error = confine(uid, CONFINE_FORWARDER)) < 0) die("cannot give up privileges: %s", strerror(-error));
    error = forward_run(&forwarder);
    if (error < 0) die("%s", strerror(-error));
    return EXIT_SUCCESS;
}
