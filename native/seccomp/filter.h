#pragma once
#include <seccomp.h>

#include "seccomp/list.h"

/*
 * Makes a filter of a list: whatever it does not allow is told to the holder of its listener, and so is any other
 * architecture (32-bit calls, x32). Problems are printed with their place. NULL if there were any.
 */
scmp_filter_ctx filter_make(struct list *list);

/* Instructions the kernel takes at most (BPF_MAXINSNS). */
enum { MAX_INSTRUCTIONS = 4096 };
