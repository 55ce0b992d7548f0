#include "init/filter.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "init/options.h"

int filter_read(struct sock_fprog *program) {
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
    *program = (struct sock_fprog){.len = (unsigned short)(used / sizeof(instructions[0])), .filter = instructions};
    return 0;
}

int filter_load(const struct sock_fprog *program) {
    /* No SECCOMP_FILTER_FLAG_LOG: a killing is logged without it, and errors that are given on purpose are no news. */
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, program) < 0 ? -errno : 0;
}
