#pragma once
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>

/*
 * What a compiled filter says about a call: a SECCOMP_RET_ value, as the kernel would find it. Whatever is not an
 * instruction of such a filter, or leads out of it, gives SECCOMP_RET_KILL_PROCESS.
 */
uint32_t evaluate(const struct sock_fprog *program, const struct seccomp_data *data);
