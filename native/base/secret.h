#pragma once
#include <stdint.h>

/*
 * `INIT` in a seccomp list. In a compiled filter it is this number; init puts another one in its place, drawn anew at
 * each start, which nobody but init knows. So a rule that demands it in an argument that the call does not have
 * (execve(2) has three) allows the call to init alone. Both halves are unlike anything else that is compared.
 */
#define SECRET_PLACEHOLDER UINT64_C(0x62756c6b68656164)

/* The argument that carries it: the last one that a filter sees. */
enum { SECRET_ARGUMENT = 5 };
