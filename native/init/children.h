#pragma once
#include <stdbool.h>
#include <sys/types.h>

/*
 * Whether processes of the payload are left that `main`, which has ended, has left behind: our children that are none
 * of ours and that nobody has killed yet. Their children have them for a parent.
 */
bool children_left(pid_t main);
