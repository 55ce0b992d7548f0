/*
 * One spawn, step by step. Whatever fails is told by its step, and the child ends: killed here, or by itself at the gate
 * when this process is gone. What may be slow, a source on a dead network file system say, delays this spawn alone.
 */
#include "spawner/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/connection.h"
#include "base/text.h"
#include "spawner/child.h"
#include "spawner/helper.h"
#include "spawner/request.h"
#include "spawner/scope.h"

/* For the request to be whole; for the scope to be there; for init to be executed then. */
enum { REQUEST_MS = 5000, SCOPE_MS = 60000, START_MS = 10000 };
/* After which this process ends, wherever it is stuck. */
enum { WHOLE_S = 120 };
/* Report pipe and filter are always there. */
enum { REPORT = 0, LEAST_FDS = 2 };

static struct {
    struct connection connection;
    struct request request;
    struct box box;
    struct sources sources;
    pid_t pid;
    int pidfd;
    /* Ours: a byte for each turn of the child. */
    int gate;
    /* The child's: what failed, or its end. */
    int status;
    bool reports;
    /* The forwarder beside the child, if there is one, and its gate. */
    pid_t helper;
    int helper_gate;
} spawn;

static void answer(const char *text, size_t length) {
    /* A supervisor that has gone will see what became of it by other means. */
    (void)connection_send(&spawn.connection, text, length);
}

__attribute__((noreturn)) static void end(void) {
    if (spawn.pid > 0) (void)syscall(SYS_pidfd_send_signal, spawn.pidfd, SIGKILL, NULL, 0);
    exit(EXIT_FAILURE);
}

/* In the words of init's own reports; a full or closed pipe loses it. */
static void report(const char *step, int error, const char *text) {
    char quoted[2 * 1024 + 1], line[4096];
    text_quote(text, quoted, sizeof(quoted));
    int length = snprintf(line, sizeof(line), "{\"event\":\"setup-failed\",\"step\":\"%s\",\"errno\":%d,\"error\":\"%s\"}\n",
                          step, error, quoted);
    if (length > 0 && (size_t)length < sizeof(line)) (void)!write(spawn.connection.fds[REPORT], line, (size_t)length);
}

__attribute__((noreturn)) static void fail(enum step step, int error, const char *detail) {
    char text[1024], clean[1024], line[1400];
    if (detail == NULL)
        (void)snprintf(text, sizeof(text), "%s", strerror(error));
    else
        (void)snprintf(text, sizeof(text), "%.900s: %s", detail, strerror(error));
    (void)text_clean(text, strlen(text), clean, sizeof(clean));
    int length = snprintf(line, sizeof(line), "failed %s %d %s\n", step_name(step), error, clean);
    if (spawn.reports) report(step_name(step), error, clean);
    answer(line, (size_t)length);
    (void)fprintf(stderr, "%s: failed at '%s': %s\n", spawn.request.unit[0] == '\0' ? "a request" : spawn.request.unit,
                  step_name(step), clean);
    end();
}

static void check(struct failure failure) {
    if (failure.error == 0) return;
    const char *detail = failure.step == STEP_ROOT ? spawn.box.root : NULL;
    if (failure.mount >= 0 && (size_t)failure.mount < spawn.box.mount_count) {
        const struct box_mount *mount = &spawn.box.mounts[failure.mount];
        detail = failure.step == STEP_MOUNT ? mount->target : mount->source;
    }
    fail(failure.step, failure.error, detail);
}

/* Nothing that is written into it may ever block. */
static void take_report_pipe(void) {
    if (spawn.connection.fd_count < LEAST_FDS) fail(STEP_DESCRIPTORS, EBADF, "report pipe and filter are missing");
    int fd = spawn.connection.fds[REPORT], flags = fcntl(fd, F_GETFL);
    struct stat status;
    if (flags < 0 || fstat(fd, &status) < 0) fail(STEP_DESCRIPTORS, errno, NULL);
    if (!S_ISFIFO(status.st_mode) || (flags & O_ACCMODE) == O_RDONLY) fail(STEP_DESCRIPTORS, EBADF, "the first is no pipe to write to");
    if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) fail(STEP_DESCRIPTORS, errno, NULL);
    spawn.reports = true;
}

/* What is free to be killed dies before anything else, and cannot change that: only here may it be lowered again. */
static void raise_oom_score(void) {
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "1000", 4) != 4) fail(STEP_OOM_SCORE, errno, NULL);
    (void)close(fd);
}

/* Init gets its end of the socket behind all other descriptors. */
static void start_helper(void) {
    if (spawn.box.forwarder_count == 0) return;
    if (spawn.connection.fd_count == CONNECTION_MAX_FDS) fail(STEP_FORWARDER, E2BIG, NULL);
    int control;
    spawn.helper = helper_start(&spawn.box, spawn.sources.journal, &control, &spawn.helper_gate);
    if (spawn.helper < 0) fail(STEP_FORWARDER, -spawn.helper, NULL);
    spawn.connection.fds[spawn.connection.fd_count++] = control;
}

static void clone_child(void) {
    int gate[2], status[2];
    if (pipe2(gate, O_CLOEXEC) < 0 || pipe2(status, O_CLOEXEC) < 0) fail(STEP_CLONE, errno, NULL);
    /* A network namespace takes longer to make than all others: the child makes it, while its scope is registered. */
    uint64_t namespaces = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS;
    struct clone_args arguments = {
        .flags = namespaces | CLONE_PIDFD, .pidfd = (uintptr_t)&spawn.pidfd, .exit_signal = SIGCHLD};
    pid_t pid = (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));
    if (pid < 0) fail(STEP_CLONE, errno, NULL);
    if (pid == 0) {
        /* Above all its own copy of the gate's other end, which would hold the gate open for ever. */
        (void)close(gate[1]);
        (void)close(status[0]);
        (void)close(spawn.connection.fd);
        struct child child = {.box = &spawn.box,
                              .sources = &spawn.sources,
                              .fds = spawn.connection.fds,
                              .fd_count = spawn.connection.fd_count,
                              .gate = gate[0],
                              .status = status[1]};
        child_run(&child);
    }
    (void)close(gate[0]);
    (void)close(status[1]);
    spawn.pid = pid;
    spawn.gate = gate[1];
    spawn.status = status[0];
}

/* Opens a file of the child in /proc: it is our own child and not waited for, so the pid is still its own. */
static int open_of_child(const char *name, int flags) {
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/%s", spawn.pid, name);
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0) fail(STEP_ID_MAP, errno, name);
    return fd;
}

static void map_ids(void) {
    static const char *const files[] = {"uid_map", "gid_map"};
    char map[64];
    int length = snprintf(map, sizeof(map), "0 %u %d\n", spawn.box.id_base, ID_RANGE);
    for (int i = 0; i < 2; i++) {
        int fd = open_of_child(files[i], O_WRONLY);
        if (write(fd, map, (size_t)length) != length) fail(STEP_ID_MAP, errno, files[i]);
        (void)close(fd);
    }
    int namespace = open_of_child("ns/user", O_RDONLY);
    check(sources_map_ids(&spawn.sources, &spawn.box, namespace));
    (void)close(namespace);
}

/* What the child has said so far. False: it is at the end, which is what execve(2) brings about, or death. */
static bool child_lives_unexecuted(void) {
    struct failure failure;
    ssize_t got;
    do got = read(spawn.status, &failure, sizeof(failure));
    while (got < 0 && errno == EINTR);
    if (got == 0) return false;
    if (got != sizeof(failure)) fail(STEP_GATE, EIO, NULL);
    check(failure);
    return true;
}

static void open_gate(void) {
    if (write(spawn.gate, "", 1) == 1) return;
    int error = errno;
    /* It is gone, and may have said why. */
    while (child_lives_unexecuted()) continue;
    fail(STEP_GATE, error, NULL);
}

/* The supervisor's word, while a child that fails is heard at once. */
static void await_go(void) {
    int64_t deadline = now_ms() + SCOPE_MS;
    char expected[sizeof(spawn.request.unit) + 8];
    (void)snprintf(expected, sizeof(expected), "go %s", spawn.request.unit);
    for (;;) {
        char *line;
        size_t length;
        switch (connection_line(&spawn.connection, &line, &length)) {
            case CONNECTION_LINE:
                if (strcmp(line, expected) != 0 || strlen(line) != length) fail(STEP_REQUEST, EPROTO, "what came is not the unit's 'go'");
                return;
            case CONNECTION_CLOSED:
                end();
            case CONNECTION_MALFORMED:
                fail(STEP_REQUEST, EPROTO, "what came is not the unit's 'go'");
            case CONNECTION_EMPTY:
                break;
        }
        int64_t left = deadline - now_ms();
        if (left <= 0) fail(STEP_REQUEST, ETIMEDOUT, "no 'go' came");
        struct pollfd polled[] = {{.fd = spawn.connection.fd, .events = POLLIN}, {.fd = spawn.status, .events = POLLIN}};
        if (poll(polled, 2, (int)left) <= 0) continue;
        if (polled[1].revents != 0 && !child_lives_unexecuted()) fail(STEP_GATE, ECHILD, "it died before its unit was there");
    }
}

static void check_scope(pid_t pid) {
    char seen[512];
    int error = scope_of(pid, seen, sizeof(seen));
    if (error < 0) fail(STEP_SCOPE, -error, NULL);
    if (strcmp(seen, spawn.request.unit) != 0) fail(STEP_SCOPE, EXDEV, seen);
}

/* It is our own child and not waited for, so the pid is still its own. */
static void let_helper_go(void) {
    if (spawn.helper == 0) return;
    check_scope(spawn.helper);
    if (write(spawn.helper_gate, "", 1) != 1) fail(STEP_FORWARDER, errno, NULL);
}

static void await_start(void) {
    int64_t deadline = now_ms() + START_MS;
    do {
        if (!wait_readable(spawn.status, deadline)) fail(STEP_GATE, ETIMEDOUT, "init was not executed in time");
    } while (child_lives_unexecuted());
}

void spawn_serve(int fd) {
    /* SIGALRM is left at its default, which ends the process. */
    (void)alarm(WHOLE_S);
    spawn.connection = (struct connection){.fd = fd};
    const char *wrong;
    enum request_result result = request_read(&spawn.connection, &spawn.request, now_ms() + REQUEST_MS, &wrong);
    if (result == REQUEST_GONE) end();
    if (result == REQUEST_WRONG) fail(STEP_REQUEST, EPROTO, wrong);
    take_report_pipe();
    char text[128];
    if (!box_parse(&spawn.box, spawn.request.words, text, sizeof(text))) fail(STEP_OPTIONS, EINVAL, text);
    check(sources_open(&spawn.sources, &spawn.box));
    start_helper();
    raise_oom_score();
    clone_child();
    map_ids();
    open_gate();
    char line[48];
    int length = spawn.helper == 0 ? snprintf(line, sizeof(line), "cloned %d\n", spawn.pid)
                                   : snprintf(line, sizeof(line), "cloned %d %d\n", spawn.pid, spawn.helper);
    answer(line, (size_t)length);

    await_go();
    check_scope(spawn.pid);
    let_helper_go();
    open_gate();
    await_start();
    answer("started\n", 8);
}
