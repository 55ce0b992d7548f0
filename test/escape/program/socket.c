/* One socket. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "hostile.h"

union any_address {
    struct sockaddr header;
    struct sockaddr_in four;
    struct sockaddr_in6 six;
    struct sockaddr_un local;
};

static int type_of(const char *word) {
    return strcmp(word, "dgram") == 0 ? SOCK_DGRAM : strcmp(word, "seqpacket") == 0 ? SOCK_SEQPACKET : SOCK_STREAM;
}

/* unix PATH, abstract NAME, inet ADDRESS PORT: the address and its length, 0 if it is none. */
static socklen_t address_of(int count, char **words, union any_address *address) {
    (void)memset(address, 0, sizeof(*address));
    if (count >= 2 && (strcmp(words[0], "unix") == 0 || strcmp(words[0], "abstract") == 0)) {
        size_t skip = words[0][0] == 'a' ? 1 : 0, length = strlen(words[1]);
        if (length + skip >= sizeof(address->local.sun_path)) return 0;
        address->local.sun_family = AF_UNIX;
        (void)memcpy(address->local.sun_path + skip, words[1], length);
        return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + skip + length + (skip == 0 ? 1 : 0));
    }
    if (count >= 3 && strcmp(words[0], "inet") == 0) {
        in_port_t port = htons((in_port_t)word_number(words[2]));
        if (inet_pton(AF_INET, words[1], &address->four.sin_addr) == 1) {
            address->four.sin_family = AF_INET;
            address->four.sin_port = port;
            return sizeof(address->four);
        }
        if (inet_pton(AF_INET6, words[1], &address->six.sin6_addr) == 1) {
            address->six.sin6_family = AF_INET6;
            address->six.sin6_port = port;
            return sizeof(address->six);
        }
    }
    return 0;
}

/* socket FAMILY TYPE PROTOCOL, as numbers. */
int try_socket(int count, char **words) {
    if (count < 3) return -ENOTSUP;
    return hold(socket((int)word_number(words[0]), (int)word_number(words[1]) | SOCK_CLOEXEC, (int)word_number(words[2])));
}

/* connect TYPE ADDRESS... */
int try_connect(int count, char **words) {
    union any_address address;
    socklen_t length = count < 1 ? 0 : address_of(count - 1, words + 1, &address);
    if (length == 0) return -ENOTSUP;
    int result = hold(socket(address.header.sa_family, type_of(words[0]) | SOCK_CLOEXEC, 0));
    if (result < 0) return result;
    /* An address that swallows everything must not take longer than this. */
    struct timeval patience = {.tv_sec = 2};
    (void)setsockopt(held, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    (void)setsockopt(held, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    return connect(held, &address.header, length) < 0 ? -errno : 0;
}

/* bind TYPE ADDRESS...; listens where that can be done. */
int try_bind(int count, char **words) {
    union any_address address;
    socklen_t length = count < 1 ? 0 : address_of(count - 1, words + 1, &address);
    if (length == 0) return -ENOTSUP;
    int result = hold(socket(address.header.sa_family, type_of(words[0]) | SOCK_CLOEXEC, 0));
    if (result < 0) return result;
    if (bind(held, &address.header, length) < 0) return -errno;
    return type_of(words[0]) != SOCK_DGRAM && listen(held, 1) < 0 ? -errno : 0;
}

int try_send(int count, char **words) {
    if (count < 1) return -ENOTSUP;
    size_t length = word_unescape(words[0]);
    return send(held, words[0], length, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* pass TEXT FD...: these descriptors with the text, over the held socket. */
int try_pass(int count, char **words) {
    int fds[16], passed = 0;
    if (count < 1) return -ENOTSUP;
    for (; passed < count - 1 && passed < 16; passed++) fds[passed] = (int)word_number(words[passed + 1]);
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(fds))];
    } control = {0};
    size_t length = word_unescape(words[0]);
    struct iovec vector = {.iov_base = words[0], .iov_len = length};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control,
                             .msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)passed)};
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof(int) * (size_t)passed);
    (void)memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * (size_t)passed);
    return sendmsg(held, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}
