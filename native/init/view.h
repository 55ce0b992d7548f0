#pragma once

/*
 * What systemd-nspawn leaves open for the root of a sandbox, or shows of the host, and no program needs: makes it
 * read-only or covers it. The notification socket is covered, too: `notify` is set to another path of it, or stays
 * NULL. Needs CAP_SYS_ADMIN of the sandbox's user namespace. Returns 0 or -errno.
 */
int view_close(const char **notify);
