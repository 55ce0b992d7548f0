/* An HTTP server on LISTEN_FDS with an epoll loop and worker threads: what a plain C plugin looks like. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int epoll;

static void *serve(void *unused) {
    for (;;) {
        struct epoll_event event;
        if (epoll_wait(epoll, &event, 1, -1) != 1) continue;
        int connection = accept4(event.data.fd, NULL, NULL, SOCK_CLOEXEC);
        if (connection < 0) continue;
        char request[4096], *answer = malloc(256);
        if (answer == NULL) return unused;
        if (recv(connection, request, sizeof(request), 0) > 0) {
            struct timespec now;
            (void)clock_gettime(CLOCK_REALTIME, &now);
            int length = snprintf(answer, 256, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n");
            (void)send(connection, answer, (size_t)length, MSG_NOSIGNAL);
        }
        free(answer);
        (void)close(connection);
    }
}

static void stop(int number) {
    (void)number;
    _exit(0);
}

int main(void) {
    const char *count = getenv("LISTEN_FDS");
    if (count == NULL) return 1;
    (void)signal(SIGTERM, stop);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    for (int fd = 3; fd < 3 + atoi(count); fd++) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) return 1;
    }
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        if (pthread_create(&threads[i], NULL, serve, NULL) != 0) return 1;
    (void)serve(NULL);
    return 0;
}
