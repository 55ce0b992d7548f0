#include "init/options.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/capability.h"

/* (uid_t) -1 means "unchanged" to setresuid(2). */
#define MAX_ID 4294967294UL
/* A day. */
#define MAX_START_TIMEOUT_MS 86400000UL
/* fs.nr_open's default. */
#define MAX_OPEN_FILES 1048576UL

static bool id(const char *value, unsigned int *out) {
    unsigned long number;
    if (!text_number(value, 1, MAX_ID, &number)) return false;
    *out = (unsigned int)number;
    return true;
}

/* What sd_listen_fds_with_names(3) can carry, and more than 0 of it. */
static bool listen_name(struct options *options, const char *value) {
    size_t length = strlen(value);
    if (length == 0 || length > 255 || strchr(value, ':') != NULL || !text_is_printable(value, length)) return false;
    if (options->listeners == MAX_SOCKETS) return false;
    options->listen_names[options->listeners++] = value;
    return true;
}

static bool to_port(struct options *options, const char *value) {
    unsigned long port;
    if (options->to_count == MAX_TO || !text_number(value, 1, 65535, &port)) return false;
    options->to[options->to_count++] = (unsigned int)port;
    return true;
}

static bool egress(struct options *options, const char *value) {
    char host[HOST_SIZE];
    unsigned int port;
    if (options->egress_count == MAX_EGRESS || !address_split(value, host, &port)) return false;
    return address_parse(host, port, &options->egress[options->egress_count++]);
}

/* Names that this program sets, names without a value, and a name given twice are refused. */
static bool environment(struct options *options, const char *value) {
    const char *end = strchr(value, '=');
    if (end == NULL || end == value) return false;
    size_t name = (size_t)(end - value) + 1;
    static const char *const own[] = {"LISTEN_FDS=", "LISTEN_PID=", "LISTEN_FDNAMES=", "NOTIFY_SOCKET="};
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        if (strncmp(value, own[i], name) == 0) return false;
    for (size_t i = 0; i < options->environment_size; i++)
        if (strncmp(value, options->environment[i], name) == 0) return false;
    options->environment[options->environment_size++] = value;
    return true;
}

static bool ready(struct options *options, const char *value) {
    options->ready_by_notify = strcmp(value, "notify") == 0;
    return options->ready_by_notify || strcmp(value, "exec") == 0;
}

static bool seccomp(struct options *options, const char *value) {
    options->learn = strcmp(value, "learn") == 0;
    return options->learn || strcmp(value, "enforce") == 0;
}

static bool gate(struct options *options, const char *value) {
    for (options->gate = GATE_OPEN; options->gate < GATE_STATES; options->gate++)
        if (strcmp(value, gate_state_name(options->gate)) == 0) return options->gated = true;
    return false;
}

static bool stop_signal(struct options *options, const char *value) {
    unsigned long number;
    if (!text_number(value, 1, (unsigned long)SIGRTMAX, &number)) return false;
    options->stop_signal = (int)number;
    return true;
}

static bool capability(struct options *options, const char *value) {
    int number = capability_number(value);
    if (number < 0) return false;
    options->capabilities |= UINT64_C(1) << number;
    return true;
}

static bool resource(struct resource *out, const char *value) {
    unsigned long number = 0;
    bool none = strcmp(value, "infinity") == 0;
    if (!none && !text_number(value, 0, LONG_MAX, &number)) return false;
    *out = (struct resource){.given = true, .value = none ? RLIM_INFINITY : number};
    return true;
}

static bool apply(struct options *options, const char *name, size_t length, const char *value) {
#define IS(text) (length == sizeof(text) - 1 && memcmp(name, text, length) == 0)
    if (IS("--uid")) return id(value, &options->uid);
    if (IS("--gid")) return id(value, &options->gid);
    if (IS("--listen")) return listen_name(options, value);
    if (IS("--to")) return to_port(options, value);
    if (IS("--egress")) return egress(options, value);
    if (IS("--start-timeout")) return text_number(value, 1, MAX_START_TIMEOUT_MS, &options->start_timeout_ms);
    if (IS("--env")) return environment(options, value);
    if (IS("--ready")) return ready(options, value);
    if (IS("--stop-signal")) return stop_signal(options, value);
    if (IS("--seccomp")) return seccomp(options, value);
    if (IS("--gate")) return gate(options, value);
    if (IS("--cap")) return capability(options, value);
    if (IS("--nofile")) return text_number(value, 16, MAX_OPEN_FILES, &options->open_files);
    if (IS("--memory-lock")) return resource(&options->memory_lock, value);
    if (IS("--core")) return resource(&options->core, value);
    if (IS("--chdir")) {
        options->directory = value;
        return value[0] == '/';
    }
    if (IS("--rpc")) {
        options->rpc = strcmp(value, "yes") == 0;
        return options->rpc;
    }
    if (IS("--view")) {
        options->close_view = strcmp(value, "close") == 0;
        return options->close_view;
    }
#undef IS
    static const char metrics[] = "--metrics", probe[] = "--probe";
    if (length >= sizeof(metrics) - 1 && memcmp(name, metrics, sizeof(metrics) - 1) == 0)
        return metrics_option(&options->metrics, name + sizeof(metrics) - 1, length - (sizeof(metrics) - 1), value);
    const size_t prefix = sizeof(probe) - 1;
    if (length < prefix || memcmp(name, probe, prefix) != 0) return false;
    return probe_option(options->probes, &options->last_probe, name + prefix, length - prefix, value);
}

size_t options_sockets(const struct options *options) {
    return options->listeners + options->to_count + (options->rpc ? 1 : 0);
}

int options_rpc_fd(const struct options *options) {
    return options->rpc ? FIRST_LISTENER_FD + (int)options_sockets(options) - 1 : -1;
}

bool options_parse(struct options *options, char **argv, char *error, size_t size) {
    size_t count = 0;
    while (argv[count] != NULL) count++;
    *options = (struct options){.directory = "/", .stop_signal = SIGTERM, .last_probe = -1, .probe_socket = -1};
    options->listen_names = calloc(count + 1, sizeof(char *));
    options->environment = calloc(count + 1, sizeof(char *));
    if (options->listen_names == NULL || options->environment == NULL) {
        (void)snprintf(error, size, "out of memory");
        return false;
    }

    size_t at = count > 0 ? 1 : 0;
    bool ready_given = false;
    for (; at < count && strcmp(argv[at], "--") != 0; at++) {
        const char *equals = strchr(argv[at], '=');
        if (equals == NULL || !apply(options, argv[at], (size_t)(equals - argv[at]), equals + 1)) {
            /* Without its value, for an environment's may be long or private. */
            int name = (int)(equals == NULL ? strnlen(argv[at], 64) : (size_t)(equals - argv[at]));
            (void)snprintf(error, size, "option '%.*s' is unknown or has a wrong value", name > 64 ? 64 : name, argv[at]);
            return false;
        }
        if (strncmp(argv[at], "--ready=", 8) == 0) ready_given = true;
    }
    const char *missing = options->uid == 0   ? "--uid"
                          : options->gid == 0 ? "--gid"
                          : !ready_given      ? "--ready"
                          : options->to_count > 0 && options->start_timeout_ms == 0 ? "--start-timeout"
                          : at + 1 >= count   ? "a program after --"
                                              : NULL;
    enum probe_name incomplete;
    if (missing == NULL && !probe_complete(options->probes, &incomplete)) missing = "what a --probe asks for";
    if (missing == NULL && !metrics_complete(&options->metrics)) missing = "what --metrics asks for";
    if (missing != NULL) {
        (void)snprintf(error, size, "%s is missing", missing);
        return false;
    }
    options->command = argv + at + 1;
    if (options->command[0][0] == '\0') {
        (void)snprintf(error, size, "the program's name is empty");
        return false;
    }
    return true;
}
