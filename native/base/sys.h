#pragma once

/* A /sys that has nothing but a place for the cgroups, read-only, over what is there. Returns 0 or -errno. */
int sys_empty(void);
