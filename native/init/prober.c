/*
 * The prober asks by processes of their own, one for each question, and does not read what the payload answers: a
 * question that hangs is killed, and one that is taken over by its answer has nothing. Only for commands, which become
 * what the payload is, the prober keeps the privileges that init had; it hears nothing then but how children ended.
 */
#include "init/prober.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/capability.h"
#include "forward/confine.h"
#include "init/ask.h"
#include "init/payload.h"
#include "init/scrape.h"

enum { CONTROL_FD = 3 };
/* Connections of probes that nobody took wait here. */
enum { BACKLOG = 16 };
/* Who wakes so much after its time (ms) was starved, frozen or paused, and the payload probably with it. */
enum { LATE_MS = 250 };
/* A question that was killed has gone in this time, unless the kernel holds it. */
enum { STUCK_MS = 1000 };

/* A question that is under way, and what is known by those before. */
struct round {
    const struct probe *probe;
    struct probe_state state;
    bool on;
    /* 0: none is under way. */
    pid_t pid;
    int pidfd, answer;
    /* It was ended for its time; the outcome is known. */
    bool ended;
    int64_t due, deadline;
};

struct prober {
    const struct options *options;
    const struct filter *filter;
    bool privileged;
    struct round rounds[PROBE_COUNT];
    struct scrape scrape;
};

static int64_t now_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int prober_listen(void) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = PROBE_PATH};
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && chmod(PROBE_PATH, 0666) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int error = -errno;
    (void)close(fd);
    return error;
}

static void tell(int name, const struct round *round, struct outcome outcome) {
    struct probe_news news = {.name = name, .state = round->state, .outcome = outcome};
    /* Init reads whenever it is not about to end. */
    if (send(CONTROL_FD, &news, sizeof(news), MSG_NOSIGNAL) != sizeof(news)) _exit(0);
}

static void judge(struct prober *prober, int name, struct outcome outcome) {
    struct round *round = &prober->rounds[name];
    if (!probe_judge(round->probe, &round->state, outcome)) return;
    tell(name, round, outcome);
    /* It has done what it is for. */
    if (name == PROBE_STARTUP && round->state.known) round->on = false;
}

/* The child: asks, and says what came of it; of a command that runs, its end says it. */
static void ask(const struct prober *prober, const struct probe *probe, int answer) {
    struct outcome outcome;
    int error = 0;
    if (probe->kind == PROBE_COMMAND) {
        outcome = ask_by_command(probe, prober->options, prober->filter);
    } else {
        if (prober->privileged) error = confine(PROBER_ID, CONFINE_PROBER);
        outcome = error < 0 ? (struct outcome){OUTCOME_NO_MEANS, -error} : ask_by_connection(probe);
    }
    _exit(write(answer, &outcome, sizeof(outcome)) == sizeof(outcome) ? 0 : EXIT_SETUP_FAILED);
}

static void begin(struct prober *prober, int name, int64_t now) {
    struct round *round = &prober->rounds[name];
    if (round->pid > 0 && now < round->deadline + STUCK_MS) {
        round->due = round->deadline + STUCK_MS;
        return;
    }
    round->due = now + (int64_t)round->probe->every_ms;
    if (round->pid > 0) {
        judge(prober, name, (struct outcome){OUTCOME_STUCK, 0});
        return;
    }
    int answer[2];
    if (pipe2(answer, O_CLOEXEC | O_NONBLOCK) < 0) {
        judge(prober, name, (struct outcome){OUTCOME_NO_MEANS, errno});
        return;
    }
    pid_t pid = fork();
    if (pid == 0) ask(prober, round->probe, answer[1]);
    int error = errno;
    (void)close(answer[1]);
    if (pid < 0) {
        (void)close(answer[0]);
        judge(prober, name, (struct outcome){OUTCOME_NO_FORK, error});
        return;
    }
    round->pid = pid;
    round->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    round->answer = answer[0];
    round->ended = false;
    round->deadline = now + (int64_t)round->probe->timeout_ms;
}

/* Not only the one that was asked, also what a command left behind in its group. */
static void end(const struct round *round) {
    if (round->probe->kind == PROBE_COMMAND) (void)kill(-round->pid, SIGKILL);
    (void)kill(round->pid, SIGKILL);
}

static struct outcome outcome_of(const struct round *round, const siginfo_t *info) {
    struct outcome outcome;
    bool told = read(round->answer, &outcome, sizeof(outcome)) == sizeof(outcome);
    if (told && outcome.kind >= 0 && outcome.kind < OUTCOME_KINDS) return outcome;
    if (info->si_code != CLD_EXITED) return (struct outcome){OUTCOME_KILLED, info->si_status};
    if (round->probe->kind == PROBE_COMMAND && info->si_status == 0) return (struct outcome){OUTCOME_PASSED, 0};
    return (struct outcome){OUTCOME_EXITED, info->si_status};
}

/* Nothing happens while it still runs. */
static void finish(struct prober *prober, int name) {
    struct round *round = &prober->rounds[name];
    siginfo_t info = {0};
    if (waitid(P_PID, (id_t)round->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0) return;
    struct outcome outcome = outcome_of(round, &info);
    /* While its number is still its own. */
    end(round);
    (void)waitpid(round->pid, NULL, 0);
    if (round->pidfd >= 0) (void)close(round->pidfd);
    (void)close(round->answer);
    round->pid = 0;
    if (!round->ended) judge(prober, name, outcome);
}

/* One question at a time; one that was ended for its time and does not end is told of instead of another one. */
static bool may_begin(const struct round *round) { return round->pid == 0 || round->ended; }

static void look_at_scrape(struct prober *prober) {
    struct metrics metrics;
    int64_t now = now_ms();
    if (scrape_look(&prober->scrape, now, &metrics) && send(CONTROL_FD, &metrics, sizeof(metrics), MSG_NOSIGNAL) != sizeof(metrics))
        _exit(0);
    scrape_begin(&prober->scrape, prober->privileged, now);
}

static void look(struct prober *prober, int64_t late) {
    for (int name = 0; name < PROBE_COUNT; name++) {
        struct round *round = &prober->rounds[name];
        if (round->pid > 0) finish(prober, name);
        int64_t now = now_ms();
        if (round->pid > 0 && !round->ended && round->deadline <= now) {
            round->ended = true;
            end(round);
            judge(prober, name, late > LATE_MS ? (struct outcome){OUTCOME_LATE, (int)(late < 86400000 ? late : 86400000)}
                                               : (struct outcome){OUTCOME_TIMEOUT, (int)round->probe->timeout_ms});
        }
        if (round->on && round->due <= now && may_begin(round)) begin(prober, name, now);
    }
}

static void start(struct prober *prober, int first, int last) {
    for (int name = first; name <= last; name++) {
        prober->rounds[name].on = probe_is_asked(prober->rounds[name].probe);
        prober->rounds[name].due = now_ms();
    }
}

/* What init says; its end, or the end of its patience, is the end here, too. */
static void hear(struct prober *prober) {
    char word;
    ssize_t got = recv(CONTROL_FD, &word, 1, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got > 0 && word == PROBER_EXECUTED) start(prober, PROBE_STARTUP, PROBE_STARTUP);
    if (got > 0 && word == PROBER_READY) start(prober, PROBE_READINESS, PROBE_LIVENESS);
    if (got > 0 && word == PROBER_METRICS) prober->scrape.wanted = prober->scrape.source->port > 0;
    if (got > 0) return;
    scrape_end(&prober->scrape);
    for (int name = 0; name < PROBE_COUNT; name++)
        if (prober->rounds[name].pid > 0) end(&prober->rounds[name]);
    _exit(0);
}

static int64_t next_due(const struct prober *prober) {
    int64_t due = scrape_due(&prober->scrape);
    for (int name = 0; name < PROBE_COUNT; name++) {
        const struct round *round = &prober->rounds[name];
        if (round->on && may_begin(round) && round->due < due) due = round->due;
        if (round->pid > 0 && !round->ended && round->deadline < due) due = round->deadline;
    }
    return due;
}

static void run(struct prober *prober) {
    for (;;) {
        struct pollfd polled[2 + PROBE_COUNT] = {{.fd = CONTROL_FD, .events = POLLIN}};
        for (int name = 0; name < PROBE_COUNT; name++)
            polled[1 + name] = (struct pollfd){.fd = prober->rounds[name].pid > 0 ? prober->rounds[name].pidfd : -1, .events = POLLIN};
        polled[1 + PROBE_COUNT] = (struct pollfd){.fd = prober->scrape.pid > 0 ? prober->scrape.pidfd : -1, .events = POLLIN};
        int64_t due = next_due(prober), left = due == INT64_MAX ? -1 : due - now_ms();
        (void)poll(polled, 2 + PROBE_COUNT, due == INT64_MAX ? -1 : left > 0 ? (int)left : 0);
        int64_t now = now_ms();
        if (polled[0].revents != 0) hear(prober);
        look(prober, due < now ? now - due : 0);
        look_at_scrape(prober);
    }
}

/* All but standard streams and the socket to init. */
static int keep_descriptors(int socket) {
    if (dup2(socket, CONTROL_FD) < 0 || fcntl(CONTROL_FD, F_SETFD, FD_CLOEXEC) < 0) return -errno;
    return syscall(SYS_close_range, CONTROL_FD + 1, ~0U, 0) < 0 ? -errno : 0;
}

static int set_up(struct prober *prober, int socket) {
    int error = keep_descriptors(socket);
    if (error < 0) return error;
    if (setsid() < 0 || prctl(PR_SET_NAME, "plugin-prober") < 0) return -errno;
    if (!prober->privileged) return confine(PROBER_ID, CONFINE_PROBER);
    const uint64_t own = UINT64_C(1) << CAP_SETUID | UINT64_C(1) << CAP_SETGID | UINT64_C(1) << CAP_SETPCAP | UINT64_C(1) << CAP_KILL;
    error = capability_limit(own | prober->options->capabilities, 0);
    if (error < 0) return error;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? -errno : 0;
}

int prober_fork(const struct options *options, const struct filter *filter) {
    static struct prober prober;
    int sockets[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0) return -errno;
    prober.options = options;
    prober.filter = filter;
    prober.scrape.source = &options->metrics;
    for (int name = 0; name < PROBE_COUNT; name++) {
        prober.rounds[name].probe = &options->probes[name];
        prober.privileged |= options->probes[name].kind == PROBE_COMMAND;
    }
    pid_t pid = fork();
    if (pid < 0) return -errno;
    if (pid > 0) {
        (void)close(sockets[1]);
        return sockets[0];
    }
    int error = set_up(&prober, sockets[1]);
    if (error == 0) run(&prober);
    (void)fprintf(stderr, "plugin-init: the prober ends: %s\n", strerror(-error));
    _exit(EXIT_SETUP_FAILED);
}
