/* Listening sockets. */
#include "addon.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/waiters.h"

static int option(int fd, int level, int name, int value) {
    return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* Closes the socket and keeps the error. */
static int give_up(int fd, int error) {
    (void)close(fd);
    return error;
}

/*
 * `alone`: nobody may listen there now, not even another socket of ours, though others may join later. Such a socket
 * is bound without SO_REUSEPORT, which is asked for then and when it begins to listen (inet_csk_get_port() of the kernel).
 */
static int tcp(const char *host, int port, int backlog, bool reuse_port, bool alone, bool v6only) {
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    bool six = strchr(host, ':') != NULL;
    if (inet_pton(six ? AF_INET6 : AF_INET, host, six ? (void *)&v6.sin6_addr : (void *)&v4.sin_addr) != 1) return -EINVAL;

    int fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0) return -errno;
    int error = option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (error == 0 && reuse_port && !alone) error = option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    /* Never left to net.ipv6.bindv6only: what is bound must not depend on a sysctl. */
    if (error == 0 && six) error = option(fd, IPPROTO_IPV6, IPV6_V6ONLY, v6only);
    if (error < 0) return give_up(fd, error);
    if (bind(fd, six ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4, six ? sizeof(v6) : sizeof(v4)) < 0)
        return give_up(fd, -errno);
    if (reuse_port && alone && (error = option(fd, SOL_SOCKET, SO_REUSEPORT, 1)) < 0) return give_up(fd, error);
    return listen(fd, backlog) < 0 ? give_up(fd, -errno) : fd;
}

/*
 * listenTcp({host, port, backlog, reusePort, alone, v6only}): descriptor. host is a numeric address; port 0
 * lets the kernel choose. The socket does not block: whoever accepts must expect EAGAIN.
 */
napi_value listen_tcp(napi_env env, napi_callback_info info) {
    napi_value values[1], host_value, port_value, backlog_value, reuse_value, alone_value, v6_value;
    char host[TEXT_SIZE];
    int port, backlog;
    bool reuse_port, alone, v6only;
    if (!arguments(env, info, 1, values) || !property(env, values[0], "host", &host_value) ||
        !property(env, values[0], "port", &port_value) || !property(env, values[0], "backlog", &backlog_value) ||
        !property(env, values[0], "reusePort", &reuse_value) || !property(env, values[0], "alone", &alone_value) || !property(env, values[0], "v6only", &v6_value) ||
        !to_text(env, host_value, "host", host) || !to_int(env, port_value, "port", &port) ||
        !to_int(env, backlog_value, "backlog", &backlog) || !to_bool(env, reuse_value, "reusePort", &reuse_port) ||
        !to_bool(env, alone_value, "alone", &alone) || !to_bool(env, v6_value, "v6only", &v6only))
        return NULL;
    if (port < 0 || port > 65535 || backlog < 0) return from_int(env, -EINVAL);
    return from_int(env, tcp(host, port, backlog, reuse_port, alone, v6only));
}

/* `name`: what the file is called before anybody can connect to it, which must be free; '' for the path itself. */
static int unix_stream(const char *path, int backlog, mode_t mode, const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (path[0] != '/' || length >= sizeof(address.sun_path)) return -EINVAL;
    memcpy(address.sun_path, path, length);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    /*
     * bind(2) gives the file the mode of the socket's own inode less the umask: set before, the file is
     * never open wider than wanted. What the umask took away is given back afterwards. (Changing the
     * umask instead would reach the files that other threads make meanwhile.)
     */
    if (fchmod(fd, mode) < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) return give_up(fd, -errno);
    int error = chmod(path, mode) < 0 ? -errno : 0;
    if (error == 0 && name[0] != '\0' && renameat2(AT_FDCWD, path, AT_FDCWD, name, RENAME_NOREPLACE) < 0) error = -errno;
    if (error < 0) {
        (void)unlink(path);
        return give_up(fd, error);
    }
    if (listen(fd, backlog) < 0) {
        error = -errno;
        (void)unlink(name[0] != '\0' ? name : path);
        return give_up(fd, error);
    }
    return fd;
}

/*
 * listenUnix({path, backlog, mode, name}): descriptor of a stream socket. A file in the way is EADDRINUSE, and EEXIST at
 * the name that it gets, if that is not ''.
 */
napi_value listen_unix(napi_env env, napi_callback_info info) {
    napi_value values[1], path_value, backlog_value, mode_value, name_value;
    char path[TEXT_SIZE], name[TEXT_SIZE];
    int backlog, mode;
    if (!arguments(env, info, 1, values) || !property(env, values[0], "path", &path_value) ||
        !property(env, values[0], "backlog", &backlog_value) || !property(env, values[0], "mode", &mode_value) ||
        !property(env, values[0], "name", &name_value) || !to_text(env, path_value, "path", path) ||
        !to_int(env, backlog_value, "backlog", &backlog) || !to_int(env, mode_value, "mode", &mode) ||
        !to_text(env, name_value, "name", name))
        return NULL;
    if (mode < 0 || mode > 0777 || backlog < 0) return from_int(env, -EINVAL);
    return from_int(env, unix_stream(path, backlog, (mode_t)mode, name));
}

static napi_value inet_object(napi_env env, int family, const void *host, uint16_t port) {
    char text[INET6_ADDRSTRLEN];
    if (inet_ntop(family, host, text, sizeof(text)) == NULL) return from_int(env, -errno);
    const char *name = family == AF_INET6 ? "inet6" : "inet";
    napi_value object = new_object(env);
    set(env, object, "family", from_text(env, name, strlen(name)));
    set(env, object, "host", from_text(env, text, strlen(text)));
    set(env, object, "port", from_int(env, ntohs(port)));
    return object;
}

/*
 * socketAddress(fd): {family: 'inet' | 'inet6', host, port}, or {family: 'unix', path}: '@name' for an
 * abstract address, '' for none. -EAFNOSUPPORT for others.
 */
napi_value socket_address(napi_env env, napi_callback_info info) {
    napi_value values[1];
    int fd;
    if (!arguments(env, info, 1, values) || !to_int(env, values[0], "fd", &fd)) return NULL;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un local;
        struct sockaddr_storage storage;
    } address;
    memset(&address, 0, sizeof(address));
    socklen_t length = sizeof(address);
    if (getsockname(fd, &address.any, &length) < 0) return from_int(env, -errno);
    if (address.any.sa_family == AF_INET) return inet_object(env, AF_INET, &address.v4.sin_addr, address.v4.sin_port);
    if (address.any.sa_family == AF_INET6) return inet_object(env, AF_INET6, &address.v6.sin6_addr, address.v6.sin6_port);
    if (address.any.sa_family != AF_UNIX) return from_int(env, -EAFNOSUPPORT);

    const size_t head = offsetof(struct sockaddr_un, sun_path);
    size_t path_length = length > head ? length - head : 0;
    if (path_length > sizeof(address.local.sun_path)) path_length = sizeof(address.local.sun_path);
    if (path_length > 0 && address.local.sun_path[0] == '\0')
        address.local.sun_path[0] = '@';
    else
        path_length = strnlen(address.local.sun_path, path_length);
    napi_value object = new_object(env);
    set(env, object, "family", from_text(env, "unix", 4));
    set(env, object, "path", from_text(env, address.local.sun_path, path_length));
    return object;
}

/* isListening(fd): boolean */
napi_value is_listening(napi_env env, napi_callback_info info) {
    napi_value values[1];
    int fd;
    if (!arguments(env, info, 1, values) || !to_int(env, values[0], "fd", &fd)) return NULL;
    int accepts = 0;
    socklen_t length = sizeof(accepts);
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &length) < 0) return from_int(env, -errno);
    return from_bool(env, accepts != 0);
}

/* wakeWaiters(fd): 0; whoever waits for connections of this listening socket looks again */
napi_value wake_listener(napi_env env, napi_callback_info info) {
    napi_value values[1];
    int fd;
    if (!arguments(env, info, 1, values) || !to_int(env, values[0], "fd", &fd)) return NULL;
    wake_waiters(fd);
    return from_int(env, 0);
}

/*
 * What chooses between the two listeners of a group, in the order in which they began to listen: the first one, or with
 * `percent` of a hundred the second one. All or nothing is left to no number.
 */
static int attach(int fd, int percent) {
    const uint32_t below = (uint32_t)(((uint64_t)percent << 32) / 100);
    struct sock_filter always = BPF_STMT(BPF_RET | BPF_K, percent == 100 ? 1 : 0);
    struct sock_filter share[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_RANDOM)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, below, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, 1),
    };
    bool all = percent == 0 || percent == 100;
    struct sock_fprog program = {.len = all ? 1 : sizeof(share) / sizeof(share[0]), .filter = all ? &always : share};
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program)) < 0 ? -errno : 0;
}

/* attachWeight(fd, percent): 0. Any listener of the group will do, and a group of one is one. */
napi_value attach_weight(napi_env env, napi_callback_info info) {
    napi_value values[2];
    int fd, percent;
    if (!arguments(env, info, 2, values) || !to_int(env, values[0], "fd", &fd) || !to_int(env, values[1], "percent", &percent))
        return NULL;
    return from_int(env, percent < 0 || percent > 100 ? -EINVAL : attach(fd, percent));
}

/*
 * Connections that wait to be accepted. For TCP the kernel has their number where an open connection has that of its
 * unacknowledged segments; of a Unix socket it tells only whether there are any.
 */
static int queued(int fd) {
    struct tcp_info tcp;
    socklen_t length = sizeof(tcp);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &tcp, &length) == 0)
        return tcp.tcpi_state == TCP_LISTEN ? (int)tcp.tcpi_unacked : -EINVAL;
    if (errno != EOPNOTSUPP && errno != ENOPROTOOPT) return -errno;
    struct pollfd listener = {.fd = fd, .events = POLLIN};
    int ready = poll(&listener, 1, 0);
    return ready < 0 ? -errno : (listener.revents & POLLIN) != 0 ? 1 : 0;
}

/* queueLength(fd): number; of a Unix socket 1 for any number. -EINVAL for a TCP socket that does not listen. */
napi_value queue_length(napi_env env, napi_callback_info info) {
    napi_value values[1];
    int fd;
    if (!arguments(env, info, 1, values) || !to_int(env, values[0], "fd", &fd)) return NULL;
    return from_int(env, queued(fd));
}
