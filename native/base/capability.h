#pragma once
#include <stdint.h>

/* Number of a capability by its full name (CAP_KILL), or -1. */
int capability_number(const char *name);

/* Reduces the bounding set to `keep`; needs CAP_SETPCAP. Returns 0 or -errno. */
int capability_bound(uint64_t keep);

/*
 * The others: effective and permitted become `keep`, inheritable and ambient `pass_on`, a part of it that
 * programs executed later have. Returns 0 or -errno.
 */
int capability_limit(uint64_t keep, uint64_t pass_on);
