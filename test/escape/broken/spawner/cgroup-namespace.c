/* Nor a file system of cgroups: who has no namespace of them cannot mount one. */
#include <sched.h>
#include <string.h>

#include "spawner/view.h"

int __real_unshare(int flags);
int __wrap_unshare(int flags);
int __wrap_view_add_cgroup(void);

int __wrap_unshare(int flags) { return flags == CLONE_NEWCGROUP ? 0 : __real_unshare(flags); }

int __wrap_view_add_cgroup(void) { return 0; }
