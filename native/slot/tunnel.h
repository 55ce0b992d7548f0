#pragma once
#include <stdbool.h>
#include <sys/types.h>

#include "base/slot.h"

#define TUNNELS "/run/bulkhead/slot"
#define VERSIONS "/opt/plugin"

/* Room for TUNNELS, a plugin's name (at most 48), a slot's and SLOT_LIVE. */
enum { PLACE_SIZE = 128 };

/* The tunnel of a slot, TUNNELS/NAME/SLOT, in which one mount after the other is the live version. */
struct tunnel {
    char plugin[49];
    char slot;
    /* The directory; locked, so that no two work on it. */
    int fd;
    /* Which directory it is, whatever its path in a namespace. */
    dev_t device;
    ino_t inode;
    /* Where versions are mounted. */
    char live[PLACE_SIZE];
};

/* Whether the path is one of a tunnel. Only then may the others be called. */
bool tunnel_parse(struct tunnel *tunnel, const char *path);

/* Makes the directories that are missing, if it may, and opens the tunnel when nobody else works on it. 0 or -errno. */
int tunnel_open(struct tunnel *tunnel, bool make);

/* Removes the directories. Nothing may be mounted any more. Returns 0 or -errno. */
int tunnel_remove(struct tunnel *tunnel);
