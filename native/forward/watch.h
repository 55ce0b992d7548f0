#pragma once
#include <errno.h>
#include <stdint.h>
#include <sys/epoll.h>

/* Something that epoll waits for, first in the structure that it belongs to: `ready` finds that by a cast. */
struct watch {
    void (*ready)(struct watch *watch, uint32_t events);
    int fd;
    /* What epoll waits for; -1: it does not know the descriptor. */
    int events;
};

/* Makes epoll wait for `events`, -1 for nothing at all. Returns 0 or -errno. */
static inline int watch_for(struct watch *watch, int epoll, int events) {
    if (watch->events == events) return 0;
    struct epoll_event event = {.events = (uint32_t)events, .data.ptr = watch};
    int operation = watch->events < 0 ? EPOLL_CTL_ADD : events < 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
    if (epoll_ctl(epoll, operation, watch->fd, &event) < 0) return -errno;
    watch->events = events;
    return 0;
}
