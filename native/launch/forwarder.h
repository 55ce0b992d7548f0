#pragma once

/*
 * Starts the forwarder of a sandbox: a child in a cgroup of its own below this unit's, with standard streams and, as
 * descriptor 3, one end of a socket. nspawn wants the unit's own group empty (cgroups(7), "no internal processes"), and
 * counts as the payload what is in `payload`. Returns the other end, or dies with a reason.
 */
int forwarder_start(char **command);

/* Prints why, and ends the launcher. */
__attribute__((noreturn, format(printf, 1, 2))) void die(const char *format, ...);
