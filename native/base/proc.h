#pragma once

/*
 * Takes out of /proc what is about the host: some of it shows as an empty file or directory that nobody may open, and
 * /proc/sys is read-only. `proc` is the attached file system, `spare` a directory of the box that has no mount yet.
 * Returns 0 or -errno.
 */
int proc_mask(int proc, const char *spare);
