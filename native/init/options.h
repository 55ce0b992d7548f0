#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "forward/address.h"
#include "init/gate.h"
#include "init/metrics.h"
#include "init/probe.h"

/* Descriptors as the launcher numbers them. */
enum { REPORT_FD = 3, FILTER_FD = 4, FIRST_LISTENER_FD = 5, FIRST_PAYLOAD_FD = 3 };

/* Listeners of both kinds, and the forwarder's socket: what one SCM_RIGHTS message takes, less report and filter. */
enum { MAX_SOCKETS = 251 };
enum { MAX_TO = 64, MAX_EGRESS = 64 };

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
    /* Ports of the program to which listeners are forwarded that it does not get; they follow the others. */
    unsigned int to[MAX_TO];
    size_t to_count;
    /* Behind all of these, a socket for calls, which the program gets as the last of its own. */
    bool rpc;
    /* How long a connection waits for such a port. */
    unsigned long start_timeout_ms;
    /* Where the program finds what it may connect to; then the forwarder's socket follows the listeners. */
    struct address egress[MAX_EGRESS];
    size_t egress_count;
    struct probe probes[PROBE_COUNT];
    struct metrics_source metrics;
    /* The probe that further options belong to; -1 before the first. */
    int last_probe;
    /* The socket for probes, which the program gets behind its listeners; -1 for none. */
    int probe_socket;
    const char **environment;
    size_t environment_size;
    const char *directory;
    bool ready_by_notify;
    int stop_signal;
    /* Instead of ending the payload at the first call that the filter does not allow, tell all that it calls. */
    bool learn;
    /* There is a gate before the connections, and how it stands at first. */
    bool gated;
    enum gate_state gate;
    /* nspawn made the view: what it leaves open is closed. */
    bool close_view;
    /* RLIMIT_NOFILE, soft and hard; 0 leaves it as it is. */
    unsigned long open_files;
    /* RLIMIT_MEMLOCK and RLIMIT_CORE, soft and hard, in bytes. */
    struct resource memory_lock, core;
    /* Capabilities that the payload keeps: bit N is capability N. */
    uint64_t capabilities;
    char **command;
};

/* Sockets that init is handed behind report and filter, but for the forwarder's. */
size_t options_sockets(const struct options *options);

/* The socket for calls; -1 for none. */
int options_rpc_fd(const struct options *options);

/* Returns true, or false with what is wrong in `error` (`size` bytes). Keeps pointers into `argv`. */
bool options_parse(struct options *options, char **argv, char *error, size_t size);
