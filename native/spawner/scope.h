#pragma once
#include <stddef.h>
#include <sys/types.h>

/* Name of the cgroup that a process is in, which is its unit's: the last part of the path. Returns 0 or -errno. */
int scope_of(pid_t pid, char *name, size_t size);
