#include "init/filter.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/secret.h"
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

int filter_load(const struct filter *filter, int handover) {
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
    int listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter->program);
    if (listener < 0) return -errno;
    (void)memcpy(CMSG_DATA(header), &listener, sizeof(listener));
    return sendmsg(handover, &message, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}
