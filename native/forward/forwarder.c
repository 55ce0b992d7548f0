/*
 * Connections from listening sockets to other places, all in one thread that never waits for any of them. Every number
 * is bounded: flows, what is kept of each, connections accepted and bytes moved in one turn, and lines told.
 */
#include "forward/forwarder.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* How often deadlines are looked at; they are no finer. */
enum { LOOK_MS = 500 };
/* Connections that are accepted of one route before others have their turn. */
enum { ACCEPTS = 16 };
enum { STARVED_MS = 200 };

static int64_t clock_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Not given out again in this turn: epoll may have told of it already. */
static void end_flow(struct flow *flow, bool reset) {
    struct forwarder *forwarder = flow->route->forwarder;
    flow_close(flow, reset);
    flow->state = FLOW_FREE;
    flow->next = forwarder->ended;
    forwarder->ended = flow;
}

static void collect(struct forwarder *forwarder) {
    while (forwarder->ended != NULL) {
        struct flow *flow = forwarder->ended;
        forwarder->ended = flow->next;
        flow->next = forwarder->unused;
        forwarder->unused = flow;
        forwarder->count--;
    }
}

static void refuse(struct flow *flow, const char *why) {
    route_tell(flow->route, why);
    end_flow(flow, true);
}

/* The peers' machines may vanish without a word; and what comes goes on at once. */
static void prepare(int fd) {
    const int yes = 1, idle = 60, interval = 15, count = 4;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof(yes));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

/* Tries the next address, and the one after it, until one is under way. */
static void connect_next(struct flow *flow, int error) {
    struct route *route = flow->route;
    struct forwarder *forwarder = route->forwarder;
    for (; flow->tried < route->address_count; flow->tried++) {
        int fd = route_connect(&route->addresses[flow->tried]);
        if (fd >= 0) {
            flow->state = FLOW_CONNECTING;
            flow->far.watch.fd = fd;
            flow->deadline = forwarder->now + ROUTE_CONNECT_MS;
            if (watch_for(&flow->far.watch, forwarder->epoll, EPOLLOUT) < 0) refuse(flow, "out of memory");
            return;
        }
        error = -fd;
    }
    if (error == ECONNREFUSED && forwarder->policy->patient) {
        flow->state = FLOW_WAITING;
        flow->deadline = flow->began + forwarder->patience;
        route_shut(route);
    } else {
        refuse(flow, strerror(error));
    }
}

static void connected(struct flow *flow, int error) {
    struct forwarder *forwarder = flow->route->forwarder;
    if (error != 0) {
        (void)close(flow->far.watch.fd);
        flow->far.watch.fd = flow->far.watch.events = -1;
        flow->tried++;
        connect_next(flow, error);
        return;
    }
    flow->state = FLOW_OPEN;
    flow->deadline = 0;
    prepare(flow->far.watch.fd);
    bool broken;
    if (!flow_move(flow, forwarder->epoll, forwarder->now, &broken)) end_flow(flow, broken);
}

static void end_ready(struct watch *watch, uint32_t events) {
    struct end *end = (struct end *)watch;
    struct flow *flow = end->flow;
    if (flow->state == FLOW_CONNECTING) {
        connected(flow, route_connect_error(flow->far.watch.fd));
        return;
    }
    if (flow->state != FLOW_OPEN) return;
    struct forwarder *forwarder = flow->route->forwarder;
    bool broken = true;
    if ((events & EPOLLERR) != 0 || !flow_move(flow, forwarder->epoll, forwarder->now, &broken)) {
        end_flow(flow, broken);
        return;
    }
    /* It has closed, but what it sent before still waits: until that is taken it could only say so again and again. */
    if ((events & EPOLLHUP) != 0 && end->pending > 0 && watch_for(watch, forwarder->epoll, -1) < 0) end_flow(flow, true);
}

static void dial(struct flow *flow) {
    struct route *route = flow->route;
    const struct policy *policy = route->forwarder->policy;
    int found = policy->find == NULL ? 1 : policy->find(route, flow->near.watch.fd);
    if (found < 0) refuse(flow, route->nowhere);
    if (found > 0) connect_next(flow, EADDRNOTAVAIL);
}

void forward_resume(struct route *route) {
    struct forwarder *forwarder = route->forwarder;
    for (size_t i = 0; i < forwarder->capacity; i++) {
        struct flow *flow = &forwarder->flows[i];
        if (flow->state != FLOW_WAITING || flow->route != route) continue;
        flow->tried = 0;
        if (route->address_count == 0)
            refuse(flow, route->nowhere);
        else
            connect_next(flow, EADDRNOTAVAIL);
    }
}

static void begin_flow(struct route *route, int fd) {
    struct forwarder *forwarder = route->forwarder;
    struct flow *flow = forwarder->unused;
    forwarder->unused = flow->next;
    forwarder->count++;
    const struct end fresh = {.watch = {.ready = end_ready, .fd = -1, .events = -1}, .flow = flow};
    *flow = (struct flow){.state = FLOW_WAITING, .route = route, .near = fresh, .far = fresh};
    flow->near.watch.fd = fd;
    flow->began = forwarder->now;
    flow->deadline = flow->began + forwarder->patience;
    prepare(fd);
    dial(flow);
}

static bool accepts(const struct forwarder *forwarder) { return !forwarder->held && !forwarder->draining; }

static void listener_ready(struct watch *watch, uint32_t events) {
    (void)events;
    struct route *route = (struct route *)watch;
    struct forwarder *forwarder = route->forwarder;
    for (int i = 0; i < ACCEPTS && forwarder->unused != NULL && !route->closed && accepts(forwarder); i++) {
        int fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            begin_flow(route, fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            forwarder->starved_until = forwarder->now + STARVED_MS;
            return;
        } else if (errno != ECONNABORTED && errno != EINTR) {
            return;
        }
    }
}

static void look_at_deadlines(struct forwarder *forwarder) {
    forwarder->looked_at = forwarder->now;
    for (size_t i = 0; i < forwarder->capacity; i++) {
        struct flow *flow = &forwarder->flows[i];
        if (flow->state == FLOW_FREE || flow->deadline == 0 || flow->deadline > forwarder->now) continue;
        if (flow->state == FLOW_CONNECTING)
            connected(flow, ETIMEDOUT);
        else if (flow->state == FLOW_WAITING)
            refuse(flow, "nothing answered in time");
        else
            end_flow(flow, true);
    }
}

/* What follows from the time and from what has just happened. Returns when there is something to do again. */
static int64_t turn(struct forwarder *forwarder) {
    int64_t next = INT64_MAX;
    if (forwarder->count > 0 && forwarder->now >= forwarder->looked_at + LOOK_MS) look_at_deadlines(forwarder);
    if (forwarder->policy->turn != NULL) next = forwarder->policy->turn(forwarder);
    collect(forwarder);
    if (forwarder->count > 0 && forwarder->looked_at + LOOK_MS < next) next = forwarder->looked_at + LOOK_MS;

    bool starved = forwarder->starved_until > forwarder->now;
    if (starved && forwarder->starved_until < next) next = forwarder->starved_until;
    bool all_open = true;
    for (size_t i = 0; i < forwarder->route_count; i++) {
        struct route *route = &forwarder->routes[i];
        int64_t due = route_turn(route);
        if (due < next) next = due;
        all_open &= !route->closed;
        /* Exclusive: a socket that several forwarders share wakes one of them. */
        bool wanted = accepts(forwarder) && !route->closed && !starved && forwarder->unused != NULL;
        if (watch_for(&route->listener, forwarder->epoll, wanted ? (int)(EPOLLIN | EPOLLEXCLUSIVE) : -1) < 0)
            forwarder->starved_until = forwarder->now + STARVED_MS;
    }
    if (all_open && !forwarder->was_open) {
        forwarder->was_open = true;
        if (forwarder->policy->opened != NULL) forwarder->policy->opened(forwarder);
    }
    if (forwarder->draining && forwarder->count == 0) forwarder->over = true;
    return next;
}

int forward_open(struct forwarder *forwarder, const struct policy *policy, size_t capacity, int64_t patience) {
    *forwarder = (struct forwarder){.policy = policy, .capacity = capacity, .patience = patience, .now = clock_ms()};
    forwarder->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (forwarder->epoll < 0) return -errno;
    forwarder->flows = calloc(capacity, sizeof(struct flow));
    if (forwarder->flows == NULL) return -ENOMEM;
    for (size_t i = capacity; i-- > 0;) {
        forwarder->flows[i].next = forwarder->unused;
        forwarder->unused = &forwarder->flows[i];
    }
    return 0;
}

struct route *forward_add(struct forwarder *forwarder, int listener, const char *name) {
    int flags = fcntl(listener, F_GETFL);
    if (forwarder->route_count == MOST_ROUTES || flags < 0 || fcntl(listener, F_SETFL, flags | O_NONBLOCK) < 0) return NULL;
    struct route *route = &forwarder->routes[forwarder->route_count++];
    *route = (struct route){
        .listener = {.ready = listener_ready, .fd = listener, .events = -1},
        .probe = {.ready = route_probe_ready, .fd = -1, .events = -1},
        .forwarder = forwarder,
        .name = name,
        .nowhere = "no address is known for it",
    };
    if (forwarder->policy->patient) route_shut(route);
    return route;
}

int forward_run(struct forwarder *forwarder) {
    for (;;) {
        forwarder->now = clock_ms();
        int64_t next = turn(forwarder);
        if (forwarder->over) return 0;
        int64_t left = next == INT64_MAX ? -1 : next <= forwarder->now ? 0 : next - forwarder->now;
        struct epoll_event events[64];
        int count = epoll_wait(forwarder->epoll, events, 64, left > LOOK_MS * 120 ? LOOK_MS * 120 : (int)left);
        if (count < 0 && errno != EINTR) return -errno;
        forwarder->now = clock_ms();
        for (int i = 0; i < count && !forwarder->over; i++) {
            struct watch *watch = events[i].data.ptr;
            watch->ready(watch, events[i].events);
        }
    }
}
