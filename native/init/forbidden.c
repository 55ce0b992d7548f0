/*
 * A call that is not allowed stops in the kernel, which tells this thread (seccomp_unotify(2)); the thread kills the
 * payload, all of it. There is no other answer here, so such a call is never executed: its caller waits until it dies, or
 * is interrupted by a signal of its own and gets EINTR before it dies. docs/decisions/0009 says why it is done so.
 */
#include "init/forbidden.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "init/gate.h"
#include "init/handover.h"
#include "init/payload.h"

struct watch {
    int handover;
    /* Where the main loop hears of it. */
    int news;
    pid_t payload;
};

/* The process that the thread belongs to; the thread's own id if it cannot be found out. */
static pid_t process_of(pid_t tid) {
    char path[64], text[512];
    (void)snprintf(path, sizeof(path), "/proc/%d/status", tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return tid;
    ssize_t got = read(fd, text, sizeof(text) - 1);
    (void)close(fd);
    text[got > 0 ? got : 0] = '\0';
    /* The name comes first, but the kernel escapes line ends in it (proc(5)). */
    const char *line = strstr(text, "\nTgid:");
    long pid = line == NULL ? 0 : strtol(line + 6, NULL, 10);
    return pid > 0 ? (pid_t)pid : tid;
}

/* Waits. False: nobody is left who could make a call. */
static bool next_call(int listener, struct forbidden *call) {
    /* With room for a kernel whose structure has grown. */
    union {
        struct seccomp_notif is;
        char room[512];
    } notification;
    *call = (struct forbidden){.unknown = true};
    for (;;) {
        if (gate_is_there()) gate_wait(listener);
        (void)memset(&notification, 0, sizeof(notification));
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notification) == 0) {
            if (gate_ask(&notification.is)) continue;
            break;
        }
        if (errno == EINTR) continue;
        /*
         * ENOENT: the last one with this filter has gone, or a caller was interrupted, who may try again and again.
         * That, and whatever cannot happen, counts as a forbidden call. But where there is a gate, it is what becomes
         * of a good payload's accept(2) that a signal interrupts, and cannot be told from it.
         */
        struct pollfd alive = {.fd = listener, .events = POLLIN};
        bool interrupted = errno == ENOENT && poll(&alive, 1, 0) >= 0;
        if (interrupted && (alive.revents & POLLHUP) != 0) return false;
        if (!interrupted || !gate_is_there()) return true;
    }
    pid_t tid = (pid_t)notification.is.pid;
    *call = (struct forbidden){
        .number = notification.is.data.nr, .arch = notification.is.data.arch, .pid = process_of(tid), .tid = tid};
    return true;
}

static void *watch_calls(void *argument) {
    struct watch *watch = argument;
    int listener = handover_receive(watch->handover);
    (void)close(watch->handover);
    struct forbidden call;
    if (listener >= 0 && next_call(listener, &call)) {
        /* First: when the main loop sees the death, it has to know of what. Less than PIPE_BUF, and the first ever. */
        (void)!write(watch->news, &call, sizeof(call));
        payload_kill(watch->payload);
    }
    /* The listener stays open: without it, a forbidden call would fail with ENOSYS and its caller live on. */
    return NULL;
}

int forbidden_watch(int handover, pid_t payload) {
    static struct watch watch;
    int news[2];
    if (pipe2(news, O_CLOEXEC | O_NONBLOCK) < 0) return -errno;
    watch = (struct watch){.handover = handover, .news = news[1], .payload = payload};
    pthread_t thread;
    int error = pthread_create(&thread, NULL, watch_calls, &watch);
    if (error != 0) return -error;
    return news[0];
}

bool forbidden_read(int fd, struct forbidden *call) { return read(fd, call, sizeof(*call)) == sizeof(*call); }
