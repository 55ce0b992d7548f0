/*
 * A wall that is broken on purpose: calls of the real program's objects go to a stand-in, which the linker puts in
 * their place (ld(1), --wrap). The product itself has no switch for this.
 */
#pragma once

#include <stdarg.h>

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

/* The six words that a system call can have. */
#define TAKE_WORDS(words, last)                                                     \
    long words[6];                                                                  \
    do {                                                                            \
        va_list values;                                                             \
        va_start(values, last);                                                     \
        for (int word = 0; word < 6; word++) words[word] = va_arg(values, long);    \
        va_end(values);                                                             \
    } while (0)

#define CALL_REALLY(number, words) \
    __real_syscall(number, (words)[0], (words)[1], (words)[2], (words)[3], (words)[4], (words)[5])
