/*
 * plugin-spawner: makes sandboxes of isolation 'scope' for the supervisor. docs/internals.md has the protocol.
 *
 * Each connection is served by a process of its own, so that nothing that one spawn waits for delays another. This one
 * only accepts, and buries.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/datagram.h"
#include "spawner/spawn.h"

#define SOCKET_PATH "/run/bulkhead/spawn.sock"

/* Spawns at the same time; more wait in the socket's queue. */
enum { MAX_WORKERS = 64, BACKLOG = 256, RETRY_MS = 10 };

static struct {
    int listener;
    int signals;
    unsigned int workers;
    bool stopping;
} spawner;

__attribute__((noreturn)) static void die(const char *what) {
    (void)fprintf(stderr, "plugin-spawner: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

/*
 * All that init asks for is blocked from here on, and stays so in children until init does ask: whoever stops a sandbox
 * at its very beginning is heard.
 */
static int open_signals(void) {
    static const int blocked[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT, SIGCHLD, SIGPIPE};
    sigset_t set, read;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(blocked) / sizeof(blocked[0]); i++) sigaddset(&set, blocked[i]);
    sigemptyset(&read);
    sigaddset(&read, SIGTERM);
    sigaddset(&read, SIGCHLD);
    /* A SIGCHLD that is ignored, by inheritance, would leave nothing to wait for. */
    if (signal(SIGCHLD, SIG_DFL) == SIG_ERR || sigprocmask(SIG_SETMASK, &set, NULL) < 0) die("no signals");
    int fd = signalfd(-1, &read, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0) die("no signals");
    return fd;
}

/* A socket that a former one has left is replaced. */
static int open_listener(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SOCKET_PATH};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) die("no socket");
    if (unlink(SOCKET_PATH) < 0 && errno != ENOENT) die(SOCKET_PATH);
    (void)umask(0177);
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, BACKLOG) < 0) die(SOCKET_PATH);
    return fd;
}

static void tell_systemd(const char *text) {
    const char *path = getenv("NOTIFY_SOCKET");
    if (path == NULL) return;
    int error = datagram_send(path, text, strlen(text), NULL, 0, MSG_DONTWAIT);
    if (error < 0) (void)fprintf(stderr, "plugin-spawner: systemd was not told: %s, ignoring\n", strerror(-error));
}

static bool is_root(int fd) {
    struct ucred peer;
    socklen_t length = sizeof(peer);
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.uid == 0;
}

static void accept_one(void) {
    int fd = accept4(spawner.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        /* Out of memory or of descriptors, or the client has gone: others are worth waiting a moment for. */
        (void)poll(NULL, 0, RETRY_MS);
        return;
    }
    if (!is_root(fd)) {
        (void)close(fd);
        return;
    }
    pid_t self = getpid(), pid = fork();
    if (pid == 0) {
        /* One that outlived its daemon would keep systemd from starting the next one. */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != self) exit(EXIT_FAILURE);
        (void)close(spawner.listener);
        (void)close(spawner.signals);
        spawn_serve(fd);
        exit(EXIT_SUCCESS);
    }
    if (pid > 0)
        spawner.workers++;
    else
        (void)fprintf(stderr, "plugin-spawner: no process for a request: %s\n", strerror(errno));
    (void)close(fd);
}

static void bury(void) {
    int status;
    while (waitpid(-1, &status, WNOHANG) > 0) {
        spawner.workers--;
        if (WIFSIGNALED(status))
            (void)fprintf(stderr, "plugin-spawner: a request's process was ended by signal %d\n", WTERMSIG(status));
    }
}

static void read_signals(void) {
    struct signalfd_siginfo info;
    while (read(spawner.signals, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo != SIGTERM || spawner.stopping) continue;
        /* What is under way is brought to its end; for the next ones there will be another daemon. */
        spawner.stopping = true;
        (void)close(spawner.listener);
        tell_systemd("STOPPING=1");
    }
    bury();
}

int main(void) {
    /* Closed ones would be taken by the next file that is opened. */
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd) return EXIT_FAILURE;
    spawner.signals = open_signals();
    spawner.listener = open_listener();
    tell_systemd("READY=1");
    while (!spawner.stopping || spawner.workers > 0) {
        bool accepts = !spawner.stopping && spawner.workers < MAX_WORKERS;
        struct pollfd polled[] = {{.fd = spawner.signals, .events = POLLIN},
                                  {.fd = accepts ? spawner.listener : -1, .events = POLLIN}};
        if (poll(polled, 2, -1) < 0) continue;
        if (polled[0].revents != 0) read_signals();
        if (polled[1].revents != 0 && !spawner.stopping) accept_one();
    }
    return EXIT_SUCCESS;
}
