#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "init/filter.h"

enum learned_answer { LEARNED_ALLOWED, LEARNED_ANSWERED, LEARNED_REFUSED };

/* A call that was made while learning; each with another value of its argument is told once. */
struct learned {
    int number;
    /* AUDIT_ARCH_ of struct seccomp_data. */
    unsigned int arch;
    /* Which argument was looked at, -1 for none, and what it was. */
    int argument;
    uint64_t value;
    /* More values than are told one by one; `value` is one of them. */
    bool more;
    enum learned_answer answer;
    /* The error that was given to the caller, if it was not allowed. */
    int error;
};

/*
 * Starts the thread that decides about each call of the payload, by the filter, which is evaluated here instead of in
 * the kernel: what it allows goes on, what it answers is answered, and whatever else gives EPERM. `handover` is where the
 * child sends the listener to; it is taken over. Returns a descriptor for learn_read(), or -errno.
 */
int learn_watch(int handover, const struct filter *filter);

/* True if there was one more. */
bool learn_read(int fd, struct learned *call);
