#include "init/filter.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/secret.h"
#include "init/call-name.h"
#include "init/options.h"

/* A filter compares 32 bits at a time (bpf(2) of old): each half of the placeholder stands in instructions of its own. */
static void put_secret(struct sock_filter *instructions, size_t count, uint64_t secret) {
    for (size_t i = 0; i < count; i++) {
        if (instructions[i].code != (BPF_JMP | BPF_JEQ | BPF_K)) continue;
        if (instructions[i].k == (uint32_t)(SECRET_PLACEHOLDER >> 32)) instructions[i].k = (uint32_t)(secret >> 32);
        else if (instructions[i].k == (uint32_t)SECRET_PLACEHOLDER) instructions[i].k = (uint32_t)secret;
    }
}

int filter_read(struct filter *filter) {
    static struct sock_filter instructions[BPF_MAXINSNS + 1];
    size_t used = 0;
    /* By offset: another sandbox may read through the same open file at the same time. */
    while (used < sizeof(instructions)) {
        ssize_t got = pread(FILTER_FD, (char *)instructions + used, sizeof(instructions) - used, (off_t)used);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -errno;
        if (got == 0) break;
        used += (size_t)got;
    }
    if (used == 0 || used % sizeof(instructions[0]) != 0) return -EINVAL;
    if (used == sizeof(instructions)) return -EFBIG;
    size_t count = used / sizeof(instructions[0]);
    if (getrandom(&filter->secret, sizeof(filter->secret), 0) != sizeof(filter->secret)) return -EIO;
    put_secret(instructions, count, filter->secret);
    filter->program = (struct sock_fprog){.len = (unsigned short)count, .filter = instructions};
    return 0;
}

/* While learning, PID 1 is asked about every call but the one by which it gets the listener. */
static const struct sock_filter ask_always[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OWN_ARCH, 0, 2),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sendmsg, 1, 0),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

/* Once a call was noted, no signal interrupts it but a deadly one, where the kernel can do that (Linux 5.19). */
static int load(const struct filter *filter, bool learn) {
    const struct sock_fprog ask = {
        .len = sizeof(ask_always) / sizeof(ask_always[0]), .filter = (struct sock_filter *)ask_always};
    if (!learn) return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter->program);
    const unsigned long patient = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    int listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, patient, &ask);
    if (listener >= 0 || errno != EINVAL) return listener;
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &ask);
}

/* Nobody is told of a call that is not allowed: the kernel itself ends who makes it. */
static int load_deadly(const struct filter *filter) {
    struct sock_filter *instructions = filter->program.filter;
    for (size_t i = 0; i < filter->program.len; i++)
        if (instructions[i].code == (BPF_RET | BPF_K) && instructions[i].k == SECCOMP_RET_USER_NOTIF)
            instructions[i].k = SECCOMP_RET_KILL_PROCESS;
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0UL, &filter->program) < 0 ? -errno : 0;
}

int filter_load(const struct filter *filter, bool learn, int handover) {
    if (handover < 0) return load_deadly(filter);
    /* Prepared first: from the loading on there should be no call but the one that sends. */
    char byte = 0;
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec vector = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    /* The listener is made with close-on-exec. No SECCOMP_FILTER_FLAG_LOG: init tells what is forbidden. */
    int listener = load(filter, learn);
    if (listener < 0) return -errno;
    (void)memcpy(CMSG_DATA(header), &listener, sizeof(listener));
    return sendmsg(handover, &message, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}
