#include "seccomp/word.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <netinet/in.h>
#include <linux/keyctl.h>
#include <linux/prctl.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sockios.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/call-arguments.h"
#include "base/secret.h"

bool word_call(const char *name, int *number) {
    /* Newer than the oldest libseccomp that we run with; since 5.0 a number is the same everywhere. */
    static const struct {
        const char *name;
        int number;
    } newer[] = {{"cachestat", 451}, {"fchmodat2", 452}, {"map_shadow_stack", 453}, {"futex_wake", 454},
                 {"futex_wait", 455}, {"futex_requeue", 456}, {"mseal", 462}};
    *number = seccomp_syscall_resolve_name(name);
    if (*number != __NR_SCMP_ERROR) return true;
    for (size_t i = 0; i < sizeof(newer) / sizeof(newer[0]); i++) {
        if (strcmp(name, newer[i].name) != 0) continue;
        *number = newer[i].number;
        return true;
    }
    return false;
}

bool word_argument(const char *call, const char *name, unsigned int *index, bool *narrow) {
    static const struct {
        const char *call, *name;
        unsigned int index;
        bool narrow;
    } known[] = {
#define ARGUMENT(call, name, index, narrow) {#call, name, index, narrow},
        CALL_ARGUMENTS(ARGUMENT)
#undef ARGUMENT
        {"socket", "protocol", 2, true},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(call, known[i].call) != 0 || strcmp(name, known[i].name) != 0) continue;
        *index = known[i].index;
        *narrow = known[i].narrow;
        return true;
    }
    if (strncmp(name, "arg", 3) != 0 || name[3] < '0' || name[3] > '5' || name[4] != '\0') return false;
    *index = (unsigned int)(name[3] - '0');
    *narrow = false;
    return true;
}

/* linux/prctl.h of an older build host lacks some. */
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

bool word_value(const char *name, uint64_t *value) {
#define NAME(constant) {#constant, constant}
    static const struct {
        const char *name;
        uint64_t value;
    } known[] = {
        NAME(AF_UNIX), NAME(AF_INET), NAME(AF_INET6), NAME(AF_NETLINK), NAME(AF_PACKET), NAME(AF_VSOCK), NAME(AF_ALG),
        NAME(IPPROTO_TCP),
        NAME(IPPROTO_UDP), NAME(IPPROTO_ICMP), NAME(IPPROTO_ICMPV6), NAME(IPPROTO_RAW), {"IPPROTO_MPTCP", 262},
        NAME(CLONE_NEWNS), NAME(CLONE_NEWCGROUP), NAME(CLONE_NEWUTS), NAME(CLONE_NEWIPC), NAME(CLONE_NEWUSER),
        NAME(CLONE_NEWPID), NAME(CLONE_NEWNET), NAME(CLONE_NEWTIME), NAME(CLONE_THREAD), NAME(CLONE_PTRACE),
        NAME(CLONE_VFORK), NAME(CLONE_PARENT), NAME(CLONE_UNTRACED), NAME(CLONE_IO),
        NAME(PR_SET_NAME), NAME(PR_GET_NAME), NAME(PR_SET_PDEATHSIG), NAME(PR_GET_PDEATHSIG), NAME(PR_SET_VMA),
        NAME(PR_GET_DUMPABLE), NAME(PR_CAPBSET_READ), NAME(PR_GET_NO_NEW_PRIVS), NAME(PR_GET_SECCOMP),
        NAME(PR_GET_KEEPCAPS), NAME(PR_SET_TIMERSLACK), NAME(PR_GET_TIMERSLACK), NAME(PR_SET_NO_NEW_PRIVS),
        NAME(PR_SET_THP_DISABLE), NAME(PR_GET_THP_DISABLE), NAME(PR_GET_TAGGED_ADDR_CTRL), NAME(PR_SET_DUMPABLE),
        NAME(TCGETS), NAME(TIOCGWINSZ), NAME(TIOCGPGRP), NAME(TIOCSTI), NAME(TIOCGPTN), NAME(FIONREAD), NAME(FIONBIO),
        NAME(FIOASYNC), NAME(FIOCLEX), NAME(FIONCLEX), NAME(FICLONE), NAME(SIOCOUTQ), NAME(SIOCATMARK),
        NAME(SIOCGIFCONF), NAME(SIOCGIFINDEX), NAME(SIOCGIFNAME), NAME(SIOCGIFHWADDR),
        NAME(F_GETFD), NAME(F_SETFD), NAME(F_GETFL), NAME(F_SETFL), NAME(F_DUPFD_CLOEXEC), NAME(O_CREAT), NAME(O_TRUNC),
        NAME(PROT_READ), NAME(PROT_WRITE), NAME(PROT_EXEC), NAME(PROT_GROWSDOWN),
        {"INIT", SECRET_PLACEHOLDER},
        NAME(PTRACE_TRACEME), NAME(PTRACE_PEEKTEXT), NAME(PTRACE_PEEKDATA), NAME(PTRACE_PEEKUSR), NAME(PTRACE_POKETEXT),
        NAME(PTRACE_POKEDATA), NAME(PTRACE_POKEUSR), NAME(PTRACE_CONT), NAME(PTRACE_KILL), NAME(PTRACE_SINGLESTEP),
        NAME(PTRACE_ATTACH), NAME(PTRACE_DETACH), NAME(PTRACE_SYSCALL), NAME(PTRACE_SETOPTIONS),
        NAME(PTRACE_GETEVENTMSG), NAME(PTRACE_GETSIGINFO), NAME(PTRACE_SETSIGINFO), NAME(PTRACE_GETREGSET),
        NAME(PTRACE_SETREGSET), NAME(PTRACE_SEIZE), NAME(PTRACE_INTERRUPT), NAME(PTRACE_LISTEN), NAME(PTRACE_PEEKSIGINFO),
        NAME(PTRACE_GETSIGMASK), NAME(PTRACE_SETSIGMASK), NAME(PTRACE_GET_SYSCALL_INFO), NAME(PR_SET_PTRACER),
        NAME(KEYCTL_GET_KEYRING_ID), NAME(KEYCTL_JOIN_SESSION_KEYRING), NAME(KEYCTL_UPDATE), NAME(KEYCTL_REVOKE),
        NAME(KEYCTL_SETPERM), NAME(KEYCTL_DESCRIBE), NAME(KEYCTL_CLEAR), NAME(KEYCTL_LINK), NAME(KEYCTL_UNLINK),
        NAME(KEYCTL_SEARCH), NAME(KEYCTL_READ), NAME(KEYCTL_SET_TIMEOUT), NAME(KEYCTL_INVALIDATE), NAME(KEYCTL_MOVE),
    };
#undef NAME
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(name, known[i].name) != 0) continue;
        *value = known[i].value;
        return true;
    }
    bool hexadecimal = strncmp(name, "0x", 2) == 0;
    const char *digits = hexadecimal ? name + 2 : name;
    if (*digits == '\0' || strspn(digits, hexadecimal ? "0123456789abcdefABCDEF" : "0123456789") != strlen(digits)) return false;
    errno = 0;
    *value = strtoull(digits, NULL, hexadecimal ? 16 : 10);
    return errno == 0;
}

bool word_error(const char *name, int *number) {
    for (int candidate = 1; candidate < 134; candidate++) {
        const char *known = strerrorname_np(candidate);
        if (known == NULL || strcmp(known, name) != 0) continue;
        *number = candidate;
        return true;
    }
    return false;
}
