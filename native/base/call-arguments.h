#pragma once

/*
 * Arguments that have a name in seccomp lists, and that init notes while a plugin learns, one for each call: X(call, name,
 * index, narrow).
 * `narrow`: an int in the kernel, which takes its lower 32 bits only.
 */
#define CALL_ARGUMENTS_EVERYWHERE(X)        \
    X(socket, "family", 0, true)            \
    X(socketpair, "family", 0, true)        \
    X(clone, "flags", 0, false)             \
    X(prctl, "option", 0, true)             \
    X(ioctl, "request", 1, true)            \
    X(fcntl, "command", 1, true)            \
    X(prlimit64, "pid", 0, true)            \
    X(mmap, "prot", 2, false)               \
    X(mprotect, "prot", 2, false)           \
    X(pkey_mprotect, "prot", 2, false)      \
    X(madvise, "advice", 2, true)           \
    X(openat, "flags", 2, true)             \
    X(ptrace, "request", 0, false)          \
    X(keyctl, "operation", 0, true)

#ifdef __x86_64__
#define CALL_ARGUMENTS(X) CALL_ARGUMENTS_EVERYWHERE(X) X(arch_prctl, "code", 0, true)
#else
#define CALL_ARGUMENTS(X) CALL_ARGUMENTS_EVERYWHERE(X)
#endif
