/* A route: where it leads to, whether that takes connections, and what is told of it. */
#include "forward/route.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "forward/forwarder.h"

enum { FIRST_PROBE_MS = 10, LAST_PROBE_MS = 500 };
/* Least time between two lines about one route. */
enum { TELL_MS = 60000 };

/* At once the first time, and then once a minute with their number. */
void route_tell(struct route *route, const char *why) {
    int64_t now = route->forwarder->now;
    route->failures++;
    if (route->told_at != 0 && now < route->told_at + TELL_MS) return;
    if (route->failures == 1)
        (void)fprintf(stderr, "%s: no connection to %s: %s\n", program_invocation_short_name, route->name, why);
    else
        (void)fprintf(stderr, "%s: no connection to %s: %s; %lu failed since this was last told\n",
                      program_invocation_short_name, route->name, why, route->failures);
    route->failures = 0;
    route->told_at = now;
}

int route_connect_error(int fd) {
    int error = 0;
    socklen_t size = sizeof(error);
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 ? errno : error;
}

int route_connect(const struct address *address) {
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    if (connect(fd, &address->any, address->length) == 0 || errno == EINPROGRESS) return fd;
    int error = -errno;
    (void)close(fd);
    return error;
}

void route_shut(struct route *route) {
    if (route->closed) return;
    route->closed = true;
    route->probe_delay = FIRST_PROBE_MS;
    route->probe_at = route->forwarder->now + FIRST_PROBE_MS;
}

static void end_probe(struct route *route) {
    if (route->probe.fd >= 0) (void)close(route->probe.fd);
    route->probe.fd = route->probe.events = -1;
}

static void probe_failed(struct route *route) {
    end_probe(route);
    route->probe_at = route->forwarder->now + route->probe_delay;
    route->probe_delay = route->probe_delay * 2 < LAST_PROBE_MS ? route->probe_delay * 2 : LAST_PROBE_MS;
}

void route_probe_ready(struct watch *watch, uint32_t events) {
    (void)events;
    struct route *route = (struct route *)((char *)watch - offsetof(struct route, probe));
    if (watch->fd < 0) return;
    if (route_connect_error(watch->fd) != 0) {
        probe_failed(route);
        return;
    }
    end_probe(route);
    route->closed = false;
    forward_resume(route);
}

static void begin_probe(struct route *route) {
    struct forwarder *forwarder = route->forwarder;
    route->probe_until = forwarder->now + ROUTE_CONNECT_MS;
    route->probe.fd = route_connect(&route->addresses[0]);
    if (route->probe.fd < 0 || watch_for(&route->probe, forwarder->epoll, EPOLLOUT) < 0) probe_failed(route);
}

int64_t route_turn(struct route *route) {
    int64_t now = route->forwarder->now;
    if (!route->closed) return INT64_MAX;
    if (route->probe.fd >= 0 && route->probe_until <= now) probe_failed(route);
    if (route->probe.fd < 0 && route->probe_at <= now) begin_probe(route);
    return route->probe.fd >= 0 ? route->probe_until : route->probe_at;
}
