#pragma once
#include <stddef.h>

/*
 * Name of a system call for people: "ptrace"; its number where this build knows no name for it ("999"), and with
 * what it was called through where that is not the machine's own way in ("x32:39", "32-bit:20"). `arch` is the
 * AUDIT_ARCH_ of struct seccomp_data (seccomp(2)). Always of the characters a-z, 0-9, '_', '-' and ':'.
 */
void call_name(int number, unsigned int arch, char *out, size_t size);
