/*
 * plugin-launch UNIT [FORWARDER ARGUMENTS...] -- PROGRAM ARGUMENTS...
 *
 * The main process of a sandbox's unit until it becomes systemd-nspawn: fetches the unit's descriptors from
 * the supervisor, puts them where LISTEN_FDS says they are, and executes PROGRAM. With a FORWARDER it starts that
 * first, and hands one end of a socket between the two on, behind the others. docs/internals.md has the protocol.
 * Whatever it does not understand ends it with status 1, and nothing is executed.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/connection.h"
#include "base/text.h"
#include "launch/forwarder.h"

#define SOCKET_PATH "/run/bulkhead/launch.sock"

/* How long the supervisor may be away, because it restarts, and how long it may take to answer. */
enum { CONNECT_MS = 10000, ANSWER_MS = 10000, RETRY_MS = 50 };
/* Report pipe and filter are always there. */
enum { LEAST_FDS = 2, FIRST_FD = 3 };

static int64_t now_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void die(const char *format, ...) {
    va_list values;
    va_start(values, format);
    (void)fputs("plugin-launch: ", stderr);
    (void)vfprintf(stderr, format, values);
    (void)fputc('\n', stderr);
    va_end(values);
    exit(1);
}

/* An answer that is not ours is shown as far as it is printable. */
__attribute__((noreturn)) static void die_of_answer(const char *line, size_t length) {
    char text[160];
    (void)text_clean(line, length, text, sizeof(text));
    die("the supervisor's answer is not understood: '%s'", text);
}

/* A supervisor that comes up, or one whose queue is full, is worth another try; everything else is final. */
static bool worth_retrying(int error) { return error == -ENOENT || error == -ECONNREFUSED || error == -EAGAIN; }

/* Waits for one line. False: the supervisor went away before it said anything. */
static bool answer(struct connection *connection, char **line, size_t *length) {
    int64_t deadline = now_ms() + ANSWER_MS;
    for (;;) {
        switch (connection_line(connection, line, length)) {
            case CONNECTION_LINE:
                if (connection->used != *length + 1) die("the supervisor's answer has more than one line");
                return true;
            case CONNECTION_MALFORMED:
                die("the supervisor's answer is too long, or has too many descriptors");
            case CONNECTION_CLOSED:
                if (connection->used > 0) die_of_answer(connection->buffer, connection->used);
                return false;
            case CONNECTION_EMPTY:
                break;
        }
        int64_t left = deadline - now_ms();
        if (left <= 0) die("the supervisor did not answer within %d s", ANSWER_MS / 1000);
        struct pollfd poll_fd = {.fd = connection->fd, .events = POLLIN};
        (void)poll(&poll_fd, 1, (int)left);
    }
}

/* Asks until there is an answer. */
static void ask(struct connection *connection, const char *unit, char **line, size_t *length) {
    char hello[LINE_SIZE];
    int size = snprintf(hello, sizeof(hello), "launch 1 %s\n", unit);
    for (int64_t deadline = now_ms() + CONNECT_MS;;) {
        int error = connection_open(connection, SOCKET_PATH);
        if (error == 0) {
            error = connection_send(connection, hello, (size_t)size);
            if (error == 0 && answer(connection, line, length)) return;
            connection_close(connection);
        } else if (!worth_retrying(error)) {
            die("cannot connect to '%s': %s", SOCKET_PATH, strerror(-error));
        }
        if (now_ms() >= deadline) die("the supervisor is away: nobody served '%s' for %d s", SOCKET_PATH, CONNECT_MS / 1000);
        (void)poll(NULL, 0, RETRY_MS);
    }
}

/* `fds N` with exactly N descriptors, or the end. */
static size_t announced_fds(const struct connection *connection, const char *line, size_t length) {
    static const char refused[] = "refused ";
    unsigned long count;
    if (!text_is_printable(line, length)) die_of_answer(line, length);
    if (strncmp(line, refused, sizeof(refused) - 1) == 0) {
        const char *text = strchr(line + sizeof(refused) - 1, ' ');
        if (text == NULL || text[1] == '\0') die_of_answer(line, length);
        (void)fprintf(stderr, "%s\n", text + 1);
        exit(1);
    }
    if (strncmp(line, "fds ", 4) != 0 || !text_number(line + 4, LEAST_FDS, CONNECTION_MAX_FDS, &count))
        die_of_answer(line, length);
    if (count != connection->fd_count)
        die("the supervisor announced %lu descriptors and sent %zu", count, connection->fd_count);
    return count;
}

/* The words between the unit's name and "--": where they begin and how many they are, or the end. */
static char **forwarder_words(char **argv, int *count) {
    *count = 0;
    while (argv[2 + *count] != NULL && strcmp(argv[2 + *count], "--") != 0) ++*count;
    return argv + 2;
}

/* Descriptors 3, 4, 5... in their order, without close-on-exec; everything above is closed. */
static void place(struct connection *connection, size_t count) {
    /* First out of the way: a target may be taken by one that still has to be moved. */
    int above = FIRST_FD + (int)count;
    for (size_t i = 0; i < count; i++) {
        int copy = fcntl(connection->fds[i], F_DUPFD_CLOEXEC, above);
        if (copy < 0) die("cannot move a descriptor: %s", strerror(errno));
        connection->fds[i] = copy;
    }
    for (size_t i = 0; i < count; i++)
        if (dup2(connection->fds[i], FIRST_FD + (int)i) < 0) die("cannot place a descriptor: %s", strerror(errno));
    if (syscall(SYS_close_range, (unsigned int)above, ~0U, 0) < 0) die("cannot close descriptors: %s", strerror(errno));
}

static void set_number(const char *name, long number) {
    char text[24];
    (void)snprintf(text, sizeof(text), "%ld", number);
    if (setenv(name, text, 1) < 0) die("out of memory");
}

int main(int argc, char **argv) {
    int words = 0;
    char **forwarder = argc < 4 ? NULL : forwarder_words(argv, &words);
    char **program = forwarder == NULL || argc < words + 4 ? NULL : forwarder + words + 1;
    if (program == NULL || !text_is_unit_name(argv[1]) || program[0][0] != '/' || (words > 0 && forwarder[0][0] != '/'))
        die("usage: plugin-launch UNIT [/PATH/OF/FORWARDER [ARGUMENT...]] -- /PATH/OF/PROGRAM [ARGUMENT...]");
    forwarder[words] = NULL;
    /* Whatever is 0, 1 or 2 now stays so: a closed one would be taken by the socket. */
    for (int fd = 0; fd < FIRST_FD; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd) die("cannot open /dev/null");

    static struct connection connection;
    char *line;
    size_t length;
    ask(&connection, argv[1], &line, &length);
    size_t count = announced_fds(&connection, line, length);
    if (words > 0) {
        if (count == CONNECTION_MAX_FDS) die("too many descriptors to add another one");
        connection.fds[count++] = forwarder_start(forwarder);
    }
    place(&connection, count);
    set_number("LISTEN_FDS", (long)count);
    set_number("LISTEN_PID", getpid());
    if (unsetenv("LISTEN_FDNAMES") < 0) die("out of memory");
    (void)execv(program[0], program);
    die("cannot execute '%s': %s", program[0], strerror(errno));
}
