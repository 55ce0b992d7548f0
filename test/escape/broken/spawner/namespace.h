/* A namespace that the child does not get. */
#pragma once

#include <linux/sched.h>
#include <sys/syscall.h>

#include "../broken.h"

#define CLONE_WITHOUT(flag)                                                                    \
    long __wrap_syscall(long number, ...) {                                                    \
        TAKE_WORDS(words, number);                                                             \
        if (number == SYS_clone3) ((struct clone_args *)words[0])->flags &= ~(__u64)(flag);   \
        return CALL_REALLY(number, words);                                                     \
    }
