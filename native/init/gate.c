/*
 * The gate (docs/decisions/0015): beside learn.c the only place where a listener is answered, and only for accept(2) and
 * accept4(2). By whom a connection is taken is no wall, so that what a payload does to the descriptor between the
 * question and the answer costs nobody but itself.
 */
#include "init/gate.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/waiters.h"
#include "init/call-name.h"
#include "init/options.h"

/* Linux 6.6: who is asked runs at once, where the caller ran. Older headers lack it. */
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif

/* A call that waits. Of each thread there is one at most. */
struct waiting {
    uint64_t id;
    uint32_t tid;
    /* When it gets EAGAIN; INT64_MAX: never. */
    int64_t due;
};

static struct {
    /* Held for short: by the thread that gets the calls, and by the one that changes the state. */
    pthread_mutex_t lock;
    bool made;
    enum gate_state state;
    int first;
    size_t count;
    /* Where the calls come from; known with the first one. */
    int listener;
    struct waiting *waiting;
    size_t used, room;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .listener = -1};

const char *gate_state_name(enum gate_state state) {
    static const char *const names[] = {[GATE_OPEN] = "open", [GATE_HELD] = "held", [GATE_SHUT] = "shut"};
    return names[state];
}

static int64_t now_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ENOENT: the caller was interrupted or killed meanwhile. */
static void answer(uint64_t id, int error) {
    struct seccomp_notif_resp response = {.id = id, .error = -error};
    if (error == 0) response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    (void)ioctl(gate.listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
}

/*
 * Which of the listeners it is about; `count` for another socket. The descriptor says so itself, whatever number the
 * payload has given it: for this the thread has the payload's ids as those that /proc looks at. A payload that does not
 * let itself be looked at is believed to ask for the first one.
 */
static size_t listener_of(const struct seccomp_notif *call) {
    char path[64], theirs[64], ours[64];
    (void)snprintf(path, sizeof(path), "/proc/%u/fd/%d", call->pid, (int)call->data.args[0]);
    /* Not stat(2), which would ask the file system of a file that is none of ours. */
    ssize_t length = readlink(path, theirs, sizeof(theirs) - 1);
    if (length < 0) return errno == ENOENT ? gate.count : 0;
    theirs[length] = '\0';
    for (size_t i = 0; i < gate.count; i++) {
        struct stat status;
        if (fstat(gate.first + (int)i, &status) < 0) continue;
        (void)snprintf(ours, sizeof(ours), "socket:[%llu]", (unsigned long long)status.st_ino);
        if (strcmp(theirs, ours) == 0) return i;
    }
    return gate.count;
}

static void forget(size_t at) { gate.waiting[at] = gate.waiting[--gate.used]; }

/* Those whose threads were interrupted or have ended, which nobody tells. */
static void forget_gone(void) {
    for (size_t i = gate.used; i-- > 0;)
        if (ioctl(gate.listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &gate.waiting[i].id) < 0) forget(i);
}

/* Grows to twice the number of threads that wait at the same time, which the sandbox's limit of tasks bounds. */
static bool make_room(void) {
    if (gate.used < gate.room) return true;
    forget_gone();
    if (2 * gate.used < gate.room) return true;
    size_t room = gate.room == 0 ? 64 : 2 * gate.room;
    struct waiting *grown = reallocarray(gate.waiting, room, sizeof(*grown));
    if (grown == NULL) return gate.used < gate.room;
    gate.waiting = grown;
    gate.room = room;
    return true;
}

static void keep(const struct seccomp_notif *call, size_t index) {
    for (size_t i = 0; i < gate.used; i++) {
        if (gate.waiting[i].tid != call->pid) continue;
        /* It was interrupted, and asks again. */
        forget(i);
        break;
    }
    if (!make_room()) {
        answer(call->id, ENOMEM);
        return;
    }
    /* The flag belongs to the open socket, which our copy shares. */
    bool blocks = (fcntl(gate.first + (int)index, F_GETFL) & O_NONBLOCK) == 0;
    gate.waiting[gate.used++] = (struct waiting){
        .id = call->id, .tid = call->pid, .due = blocks ? INT64_MAX : now_ms() + GATE_HOLD_MS};
}

void gate_make(enum gate_state state, int first, size_t count) {
    gate.made = true;
    gate.state = state;
    gate.first = first;
    gate.count = count;
}

void gate_look_as(uid_t uid, gid_t gid) {
    int with_parent = 0;
    (void)prctl(PR_GET_PDEATHSIG, &with_parent);
    (void)setfsgid(gid);
    (void)setfsuid(uid);
    /* The kernel forgets it with each change of ids, and what started us means us to end with it. */
    (void)prctl(PR_SET_PDEATHSIG, with_parent);
}

bool gate_is_there(void) { return gate.made; }

void gate_set(enum gate_state state) {
    (void)pthread_mutex_lock(&gate.lock);
    gate.state = state;
    if (state == GATE_OPEN) {
        for (size_t i = 0; i < gate.used; i++) answer(gate.waiting[i].id, 0);
        gate.used = 0;
        for (size_t i = 0; i < gate.count; i++) wake_waiters(gate.first + (int)i);
    }
    (void)pthread_mutex_unlock(&gate.lock);
}

/* Nothing but these goes on by this file. */
static bool accepts(const struct seccomp_data *data) {
    return data->arch == OWN_ARCH && (data->nr == SYS_accept4 || data->nr == SYS_accept);
}

bool gate_ask(const struct seccomp_notif *call) {
    if (!gate.made || !accepts(&call->data)) return false;
    (void)pthread_mutex_lock(&gate.lock);
    size_t index = gate.state == GATE_OPEN ? gate.count : listener_of(call);
    if (index == gate.count) {
        answer(call->id, 0);
    } else {
        keep(call, index);
        /* It may have been told to us alone. */
        wake_waiters(gate.first + (int)index);
    }
    (void)pthread_mutex_unlock(&gate.lock);
    return true;
}

/* Answers what is due. Returns milliseconds until there is more, -1 for never. */
static int answer_due(void) {
    int64_t now = now_ms(), next = INT64_MAX;
    (void)pthread_mutex_lock(&gate.lock);
    for (size_t i = gate.used; i-- > 0;) {
        int64_t due = gate.waiting[i].due;
        if (due <= now) {
            answer(gate.waiting[i].id, EAGAIN);
            forget(i);
        } else if (due < next) {
            next = due;
        }
    }
    (void)pthread_mutex_unlock(&gate.lock);
    return next == INT64_MAX ? -1 : (int)(next - now);
}

void gate_wait(int listener) {
    if (gate.listener < 0) {
        (void)pthread_mutex_lock(&gate.lock);
        gate.listener = listener;
        (void)pthread_mutex_unlock(&gate.lock);
        /* A third of what a question costs; without it, it is answered all the same. */
        (void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
    }
    struct pollfd call = {.fd = listener, .events = POLLIN};
    while (poll(&call, 1, answer_due()) == 0) continue;
}
