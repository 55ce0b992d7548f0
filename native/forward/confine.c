#include "forward/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/capability.h"

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "seccomp's name of this architecture is not known"
#endif

/* Messages on what is open, memory, time, and the end. */
static const int of_all[] = {
    SYS_read,          SYS_write,     SYS_sendmsg,         SYS_recvmsg,    SYS_sendto, SYS_recvfrom,
    SYS_close,         SYS_brk,       SYS_mmap,            SYS_munmap,     SYS_mremap, SYS_madvise,
    SYS_clock_gettime, SYS_getrandom, SYS_restart_syscall, SYS_exit_group,
#ifdef __SANITIZE_ADDRESS__
    SYS_futex,         SYS_gettid,    SYS_getpid,          SYS_rt_sigprocmask, SYS_sigaltstack, SYS_sched_yield,
    SYS_prlimit64,     SYS_mprotect,
#endif
};

static const int of_forwarder[] = {
    SYS_accept4,    SYS_connect,  SYS_getsockname, SYS_setsockopt,   SYS_rt_sigreturn,
    SYS_getsockopt, SYS_shutdown, SYS_epoll_ctl,   SYS_epoll_pwait,
#ifdef SYS_epoll_wait
    SYS_epoll_wait,
#endif
};

/* fork(3) of the C library, and how its child ends; what asks is such a child. */
static const int of_prober[] = {
    SYS_connect,         SYS_shutdown,        SYS_ppoll,  SYS_pipe2,           SYS_clone,  SYS_waitid, SYS_wait4,
    SYS_kill,            SYS_pidfd_open,      SYS_gettid, SYS_set_robust_list, SYS_getpid, SYS_rt_sigprocmask,
#ifdef SYS_poll
    SYS_poll,
#endif
};

enum { MOST_INSTRUCTIONS = 160 };

static struct sock_filter program[MOST_INSTRUCTIONS];
static unsigned short used;

#define ADD(...) (program[used++] = (struct sock_filter)__VA_ARGS__)
#define LOAD(field) ADD(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field)))
/* The low half of an argument, where both architectures have it. */
#define LOAD_ARGUMENT(n) ADD(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args) + 8 * (n)))
#define CLEAR(bits) ADD(BPF_STMT(BPF_ALU | BPF_AND | BPF_K, ~(unsigned int)(bits)))
/* Skips so many instructions. */
#define IF(value, then, otherwise) ADD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)(value), then, otherwise))
#define RETURN(verdict) ADD(BPF_STMT(BPF_RET | BPF_K, verdict))

static void allow(const int *numbers, size_t count) {
    for (size_t i = 0; i < count; i++) {
        IF(numbers[i], 0, 1);
        RETURN(SECCOMP_RET_ALLOW);
    }
}

/* Last, because it loads something else than the number. TCP and UDP, over IPv4 and IPv6. */
static void allow_internet_sockets(void) {
    IF(SYS_socket, 0, 7);
    LOAD_ARGUMENT(0);
    IF(AF_INET, 1, 0);
    IF(AF_INET6, 0, 4);
    LOAD_ARGUMENT(1);
    CLEAR(SOCK_NONBLOCK | SOCK_CLOEXEC);
    IF(SOCK_STREAM, 2, 0);
    IF(SOCK_DGRAM, 1, 0);
    RETURN(SECCOMP_RET_KILL_PROCESS);
    RETURN(SECCOMP_RET_ALLOW);
}

static void allow_local_sockets(void) {
    IF(SYS_socket, 0, 6);
    LOAD_ARGUMENT(0);
    IF(AF_INET, 1, 0);
    IF(AF_UNIX, 0, 3);
    LOAD_ARGUMENT(1);
    CLEAR(SOCK_NONBLOCK | SOCK_CLOEXEC);
    IF(SOCK_STREAM, 1, 0);
    RETURN(SECCOMP_RET_KILL_PROCESS);
    RETURN(SECCOMP_RET_ALLOW);
}

static void allow_reading_files(void) {
    IF(SYS_openat, 0, 3);
    LOAD_ARGUMENT(2);
    CLEAR(O_CLOEXEC | O_NONBLOCK | O_LARGEFILE);
    IF(O_RDONLY, 1, 0);
    RETURN(SECCOMP_RET_KILL_PROCESS);
    RETURN(SECCOMP_RET_ALLOW);
}

static int load_filter(enum confine_profile profile) {
    LOAD(arch);
    IF(ARCHITECTURE, 1, 0);
    RETURN(SECCOMP_RET_KILL_PROCESS);
    LOAD(nr);
    allow(of_all, sizeof(of_all) / sizeof(of_all[0]));
    if (profile == CONFINE_FORWARDER) {
        allow(of_forwarder, sizeof(of_forwarder) / sizeof(of_forwarder[0]));
        allow_internet_sockets();
    } else if (profile == CONFINE_PROBER) {
        allow(of_prober, sizeof(of_prober) / sizeof(of_prober[0]));
        allow_local_sockets();
    } else {
        allow_reading_files();
    }
    const struct sock_fprog filter = {.len = used, .filter = program};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) < 0 ? -errno : 0;
}

int confine(uid_t id, enum confine_profile profile) {
    int error;
    /* Whoever reads the log may be gone. */
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR) return -errno;
    if ((error = capability_bound(0)) < 0) return error;
    if (setgroups(0, NULL) < 0 || setresgid(id, id, id) < 0 || setresuid(id, id, id) < 0) return -errno;
    if ((error = capability_limit(0, 0)) < 0) return error;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) return -errno;
    return load_filter(profile);
}
