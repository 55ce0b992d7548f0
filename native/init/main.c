/*
 * plugin-init: PID 1 of a sandbox. Sets the payload up as its options say, or runs nothing at all; then
 * relays, forwards and reaps until the payload ends. docs/internals.md has the protocol.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/text.h"
#include "init/adapter.h"
#include "init/filter.h"
#include "init/gate.h"
#include "init/network.h"
#include "init/notify.h"
#include "init/options.h"
#include "init/payload.h"
#include "init/prober.h"
#include "init/report.h"
#include "init/streams.h"
#include "init/supervise.h"
#include "init/view.h"

static int fail(const char *step, int error, const char *text) {
    report_setup_failed(step, error, text);
    return EXIT_SETUP_FAILED;
}

/* Standard streams that are closed would be taken by the next file that is opened. */
static bool open_standard_streams(void) {
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd) return false;
    return true;
}

/* The filter, then exactly the sockets that were announced; whatever else came along is closed. */
static int check_descriptors(size_t sockets) {
    const char *announced = getenv("LISTEN_FDS");
    unsigned long count;
    if (announced != NULL && (!text_number(announced, 0, MAX_SOCKETS + 2, &count) || count != sockets + 2)) return -EBADFD;
    if (fcntl(FILTER_FD, F_SETFD, FD_CLOEXEC) < 0) return -errno;
    for (int i = 0; i < (int)sockets; i++) {
        struct stat status;
        if (fstat(FIRST_LISTENER_FD + i, &status) < 0) return -errno;
        if (!S_ISSOCK(status.st_mode)) return -ENOTSOCK;
        if (fcntl(FIRST_LISTENER_FD + i, F_SETFD, FD_CLOEXEC) < 0) return -errno;
    }
    unsigned int first = FIRST_LISTENER_FD + (unsigned int)sockets;
    return syscall(SYS_close_range, first, ~0U, 0) < 0 ? -errno : 0;
}

static int run(char **argv) {
    /* First of all: for PID 1 a signal that is neither handled nor blocked is lost. */
    int error = supervise_block_signals();
    if (!open_standard_streams()) return EXIT_SETUP_FAILED;
    if (!report_open()) {
        (void)fputs("plugin-init: descriptor 3 is not a report pipe\n", stderr);
        return EXIT_SETUP_FAILED;
    }
    if (error < 0) return fail("signals", -error, NULL);

    struct options options;
    char wrong[160];
    if (!options_parse(&options, argv, wrong, sizeof(wrong))) return fail("options", EINVAL, wrong);
    size_t sockets = options_sockets(&options);
    struct helpers helpers = {.egress = options.egress_count > 0 ? FIRST_LISTENER_FD + (int)sockets : -1, .adapter = -1, .prober = -1};
    if ((error = check_descriptors(sockets + (helpers.egress >= 0))) < 0) return fail("descriptors", -error, NULL);

    struct filter filter;
    if ((error = filter_read(&filter)) < 0) return fail("filter", -error, NULL);
    int signals = supervise_open_signals();
    if (signals < 0) return fail("signals", -signals, NULL);
    int notify = -1;
    if (options.ready_by_notify && (notify = notify_open()) < 0) return fail("notify", -notify, NULL);

    if (probe_wants_socket(options.probes) && (options.probe_socket = prober_listen()) < 0)
        return fail("probe-socket", -options.probe_socket, NULL);

    const char *systemd = getenv("NOTIFY_SOCKET");
    if (options.close_view && (error = view_close(&systemd)) < 0) return fail("view", -error, NULL);

    if ((error = network_open(&options, helpers.egress)) < 0) return fail("network", -error, NULL);

    struct payload payload;
    if ((error = payload_fork(&payload, &options, &filter)) < 0) return fail("fork", -error, NULL);
    /* The program's alone: calls are to be refused as soon as it is dead. */
    if (options.rpc) (void)close(options_rpc_fd(&options));
    /* After the payload, so that this is its parent's first child. */
    if (options.to_count > 0 && (helpers.adapter = adapter_fork(&options)) < 0) return fail("adapter", -helpers.adapter, NULL);
    bool asks = probe_are_asked(options.probes) || options.metrics.port > 0;
    if (asks && (helpers.prober = prober_fork(&options, &filter)) < 0)
        return fail("prober", -helpers.prober, NULL);
    /* The listeners stay open here, too: a supervisor that lost its own can get them back with pidfd_getfd(2). */
    (void)close(FILTER_FD);
    if (options.gated) {
        gate_make(options.gate, FIRST_LISTENER_FD, options.listeners);
        gate_look_as(options.uid, options.gid);
    }
    /* The child still waits: when this fails, nothing runs. */
    if ((error = supervise_give_up_privileges()) < 0) return fail("init-privileges", -error, NULL);
    return supervise(&payload, &options, &filter, helpers, signals, notify, systemd);
}

int main(int argc, char **argv) {
    (void)argc;
    int status = run(argv);
    streams_drain();
    return status;
}
