#include "init/network.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* The loopback is the first interface of every network namespace. */
enum { LOOPBACK = 1 };
/* For the forwarder to take its sockets. */
enum { TAKE_MS = 10000 };

/* As rtnetlink(7) wants them, without gaps. */
struct link_request {
    struct nlmsghdr header;
    struct ifinfomsg link;
};
struct address_request {
    struct nlmsghdr header;
    struct ifaddrmsg address;
    struct rtattr attribute;
    unsigned char value[16];
};

/* One request, and the kernel's answer to it (netlink(7)). */
static int ask_kernel(int netlink, struct nlmsghdr *request) {
    struct {
        struct nlmsghdr header;
        struct nlmsgerr error;
        char rest[512];
    } answer;
    request->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
    if (send(netlink, request, request->nlmsg_len, 0) < 0) return -errno;
    ssize_t got = recv(netlink, &answer, sizeof(answer), 0);
    if (got < 0) return -errno;
    return (size_t)got >= NLMSG_LENGTH(sizeof(answer.error)) && answer.header.nlmsg_type == NLMSG_ERROR ? answer.error.error
                                                                                                     : -EBADMSG;
}

static int bring_up(int netlink) {
    struct link_request request = {
        .header = {.nlmsg_len = NLMSG_LENGTH(sizeof(request.link)), .nlmsg_type = RTM_NEWLINK},
        .link = {.ifi_index = LOOPBACK, .ifi_flags = IFF_UP, .ifi_change = IFF_UP}};
    return ask_kernel(netlink, &request.header);
}

/* All of 127.0.0.0/8 and ::1 are there already. */
static bool is_loopback(const struct address *address) {
    if (address->any.sa_family == AF_INET) return ntohl(address->four.sin_addr.s_addr) >> 24 == 127;
    return IN6_IS_ADDR_LOOPBACK(&address->six.sin6_addr);
}

static int add_address(int netlink, const struct address *address) {
    if (is_loopback(address)) return 0;
    bool four = address->any.sa_family == AF_INET;
    size_t size = four ? 4 : 16;
    struct address_request request = {
        .header = {.nlmsg_type = RTM_NEWADDR, .nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE},
        .address = {.ifa_family = (unsigned char)address->any.sa_family, .ifa_prefixlen = (unsigned char)(size * 8),
                    .ifa_flags = IFA_F_NODAD, .ifa_index = LOOPBACK},
        .attribute = {.rta_type = IFA_LOCAL, .rta_len = (unsigned short)RTA_LENGTH(size)}};
    (void)memcpy(request.value, four ? (const void *)&address->four.sin_addr : &address->six.sin6_addr, size);
    request.header.nlmsg_len = (unsigned int)(NLMSG_LENGTH(sizeof(request.address)) + RTA_LENGTH(size));
    return ask_kernel(netlink, &request.header);
}

static int listen_at(const struct address *address) {
    const int yes = 1;
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (bind(fd, &address->any, address->length) < 0 || listen(fd, SOMAXCONN) < 0) {
        int error = -errno;
        (void)close(fd);
        return error;
    }
    return fd;
}

static int send_listeners(int control, const int *listeners, size_t count) {
    char line[32];
    struct iovec vector = {.iov_base = line};
    vector.iov_len = (size_t)snprintf(line, sizeof(line), "listeners %zu\n", count);
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int) * MAX_EGRESS)];
    } space = {0};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &space, .msg_controllen = CMSG_SPACE(sizeof(int) * count)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * count);
    (void)memcpy(CMSG_DATA(header), listeners, sizeof(int) * count);
    return sendmsg(control, &message, MSG_NOSIGNAL) == (ssize_t)vector.iov_len ? 0 : -errno;
}

static int wait_until_taken(int control) {
    static const char ready[] = "ready\n";
    char answer[sizeof(ready)];
    struct pollfd poll_fd = {.fd = control, .events = POLLIN};
    int told = poll(&poll_fd, 1, TAKE_MS);
    if (told <= 0) return told == 0 ? -ETIMEDOUT : -errno;
    ssize_t got = recv(control, answer, sizeof(answer), 0);
    if (got < 0) return -errno;
    if (got == 0) return -EPIPE;
    return (size_t)got == sizeof(ready) - 1 && memcmp(answer, ready, (size_t)got) == 0 ? 0 : -EBADMSG;
}

int network_open(const struct options *options, int control) {
    if (options->egress_count == 0) return 0;
    int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (netlink < 0) return -errno;
    int listeners[MAX_EGRESS];
    size_t made = 0;
    int error = bring_up(netlink);
    while (error == 0 && made < options->egress_count) {
        const struct address *address = &options->egress[made];
        error = add_address(netlink, address);
        if (error < 0) break;
        int listener = listen_at(address);
        if (listener < 0)
            error = listener;
        else
            listeners[made++] = listener;
    }
    (void)close(netlink);
    if (error == 0) error = send_listeners(control, listeners, made);
    /* They are the forwarder's alone: a copy here would keep them open when that is gone. */
    for (size_t i = 0; i < made; i++) (void)close(listeners[i]);
    return error < 0 ? error : wait_until_taken(control);
}
