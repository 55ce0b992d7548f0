#include "init/supervise.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/capability.h"
#include "base/waiters.h"
#include "init/adapter.h"
#include "init/forbidden.h"
#include "init/gate.h"
#include "init/learn.h"
#include "init/children.h"
#include "init/notify.h"
#include "init/probing.h"
#include "init/report.h"

/*
 * SIGTERM and SIGCONT become --stop-signal; the others go on as they are. SIGCONT is how systemd asks a scope to stop:
 * it sends to every process there, and to those of the payload this one does no harm.
 */
static const int forwarded[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT};
enum { FORWARDED = sizeof(forwarded) / sizeof(forwarded[0]) };

/*
 * Changes the gate, with its new state as the signal's value: signals of one number come in the order in which they were
 * sent, those of several do not. SIGRTMIN + 1 of the kernel's and glibc's counting; src/kernel/gate-signal.ts has it, too.
 */
enum { GATE_SIGNAL = 35 };
/* Whoever sends it wants to be told again what the probes say; src/kernel/init-signal.ts has it, too. */
enum { PROBES_SIGNAL = 36 };
/* Whoever sends it wants to be told what the payload tells of itself; also there. */
enum { METRICS_SIGNAL = 37 };
/*
 * Its value is a signal for the program, which is to load anew what it has loaded. One that is not ready yet may have no
 * handler for it, and gets it when it is; src/kernel/init-signal.ts has this, too.
 */
enum { RELOAD_SIGNAL = 38 };

/* Least time between two status reports: a payload that changes it all the time must not fill the pipe. */
enum { STATUS_INTERVAL_MS = 100 };
/* After which telling systemd is tried again. Its own start timeout is the limit. */
enum { READY_RETRY_MS = 50 };
/* Children reaped in one turn: a storm of orphans leaves time for the rest. */
enum { REAP_TURN = 64 };

struct state {
    const struct options *options;
    struct payload *payload;
    struct helpers helpers;
    int signals, notify, forbidden;
    /* NOTIFY_SOCKET as nspawn set it, or NULL. */
    const char *systemd;
    bool executed;
    /* Signals that came before the program was executed: bit N is forwarded[N]. */
    unsigned int early;
    bool stopping;
    bool ready_wanted, ready_told;
    /* All ports accept to which the adapter forwards. */
    bool ports_open;
    int64_t ready_tried;
    /* The signal of a reload that waits until the program is ready; 0 for none. */
    int reload;
    struct notify_news news;
    struct probing probing;
    char last_status[STATUS_SIZE];
    int64_t status_told;
    bool more_to_reap;
    bool ended;
    /* A forbidden call was made, which ends the payload whatever its main process ended with. */
    bool violated;
    int status;
};

static int64_t now_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void handled_signals(sigset_t *set) {
    sigemptyset(set);
    sigaddset(set, SIGCHLD);
    for (int i = 0; i < FORWARDED; i++) sigaddset(set, forwarded[i]);
    sigaddset(set, GATE_SIGNAL);
    sigaddset(set, PROBES_SIGNAL);
    sigaddset(set, METRICS_SIGNAL);
    sigaddset(set, RELOAD_SIGNAL);
}

int supervise_block_signals(void) {
    sigset_t set;
    handled_signals(&set);
    /* The supervisor may be away when a report is written. */
    sigaddset(&set, SIGPIPE);
    /* A SIGCHLD that is ignored, by inheritance, would leave nothing to wait for. */
    if (signal(SIGCHLD, SIG_DFL) == SIG_ERR) return -errno;
    return sigprocmask(SIG_SETMASK, &set, NULL) < 0 ? -errno : 0;
}

int supervise_open_signals(void) {
    sigset_t set;
    handled_signals(&set);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

int supervise_give_up_privileges(void) {
    const uint64_t keep = UINT64_C(1) << CAP_KILL;
    int error = capability_bound(0);
    if (error < 0) return error;
    /* uid 0 means nothing any more, for good. */
    if (prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                                     SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED, 0, 0, 0) < 0)
        return -errno;
    error = capability_limit(keep, 0);
    if (error < 0) return error;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) return -errno;
    return 0;
}

static void tell_reload(struct state *state) {
    if (state->reload == 0 || !state->ready_told) return;
    (void)kill(state->payload->pid, state->reload);
    state->reload = 0;
}

/* Only what goes on to the program as it is: none of these is more than whoever sends it can do otherwise. */
static void reload(struct state *state, int wanted) {
    for (int i = 0; i < FORWARDED; i++)
        if (forwarded[i] == wanted && wanted != SIGTERM && wanted != SIGCONT) state->reload = wanted;
    tell_reload(state);
}

static void tell_ready(struct state *state) {
    state->ready_tried = now_ms();
    if (notify_tell_ready(state->systemd) < 0) return;
    state->ready_told = true;
    /* A supervisor that comes later has no report to read, but sees this in /proc. */
    (void)prctl(PR_SET_NAME, "plugin-ready", 0, 0, 0);
    report_ready();
    probing_ready(&state->probing, state->ready_tried);
    tell_reload(state);
}

static bool may_be_ready(const struct state *state) {
    return state->ready_wanted && state->ports_open && probing_is_started(&state->probing) && !state->ready_told;
}

static void tell_status(struct state *state) {
    state->news.status = false;
    if (strcmp(state->news.text, state->last_status) == 0) return;
    (void)memcpy(state->last_status, state->news.text, sizeof(state->last_status));
    state->status_told = now_ms();
    report_status(state->last_status);
}

static void forward(struct state *state, int which) {
    if (!state->executed) {
        state->early |= 1U << which;
        return;
    }
    /* systemd sends SIGCONT right after a SIGTERM, too. */
    if (forwarded[which] == SIGCONT && state->stopping) return;
    bool stop = forwarded[which] == SIGTERM || forwarded[which] == SIGCONT;
    if (stop && !state->stopping) {
        state->stopping = true;
        /* What comes from now on is for another sandbox. */
        if (state->helpers.adapter >= 0) (void)shutdown(state->helpers.adapter, SHUT_WR);
        probing_stop(&state->probing);
        report_stopping(forwarded[which]);
    }
    /* It may have died just now; then its end is found by the next reaping. */
    (void)kill(state->payload->pid, stop ? state->options->stop_signal : forwarded[which]);
}

/* Told each time, also when nothing changes: who asks may not know. */
static void change_gate(const struct state *state, int wanted) {
    if (!state->options->gated || wanted < 0 || wanted >= GATE_STATES) return;
    gate_set((enum gate_state)wanted);
    if (state->helpers.adapter >= 0) adapter_gate(state->helpers.adapter, (enum gate_state)wanted);
    report_gate((enum gate_state)wanted);
}

/* The error pipe spoke or ended. Returns false when nothing was executed. */
static bool learn_of_exec(struct state *state) {
    struct payload_failure failure;
    ssize_t got;
    do got = read(state->payload->errors, &failure, sizeof(failure));
    while (got < 0 && errno == EINTR);
    (void)close(state->payload->errors);
    state->payload->errors = -1;
    if (got != 0) {
        if (got != sizeof(failure)) failure = (struct payload_failure){-1, EIO};
        report_setup_failed(payload_step_name(failure.step), failure.error, NULL);
        return false;
    }
    state->executed = true;
    report_started(state->payload->pid);
    probing_executed(&state->probing);
    state->ready_wanted |= !state->options->ready_by_notify;
    for (int i = 0; i < FORWARDED; i++)
        if ((state->early >> i & 1) != 0) forward(state, i);
    return true;
}

static void learn_of_calls(struct state *state) {
    struct learned call;
    while (learn_read(state->forbidden, &call)) report_call(&call);
}

static void learn_of_forbidden(struct state *state) {
    if (state->options->learn) {
        learn_of_calls(state);
        return;
    }
    struct forbidden call;
    if (!forbidden_read(state->forbidden, &call)) return;
    state->violated = true;
    report_forbidden(&call);
}

/* A wait(2) status of what waitid(2) says. */
static int status_of(const siginfo_t *info) {
    if (info->si_code == CLD_EXITED) return W_EXITCODE(info->si_status, 0);
    return W_EXITCODE(0, info->si_status) | (info->si_code == CLD_DUMPED ? WCOREFLAG : 0);
}

/* The adapter says one word, and may end when the payload is asked to; the forwarder of --egress said its word before. */
static void learn_of_helper(struct state *state, int epoll, int fd) {
    char word[16];
    ssize_t got = recv(fd, word, sizeof(word), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    bool is_adapter = fd == state->helpers.adapter;
    if (got > 0 && is_adapter) {
        state->ports_open = true;
        return;
    }
    (void)epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
    if (is_adapter && state->stopping) return;
    report_helper_lost(is_adapter ? "adapter" : "egress");
    payload_kill(state->payload->pid);
}

static void learn_of_probes(struct state *state, int epoll) {
    if (probing_read(&state->probing)) return;
    (void)epoll_ctl(epoll, EPOLL_CTL_DEL, state->helpers.prober, NULL);
    if (state->stopping) return;
    report_helper_lost("prober");
    payload_kill(state->payload->pid);
}

/* What the payload was told of and did not take is for others now. */
static void give_way(const struct state *state) {
    if (state->helpers.adapter >= 0) (void)shutdown(state->helpers.adapter, SHUT_WR);
    size_t count = state->options->listeners + state->options->to_count;
    for (size_t i = 0; i < count; i++) wake_waiters(FIRST_LISTENER_FD + (int)i);
}

/* The main process is only looked at, and stays a zombie for as long as we live: see streams_drain(). */
static void reap(struct state *state) {
    state->more_to_reap = true;
    for (int i = 0; i < REAP_TURN && !state->ended; i++) {
        siginfo_t info = {0};
        struct rusage usage;
        /* The C library's has no room for the usage. */
        if (syscall(SYS_waitid, P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT, &usage) < 0 || info.si_pid == 0) {
            state->more_to_reap = false;
            return;
        }
        if (info.si_pid != state->payload->pid) {
            (void)waitpid(info.si_pid, NULL, WNOHANG);
            continue;
        }
        state->ended = true;
        give_way(state);
        state->status = status_of(&info);
        /* It may have been executed and gone before the pipe was looked at. */
        if (!state->executed && !learn_of_exec(state)) return;
        if (state->notify >= 0) notify_read(state->notify, &state->news);
        if (state->news.status) tell_status(state);
        learn_of_forbidden(state);
        if (state->violated) state->status = SIGSYS;
        report_exit(state->status, &usage, children_left(state->payload->pid));
    }
}

static void read_signals(struct state *state) {
    struct signalfd_siginfo info;
    while (read(state->signals, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGCHLD) state->more_to_reap = true;
        if (info.ssi_signo == PROBES_SIGNAL) probing_repeat(&state->probing);
        if (info.ssi_signo == METRICS_SIGNAL) probing_ask_metrics(&state->probing);
        if (info.ssi_signo == GATE_SIGNAL) change_gate(state, info.ssi_int);
        if (info.ssi_signo == RELOAD_SIGNAL) reload(state, info.ssi_int);
        for (int i = 0; i < FORWARDED; i++)
            if (info.ssi_signo == (unsigned int)forwarded[i]) forward(state, i);
    }
}

/* Milliseconds until something is due, -1 for never, 0 for now. */
static int due_in(const struct state *state) {
    if (state->more_to_reap) return 0;
    int64_t due = INT64_MAX, now = now_ms();
    if (may_be_ready(state)) due = state->ready_tried + READY_RETRY_MS;
    if (state->news.status && state->status_told + STATUS_INTERVAL_MS < due) due = state->status_told + STATUS_INTERVAL_MS;
    int64_t probes_due = probing_due(&state->probing);
    if (probes_due < due) due = probes_due;
    if (due == INT64_MAX) return -1;
    return due <= now ? 0 : (int)(due - now);
}

static int exit_status(const struct state *state) {
    if (!state->executed) return EXIT_SETUP_FAILED;
    if (WIFEXITED(state->status)) return WEXITSTATUS(state->status);
    /* A forbidden call looks like abort() to the outside; the report tells which it was. */
    return 128 + (WTERMSIG(state->status) == SIGSYS ? SIGABRT : WTERMSIG(state->status));
}

static int watch(int epoll, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int supervise(struct payload *payload, const struct options *options, const struct filter *filter,
              struct helpers helpers, int signals, int notify, const char *systemd) {
    struct state state = {.options = options, .payload = payload, .helpers = helpers, .signals = signals,
                          .notify = notify, .systemd = systemd, .ports_open = helpers.adapter < 0};
    state.forbidden = options->learn ? learn_watch(payload->handover, filter) : forbidden_watch(payload->handover, payload->pid);
    /* The thread has its own by now. */
    if (options->gated) gate_look_as(0, 0);
    probing_open(&state.probing, options, helpers.prober);
    state.ready_tried = state.status_told = now_ms() - STATUS_INTERVAL_MS;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int error = epoll < 0 ? -errno : state.forbidden < 0 ? state.forbidden : 0;
    if (error == 0) error = watch(epoll, signals);
    if (error == 0) error = watch(epoll, payload->errors);
    if (error == 0) error = watch(epoll, state.forbidden);
    if (error == 0 && notify >= 0) error = watch(epoll, notify);
    if (error == 0 && helpers.egress >= 0) error = watch(epoll, helpers.egress);
    if (error == 0 && helpers.adapter >= 0) error = watch(epoll, helpers.adapter);
    if (error == 0 && helpers.prober >= 0) error = watch(epoll, helpers.prober);
    if (error == 0 && write(payload->gate, "", 1) != 1) error = -errno;
    (void)close(payload->gate);
    if (error < 0) {
        report_setup_failed("loop", -error, NULL);
        return EXIT_SETUP_FAILED;
    }

    while (!state.ended) {
        struct epoll_event events[8];
        int count = epoll_wait(epoll, events, 8, due_in(&state));
        for (int i = 0; i < count && !state.ended; i++) {
            int fd = events[i].data.fd;
            if (fd == payload->errors && !learn_of_exec(&state)) return EXIT_SETUP_FAILED;
            if (fd == signals) read_signals(&state);
            if (fd == state.forbidden) learn_of_forbidden(&state);
            if (fd == notify) notify_read(notify, &state.news);
            if (fd == helpers.prober) learn_of_probes(&state, epoll);
            if (fd == helpers.egress || fd == helpers.adapter) learn_of_helper(&state, epoll, fd);
        }
        state.ready_wanted |= state.news.ready;
        if (may_be_ready(&state) && state.ready_tried + READY_RETRY_MS <= now_ms()) tell_ready(&state);
        probing_turn(&state.probing, state.news.watchdog, now_ms());
        state.news.watchdog = false;
        char why[160];
        if (probing_start_failed(&state.probing, why, sizeof(why))) {
            report_setup_failed("startup-probe", ETIMEDOUT, why);
            return EXIT_SETUP_FAILED;
        }
        if (state.news.status && state.status_told + STATUS_INTERVAL_MS <= now_ms()) tell_status(&state);
        if (state.more_to_reap) reap(&state);
    }
    return exit_status(&state);
}
