#pragma once

/*
 * Connects the standard output and error to the journal, and the standard input to /dev/null. `journal` is its socket,
 * opened as a path. The journal finds the unit by the cgroup that the caller is in. Returns 0 or -errno.
 */
int journal_streams(int journal, const char *identifier);
