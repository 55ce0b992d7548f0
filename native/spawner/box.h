#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* As many ids as a sandbox has, inside from 0 on. */
enum { ID_RANGE = 65536 };
/* More than any plan has; each takes a descriptor. */
enum { MAX_MOUNTS = 256 };
/* The forwarder's path, its options, and as many endpoints as a declaration has. */
enum { MAX_FORWARDER = 80 };

enum mount_kind { BIND_READ_ONLY, BIND_SLOT, BIND_WRITABLE, BIND_FILE, BIND_DEVICE, TMPFS };

struct box_mount {
    enum mount_kind kind;
    /* On the host; NULL for a tmpfs. */
    const char *source;
    /* Inside: absolute, without empty, '.' or '..' components. */
    const char *target;
    /* Bytes and permission bits of a tmpfs. */
    unsigned long size;
    mode_t mode;
};

/* A sandbox as its request describes it. All pointers go into the request's words. */
struct box {
    const char *machine;
    const char *plugin;
    uid_t id_base;
    const char *root;
    bool own_network;
    /* RLIMIT_NOFILE, soft and hard. */
    unsigned long open_files;
    /* What is left in the bounding set: init's own, and declared ones. Bit N is capability N. */
    uint64_t capabilities;
    struct box_mount mounts[MAX_MOUNTS];
    size_t mount_count;
    /* The process outside that serves the box's network, and its arguments, ends with NULL; empty for none. */
    char *forwarder[MAX_FORWARDER + 1];
    size_t forwarder_count;
    /* Init and its arguments, ends with NULL. */
    char **command;
};

/* Returns true, or false with what is wrong in `error` (`size` bytes). `words` ends with NULL. */
bool box_parse(struct box *box, char **words, char *error, size_t size);
