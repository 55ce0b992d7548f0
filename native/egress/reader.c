/*
 * The files that name resolution needs, read anew for each question: they change with the host's network. A process of
 * its own, so that the one that talks to strangers needs no files, and the one that has files talks to nobody else.
 */
#include "egress/reader.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "egress/dns.h"
#include "forward/confine.h"

enum { SOCKET = 3 };

typedef void (*line_taker)(char *line, const char *name, struct reader_answer *answer);

/* The next word of the line, or NULL; '#' ends a line. */
static char *word(char **line) {
    char *begin = *line;
    while (isspace((unsigned char)*begin)) begin++;
    if (*begin == '\0' || *begin == '#') return NULL;
    char *end = begin;
    while (*end != '\0' && !isspace((unsigned char)*end)) end++;
    *line = end + (*end != '\0');
    *end = '\0';
    return begin;
}

/* hosts(5): an address and its names. */
static void take_host(char *line, const char *name, struct reader_answer *answer) {
    const char *address = word(&line), *alias;
    if (address == NULL || answer->address_count == MOST_ADDRESSES) return;
    while ((alias = word(&line)) != NULL) {
        if (strcasecmp(alias, name) != 0) continue;
        answer->address_count += address_parse(address, 0, &answer->addresses[answer->address_count]);
        return;
    }
}

/* resolv.conf(5): of all that can be said there, only who is to be asked. */
static void take_server(char *line, const char *name, struct reader_answer *answer) {
    (void)name;
    const char *keyword = word(&line), *address = keyword == NULL ? NULL : word(&line);
    if (address == NULL || strcmp(keyword, "nameserver") != 0 || answer->server_count == MOST_SERVERS) return;
    answer->server_count += address_parse(address, DNS_PORT, &answer->servers[answer->server_count]);
}

/* Line by line, whatever the file's size. A line that is too long says nothing. */
static void read_lines(const char *path, line_taker take, const char *name, struct reader_answer *answer) {
    static char buffer[8192];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return;
    size_t used = 0;
    bool too_long = false;
    for (;;) {
        ssize_t got = read(fd, buffer + used, sizeof(buffer) - 1 - used);
        if (got < 0 && errno == EINTR) continue;
        used += got > 0 ? (size_t)got : 0;
        buffer[used] = '\0';
        char *line = buffer;
        for (char *end; (end = memchr(line, '\n', used - (size_t)(line - buffer))) != NULL; line = end + 1) {
            *end = '\0';
            if (!too_long) take(line, name, answer);
            too_long = false;
        }
        used -= (size_t)(line - buffer);
        (void)memmove(buffer, line, used);
        if (got <= 0) break;
        if (used < sizeof(buffer) - 1) continue;
        too_long = true;
        used = 0;
    }
    buffer[used] = '\0';
    if (used > 0 && !too_long) take(buffer, name, answer);
    (void)close(fd);
}

__attribute__((noreturn)) static void serve(void) {
    static struct reader_question question;
    while (recv(SOCKET, &question, sizeof(question), 0) == sizeof(question)) {
        question.name[sizeof(question.name) - 1] = '\0';
        struct reader_answer answer = {.index = question.index};
        read_lines("/etc/hosts", take_host, question.name, &answer);
        read_lines("/etc/resolv.conf", take_server, question.name, &answer);
        if (send(SOCKET, &answer, sizeof(answer), MSG_NOSIGNAL) != sizeof(answer)) break;
    }
    _exit(0);
}

int reader_start(uid_t id) {
    int sockets[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0) return -errno;
    pid_t pid = fork();
    if (pid < 0) return -errno;
    if (pid > 0) {
        (void)close(sockets[1]);
        return sockets[0];
    }
    if (dup2(sockets[1], SOCKET) < 0 || syscall(SYS_close_range, SOCKET + 1, ~0U, 0) < 0) _exit(EXIT_FAILURE);
    if (prctl(PR_SET_NAME, "egress-reader") < 0 || confine(id, CONFINE_READER) < 0) _exit(EXIT_FAILURE);
    serve();
}
