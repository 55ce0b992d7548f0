/*
 * One question to the payload, in a process of its own. What answers may be hostile: this process has the payload's
 * walls or narrower ones, reads a few bytes, and is ended when it takes too long.
 */
#include "init/ask.h"

#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "init/payload.h"

/* "HTTP/1.1 200", and what ends the number. */
enum { STATUS_LINE = 13 };

static bool is_want_of_means(int error) {
    return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS || error == EADDRNOTAVAIL;
}

static struct outcome failed(int error) {
    return (struct outcome){is_want_of_means(error) ? OUTCOME_NO_MEANS : OUTCOME_ERROR, error};
}

/* Does not wait for a place in a full queue: nobody accepts then. Returns a descriptor or -errno. */
static int connect_to(unsigned long port) {
    struct sockaddr_un path = {.sun_family = AF_UNIX, .sun_path = PROBE_PATH};
    struct sockaddr_in internet = {.sin_family = AF_INET,
                                   .sin_port = htons((unsigned short)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = port == 0 ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)
                       : socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    int result = port == 0 ? connect(fd, (struct sockaddr *)&path, sizeof(path))
                           : connect(fd, (struct sockaddr *)&internet, sizeof(internet));
    return result < 0 ? -errno : fd;
}

/* Waits, whatever the socket is set to. Returns bytes, 0 at the end, -errno. */
static ssize_t receive(int fd, char *bytes, size_t size) {
    for (;;) {
        ssize_t got = recv(fd, bytes, size, 0);
        if (got >= 0) return got;
        if (errno != EINTR && errno != EAGAIN) return -errno;
        struct pollfd polled = {.fd = fd, .events = POLLIN};
        (void)poll(&polled, 1, -1);
    }
}

static struct outcome judge_status_line(const char *line, size_t length) {
    if (length < STATUS_LINE || memcmp(line, "HTTP/1.", 7) != 0 || !isdigit((unsigned char)line[7]) || line[8] != ' ')
        return (struct outcome){OUTCOME_NOT_HTTP, 0};
    int status = 0;
    for (int i = 9; i < 12; i++) {
        if (!isdigit((unsigned char)line[i])) return (struct outcome){OUTCOME_NOT_HTTP, 0};
        status = status * 10 + (line[i] - '0');
    }
    if (strchr(" \r\n", line[12]) == NULL || status < 100) return (struct outcome){OUTCOME_NOT_HTTP, 0};
    return (struct outcome){status >= 200 && status <= 399 ? OUTCOME_PASSED : OUTCOME_HTTP, status};
}

static struct outcome request(int fd, const char *path) {
    char text[512], line[STATUS_LINE];
    int length = snprintf(text, sizeof(text),
                          "GET %s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bulkhead-probe\r\nConnection: close\r\n\r\n", path);
    if (send(fd, text, (size_t)length, MSG_NOSIGNAL) < 0) return failed(errno);
    size_t used = 0;
    while (used < sizeof(line)) {
        ssize_t got = receive(fd, line + used, sizeof(line) - used);
        if (got < 0) return failed((int)-got);
        if (got == 0) break;
        used += (size_t)got;
    }
    return used == 0 ? (struct outcome){OUTCOME_CLOSED, 0} : judge_status_line(line, used);
}

/*
 * The kernel completes a connection to a socket that listens, whether the program is well or not. For the probe socket,
 * which init holds, too, that would mean nothing at all: there the program has to take the connection, which shows when
 * it ends it, as ours has been ended, or says something.
 */
static struct outcome wait_until_taken(int fd) {
    char byte;
    if (shutdown(fd, SHUT_WR) < 0 && errno != ENOTCONN) return failed(errno);
    ssize_t got = receive(fd, &byte, 1);
    return got >= 0 || got == -ECONNRESET ? (struct outcome){OUTCOME_PASSED, 0} : failed((int)-got);
}

struct outcome ask_by_connection(const struct probe *probe) {
    int fd = connect_to(probe->port);
    if (fd < 0) return failed(-fd);
    if (probe->kind == PROBE_HTTP) return request(fd, probe->path);
    return probe->port == 0 ? wait_until_taken(fd) : (struct outcome){OUTCOME_PASSED, 0};
}

struct outcome ask_by_command(const struct probe *probe, const struct options *options, const struct filter *filter) {
    struct options command = *options;
    command.command = (char **)probe->words;
    command.listeners = 0;
    command.rpc = false;
    command.probe_socket = -1;
    command.ready_by_notify = false;
    struct payload_failure failure = payload_become(&command, filter, -1);
    bool means = is_want_of_means(failure.error) || failure.error == EAGAIN;
    return (struct outcome){means ? OUTCOME_NO_MEANS : OUTCOME_NOT_RUN, failure.error};
}

void ask_for_metrics(const struct metrics_source *source, struct metrics *out) {
    static char answer[MOST_METRICS_BYTES + 1];
    char text[512];
    *out = (struct metrics){.result = METRICS_NO_ANSWER};
    int fd = connect_to(source->port);
    if (fd < 0) {
        out->detail = -fd;
        return;
    }
    /* Of an older HTTP, so that nobody answers in pieces. */
    int length = snprintf(text, sizeof(text),
                          "GET %s HTTP/1.0\r\nHost: localhost\r\nUser-Agent: bulkhead-probe\r\nAccept: text/plain; version=0.0.4\r\n\r\n",
                          source->path);
    if (send(fd, text, (size_t)length, MSG_NOSIGNAL) < 0) {
        out->detail = errno;
        return;
    }
    size_t used = 0;
    while (used < sizeof(answer)) {
        ssize_t got = receive(fd, answer + used, sizeof(answer) - used);
        if (got < 0) out->detail = (int)-got;
        if (got < 0) return;
        if (got == 0) break;
        used += (size_t)got;
    }
    if (used > MOST_METRICS_BYTES) *out = (struct metrics){.result = METRICS_TOO_LONG};
    else if (used > 0) metrics_answer(answer, used, source, out);
}
