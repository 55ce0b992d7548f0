/* A filter that allows everything. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#include "../broken.h"

long __wrap_syscall(long number, ...) {
    static struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    static const struct sock_fprog program = {.len = 1, .filter = &allow};
    TAKE_WORDS(words, number);
    if (number == SYS_seccomp && words[0] == SECCOMP_SET_MODE_FILTER) words[2] = (long)&program;
    return CALL_REALLY(number, words);
}
