/*
 * Serves on descriptor 3 and answers each request with its own name, in one of the ways in which programs take
 * connections. `acceptor NAME WAY THREADS`; ways are the names in `ways`.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = -1, POLL = -2 };

static const struct {
    const char *name;
    int64_t events;
    /* Accepts until there is none, and not one for each event. */
    bool drains;
} ways[] = {
    {"block", BLOCK, false},
    {"poll", POLL, false},
    {"level", EPOLLIN, true},
    {"level-one", EPOLLIN, false},
    {"edge", EPOLLIN | (int64_t)EPOLLET, true},
    {"exclusive", EPOLLIN | (int64_t)EPOLLEXCLUSIVE, true},
    {"exclusive-edge", EPOLLIN | (int64_t)EPOLLEXCLUSIVE | (int64_t)EPOLLET, true},
};

static const char *name;
static size_t way;
static int listener = 3;
/* Takes its time between being told of a connection and taking it. */
static bool slow;

static bool take(void) {
    int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (connection < 0) return errno == EINTR;
    char request[64];
    ssize_t got;
    do got = recv(connection, request, sizeof(request), 0);
    while (got < 0 && errno == EINTR);
    if (got > 0) (void)send(connection, name, strlen(name), MSG_NOSIGNAL);
    (void)close(connection);
    return true;
}

static void *serve(void *epoll) {
    for (;;) {
        if (ways[way].events == POLL) {
            struct pollfd one = {.fd = listener, .events = POLLIN};
            (void)poll(&one, 1, -1);
        } else if (ways[way].events >= 0) {
            struct epoll_event event;
            if (epoll_wait(*(int *)epoll, &event, 1, -1) != 1) continue;
            if (slow) (void)usleep(600000);
        }
        while (take() && ways[way].drains) continue;
    }
    return NULL;
}

/* A connection to a socket of its own: whoever has a gate before the passed ones must still get it. */
static void talk_to_itself(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "\0acceptor"};
    int own = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), out = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(own, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(own, 5) < 0) _exit(1);
    if (connect(out, (struct sockaddr *)&address, sizeof(address)) < 0 || accept(own, NULL, NULL) < 0) _exit(1);
    printf("own\n");
}

/* Nanoseconds for one accept4(2) that finds nothing: the best of many short rounds, for the machine has other work, too. */
static void measure(void) {
    enum { ROUNDS = 50, CALLS = 200 };
    long long best = INT64_MAX;
    for (int round = 0; round < ROUNDS; round++) {
        struct timespec began, ended;
        (void)clock_gettime(CLOCK_MONOTONIC, &began);
        for (int call = 0; call < CALLS; call++) (void)accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        (void)clock_gettime(CLOCK_MONOTONIC, &ended);
        long long took = (ended.tv_sec - began.tv_sec) * 1000000000LL + ended.tv_nsec - began.tv_nsec;
        if (took < best) best = took;
    }
    printf("cost %lld\n", best / CALLS);
}

static void tick(int number) { (void)number; }

/* Signals that interrupt whatever waits, as runtimes with threads of their own use them. */
static void interrupt_all_the_time(void) {
    const struct sigaction action = {.sa_handler = tick};
    const struct itimerval often = {.it_interval = {.tv_usec = 500}, .it_value = {.tv_usec = 500}};
    (void)sigaction(SIGALRM, &action, NULL);
    (void)setitimer(ITIMER_REAL, &often, NULL);
}

int main(int argc, char **argv) {
    (void)setvbuf(stdout, NULL, _IONBF, 0);
    if (argc < 4) return 2;
    name = argv[1];
    while (way < sizeof(ways) / sizeof(ways[0]) && strcmp(argv[2], ways[way].name) != 0) way++;
    if (way == sizeof(ways) / sizeof(ways[0])) return 2;
    for (char **more = argv + 4; *more != NULL; more++) {
        if (strcmp(*more, "own") == 0) talk_to_itself();
        if (strcmp(*more, "copy") == 0) listener = fcntl(3, F_DUPFD_CLOEXEC, 40);
        if (strcmp(*more, "slow") == 0) slow = true;
        if (strcmp(*more, "hidden") == 0) (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        if (strcmp(*more, "interrupted") == 0) interrupt_all_the_time();
    }
    if (ways[way].events != BLOCK) (void)fcntl(listener, F_SETFL, O_NONBLOCK);
    if (ways[way].events != BLOCK && strcmp(name, "cost") == 0) measure();
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = (uint32_t)ways[way].events};
    if (ways[way].events >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) < 0) return 1;
    for (int i = 1; i < atoi(argv[3]); i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, serve, &epoll) != 0) return 1;
    }
    printf("serving\n");
    (void)serve(&epoll);
    return 0;
}
