#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

/* Descriptors as the launcher numbers them. */
enum { REPORT_FD = 3, FILTER_FD = 4, FIRST_LISTENER_FD = 5, FIRST_PAYLOAD_FD = 3 };

/* As many as one SCM_RIGHTS message takes, less report and filter. */
enum { MAX_LISTENERS = 251 };

/* A limit that may be 0; `infinity` is RLIM_INFINITY. */
struct resource {
    bool given;
    rlim_t value;
};

struct options {
    uid_t uid;
    gid_t gid;
    const char **listen_names;
    size_t listeners;
    const char **environment;
    size_t environment_size;
    const char *directory;
    bool ready_by_notify;
    int stop_signal;
    /* Instead of ending the payload at the first call that the filter does not allow, tell all that it calls. */
    bool learn;
    /* RLIMIT_NOFILE, soft and hard; 0 leaves it as it is. */
    unsigned long open_files;
    /* RLIMIT_MEMLOCK and RLIMIT_CORE, soft and hard, in bytes. */
    struct resource memory_lock, core;
    /* Capabilities that the payload keeps: bit N is capability N. */
    uint64_t capabilities;
    char **command;
};

/* Returns true, or false with what is wrong in `error` (`size` bytes). Keeps pointers into `argv`. */
bool options_parse(struct options *options, char **argv, char *error, size_t size);
