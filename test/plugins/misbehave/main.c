/* A plugin that serves HTTP well, until it is asked for something else: GET /do/ACT?n=AMOUNT does what acts.h lists. A
 * request may say how long its client waits (Deadline-Ms: N) and which one it is (Trace: 32 hex digits).
 *
 *   main [--at-start=ACT[:AMOUNT]] [--never-ready] [--ignore-term] [--watchdog]
 *
 * Threads serve; the main thread is the loop that tells the activity page that it is alive. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "acts.h"
#include "page.h"

enum { FIRST_FD = 3, LISTENERS = 16, WORKERS = 4, REQUEST = 4096, TICK_MS = 1000, PATIENCE_SEC = 5 };

struct request {
    char path[64];
    int amount;
    uint64_t deadline_ms;
    uint8_t trace[16];
};

volatile struct manners manners;

static int listeners;
static bool probed[LISTENERS];
static int stopping[2]; /* A pipe: readable as soon as this program is asked to stop. */
static int in_hand;

static const struct act *find_act(const char *name) {
    const struct act *const lists[] = {DEATHS, GREED, STUCK, ANSWERS};
    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
        for (const struct act *act = lists[i]; act->name != NULL; act++)
            if (strcmp(act->name, name) == 0) return act;
    return NULL;
}

struct task {
    void (*function)(int);
    int amount;
};

static void *run_task(void *given) {
    struct task task = *(struct task *)given;
    free(given);
    task.function(task.amount);
    return NULL;
}

void in_background(void (*function)(int), int amount) {
    pthread_t thread;
    struct task *task = malloc(sizeof(*task));
    if (task == NULL) return;
    *task = (struct task){function, amount};
    if (pthread_create(&thread, NULL, run_task, task) == 0) (void)pthread_detach(thread);
}

static void tell(const char *words) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path == NULL || strlen(path) >= sizeof(address.sun_path)) return;
    memcpy(address.sun_path, path, strlen(path));
    if (*path == '@') address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    (void)sendto(fd, words, strlen(words), MSG_NOSIGNAL, (struct sockaddr *)&address, length);
    (void)close(fd);
}

static bool receive(int fd, struct request *request) {
    char text[REQUEST + 1];
    size_t length = 0;
    const struct timeval patience = {.tv_sec = PATIENCE_SEC};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    do {
        ssize_t count = recv(fd, text + length, REQUEST - length, 0);
        if (count <= 0) return false;
        length += (size_t)count;
        text[length] = '\0';
    } while (strstr(text, "\r\n\r\n") == NULL);
    *request = (struct request){0};
    if (sscanf(text, "GET %63[^ ?]?n=%d", request->path, &request->amount) < 1) return false;
    const char *deadline = strstr(text, "\r\nDeadline-Ms: "), *trace = strstr(text, "\r\nTrace: ");
    if (deadline != NULL) request->deadline_ms = strtoull(deadline + 15, NULL, 10);
    for (size_t i = 0; trace != NULL && i < sizeof(request->trace); i++)
        (void)sscanf(trace + 9 + 2 * i, "%2hhx", &request->trace[i]);
    return true;
}

/* Says which sandbox it is, so that clients can tell one from the next. */
static void answer(int fd, bool well) {
    const char *sandbox = getenv("BULKHEAD_SANDBOX");
    char text[512];
    if (sandbox == NULL) sandbox = "no sandbox";
    int length = snprintf(text, sizeof(text), "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s\n",
                          well ? "200 OK" : "503 Service Unavailable", strlen(sandbox) + 1, sandbox);
    if (length < (int)sizeof(text)) (void)send(fd, text, (size_t)length, MSG_NOSIGNAL);
}

static bool flaps_now(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return manners.flapping > 0 && (now.tv_sec * 1000 + now.tv_nsec / 1000000) / manners.flapping % 2 != 0;
}

/* Whether it is one of the paths that probes ask for, and is answered. */
static bool answered_probe(int fd, const struct request *request) {
    if (strcmp(request->path, "/ready") == 0) answer(fd, !manners.unready && !flaps_now());
    else if (strcmp(request->path, "/healthz") == 0) answer(fd, !manners.unhealthy);
    else return false;
    return true;
}

/* Evenly: of each hundred as many as were asked for. */
static bool answers_well(void) {
    static unsigned int answered;
    unsigned int number = __atomic_fetch_add(&answered, 1, __ATOMIC_RELAXED) % 100;
    return (int)(number * 37 % 100) >= manners.bad_percent;
}

/* What is left when the workers are dead: health checks pass, as ever. */
static void answer_probes(int unused);

/* True: the connection is to be kept open, without an answer. */
static bool serve(int fd, int slot) {
    struct request request;
    if (!receive(fd, &request)) return false;
    if (manners.silent) return true;
    if (answered_probe(fd, &request)) return false;
    const struct act *act = strncmp(request.path, "/do/", 4) == 0 ? find_act(request.path + 4) : NULL;
    page_begin(slot, request.path + 1, request.trace, request.deadline_ms);
    if (act != NULL) act->run(request.amount, slot);
    if (manners.workers_dead) {
        in_background(answer_probes, 0);
        pthread_exit(NULL);
    }
    if (manners.slowed > 0) (void)usleep((useconds_t)manners.slowed * 1000);
    bool well = answers_well();
    page_end(slot, well);
    answer(fd, well);
    return false;
}

/* The next connection; -1 when there is none. Never waits in accept(): all sandboxes take from the same sockets. */
static int next_connection(bool only_probes) {
    struct pollfd polled[LISTENERS + 1] = {{.fd = stopping[0], .events = POLLIN}};
    for (int i = 0; i < listeners; i++)
        polled[i + 1] = (struct pollfd){.fd = only_probes && !probed[i] ? -1 : FIRST_FD + i, .events = POLLIN};
    if (poll(polled, (nfds_t)listeners + 1, -1) <= 0 || polled[0].revents != 0) return -1;
    for (int i = 1; i <= listeners; i++) {
        int fd = polled[i].revents == 0 ? -1 : accept4(polled[i].fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) return fd;
    }
    return -1;
}

static bool is_stopping(void) {
    struct pollfd polled = {.fd = stopping[0], .events = POLLIN};
    return poll(&polled, 1, 0) > 0;
}

static void answer_probes(int unused) {
    (void)unused;
    struct request request;
    while (!is_stopping()) {
        int fd = next_connection(true);
        if (fd >= 0 && receive(fd, &request)) (void)answered_probe(fd, &request);
        (void)close(fd);
    }
}

static void work(int slot) {
    while (!is_stopping() && !manners.workers_dead) {
        int fd = next_connection(false);
        if (fd < 0) continue;
        (void)__atomic_add_fetch(&in_hand, 1, __ATOMIC_RELAXED);
        if (!serve(fd, slot)) (void)close(fd);
        (void)__atomic_sub_fetch(&in_hand, 1, __ATOMIC_RELAXED);
    }
}

static void on_sigterm(int number) {
    (void)number;
    (void)!write(stopping[1], "", 1);
}

static void take_listeners(void) {
    const char *count = getenv("LISTEN_FDS"), *names = getenv("LISTEN_FDNAMES");
    listeners = count == NULL ? 0 : atoi(count);
    if (listeners < 0 || listeners > LISTENERS) exit(1);
    for (int i = 0; i < listeners; i++) {
        size_t length = names == NULL ? 0 : strcspn(names, ":");
        probed[i] = length == strlen("probe") && strncmp(names, "probe", length) == 0;
        (void)fcntl(FIRST_FD + i, F_SETFL, fcntl(FIRST_FD + i, F_GETFL) | O_NONBLOCK);
        if (names != NULL) names += length + (names[length] == ':');
    }
}

/* Each in a slot of its own, as in a program that serves many requests in one loop. */
static int take_over(int taken) {
    static const uint8_t no_trace[16];
    while (taken < manners.forgotten) page_begin(WORKERS + taken++, "forgotten", no_trace, 0);
    return taken;
}

static void act_at_start(const char *words) {
    char name[64] = "";
    int amount = 0;
    (void)sscanf(words, "%63[^:]:%d", name, &amount);
    const struct act *act = find_act(name);
    if (act == NULL) exit(64);
    act->run(amount, 0);
}

int main(int argc, char **argv) {
    bool ready = true, watchdog = false;
    sigset_t term, none;
    (void)sigemptyset(&term);
    (void)sigaddset(&term, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &term, &none);
    (void)sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_sigterm}, NULL);
    if (pipe2(stopping, O_CLOEXEC) != 0) return 1;
    take_listeners();
    page_open();
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--at-start=", 11) == 0) act_at_start(argv[i] + 11);
        else if (strcmp(argv[i], "--never-ready") == 0) ready = false;
        else if (strcmp(argv[i], "--ignore-term") == 0) (void)signal(SIGTERM, SIG_IGN);
        else if (strcmp(argv[i], "--watchdog") == 0) watchdog = true;
        else return 64;
    }
    for (int slot = 0; slot < WORKERS; slot++) in_background(work, slot);
    if (ready) tell("READY=1");
    const struct timespec tick = {.tv_sec = TICK_MS / 1000};
    for (int taken = 0; !is_stopping();) {
        if (!manners.silent) page_tick();
        taken = take_over(taken);
        if (watchdog && !manners.silent) tell("WATCHDOG=1");
        (void)ppoll(NULL, 0, manners.silent ? NULL : &tick, &none);
    }
    for (int waited = 0; waited < TICK_MS && __atomic_load_n(&in_hand, __ATOMIC_RELAXED) > 0; waited++)
        (void)usleep(1000);
    return 0;
}
