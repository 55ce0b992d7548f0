#pragma once
#include <linux/audit.h>
#include <stddef.h>

/* Of this machine's own system calls, as struct seccomp_data says it. */
#if defined(__x86_64__)
#define OWN_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCH AUDIT_ARCH_AARCH64
#else
#error "which AUDIT_ARCH_ is this?"
#endif

/*
 * Name of a system call for people: "ptrace"; its number where this build knows no name for it ("999"), and with
 * what it was called through where that is not the machine's own way in ("x32:39", "32-bit:20"). `arch` is the
 * AUDIT_ARCH_ of struct seccomp_data (seccomp(2)). Always of the characters a-z, 0-9, '_', '-' and ':'.
 */
void call_name(int number, unsigned int arch, char *out, size_t size);
