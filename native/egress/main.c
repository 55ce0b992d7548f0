/*
 * plugin-egress --uid=N --connections=N ENDPOINT...
 *
 * Connects one sandbox to the endpoints that its declaration allows, and to nothing else. It lives in the host's network,
 * beside the sandbox, and gets from the sandbox's init, over descriptor 3, one listening socket of the sandbox's network
 * for each endpoint. It ends with that connection. docs/internals.md has the protocol.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/connection.h"
#include "base/text.h"
#include "egress/names.h"
#include "egress/reader.h"
#include "forward/confine.h"
#include "forward/forwarder.h"

enum { CONTROL = 3, MOST_CONNECTIONS = 4096 };
/* Beside those of connections: listeners, questions to name servers, and the forwarder's own. */
enum { OTHER_DESCRIPTORS = 4 * MOST_ROUTES };
/* How long a connection waits for the addresses of a name: longer than all servers take. */
enum { PATIENCE_MS = 20000 };

struct endpoint {
    const char *text;
    char host[HOST_SIZE];
    unsigned int port;
};

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...) {
    va_list values;
    va_start(values, format);
    (void)fputs("plugin-egress: ", stderr);
    (void)vfprintf(stderr, format, values);
    (void)fputc('\n', stderr);
    va_end(values);
    exit(EXIT_FAILURE);
}

static bool parse_endpoint(const char *text, struct endpoint *endpoint) {
    endpoint->text = text;
    if (!address_split(text, endpoint->host, &endpoint->port)) return false;
    return endpoint->host[strspn(endpoint->host, "abcdefghijklmnopqrstuvwxyz0123456789-.:")] == '\0';
}

static unsigned long option(const char *argument, const char *name, unsigned long most) {
    unsigned long value = 0;
    size_t length = strlen(name);
    if (argument == NULL || strncmp(argument, name, length) != 0 || !text_number(argument + length, 1, most, &value))
        die("usage: plugin-egress --uid=N --connections=N ENDPOINT...");
    return value;
}

static void limit_descriptors(unsigned long connections) {
    rlim_t most = 2 * connections + OTHER_DESCRIPTORS;
    const struct rlimit limit = {.rlim_cur = most, .rlim_max = most};
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0) die("cannot have %lu descriptors: %s", (unsigned long)most, strerror(errno));
}

/* Waits for init: one line with one listening socket for each endpoint. */
static void receive_listeners(size_t count, int *listeners) {
    static struct connection control = {.fd = CONTROL};
    char *line, expected[32];
    size_t length;
    (void)snprintf(expected, sizeof(expected), "listeners %zu", count);
    enum connection_event event;
    do event = connection_line(&control, &line, &length);
    while (event == CONNECTION_EMPTY);
    /* The sandbox ended before it began, which somebody else tells of. */
    if (event == CONNECTION_CLOSED && control.used == 0) exit(EXIT_SUCCESS);
    if (event != CONNECTION_LINE || strcmp(line, expected) != 0 || control.fd_count != count ||
        control.used != length + 1)
        die("the sandbox did not send %zu sockets", count);
    (void)memcpy(listeners, control.fds, count * sizeof(int));
}

static bool is_listener(int fd) {
    int accepts = 0;
    socklen_t size = sizeof(accepts);
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &size) == 0 && accepts == 1;
}

static struct forwarder forwarder;

/* Init says nothing more; it is its end that counts. */
static void control_ready(struct watch *watch, uint32_t events) {
    (void)watch, (void)events;
    forwarder.over = true;
}

static void add_route(int listener, const struct endpoint *endpoint) {
    struct route *route = is_listener(listener) ? forward_add(&forwarder, listener, endpoint->text) : NULL;
    if (route == NULL) die("the socket for '%s' cannot be used", endpoint->text);
    if (address_parse(endpoint->host, endpoint->port, &route->addresses[0]))
        route->address_count = 1;
    else if (!names_add(route, endpoint->host, endpoint->port))
        die("out of memory");
}

int main(int argc, char **argv) {
    uid_t uid = (uid_t)option(argc > 1 ? argv[1] : NULL, "--uid=", 4294967294UL);
    unsigned long connections = option(argc > 2 ? argv[2] : NULL, "--connections=", MOST_CONNECTIONS);
    size_t count = (size_t)(argc - 3);
    if (argc < 4 || count > MOST_ROUTES) die("from 1 to %d endpoints are needed", MOST_ROUTES);
    static struct endpoint endpoints[MOST_ROUTES];
    bool has_names = false;
    struct address address;
    for (size_t i = 0; i < count; i++) {
        if (!parse_endpoint(argv[3 + i], &endpoints[i])) die("'%s' is not an endpoint", argv[3 + i]);
        has_names |= !address_parse(endpoints[i].host, 0, &address);
    }
    if (syscall(SYS_close_range, CONTROL + 1, ~0U, 0) < 0 || chdir("/") < 0) die("%s", strerror(errno));
    limit_descriptors(connections);

    static const struct policy policy = {.find = names_find, .turn = names_turn};
    int error = forward_open(&forwarder, &policy, connections, PATIENCE_MS);
    int reader = error == 0 && has_names ? reader_start(uid) : -1;
    if (error == 0 && has_names) error = reader < 0 ? reader : names_open(&forwarder, reader);
    if (error < 0) die("%s", strerror(-error));

    int listeners[MOST_ROUTES];
    receive_listeners(count, listeners);
    for (size_t i = 0; i < count; i++) add_route(listeners[i], &endpoints[i]);
    struct watch control = {.ready = control_ready, .fd = CONTROL, .events = -1};
    if ((error = watch_for(&control, forwarder.epoll, EPOLLIN)) < 0) die("%s", strerror(-error));
    /* First of all that strangers have a part in. */
    if ((error = confine(uid, CONFINE_FORWARDER)) < 0) die("cannot give up privileges: %s", strerror(-error));
    if (write(CONTROL, "ready\n", 6) != 6) return EXIT_SUCCESS;
    error = forward_run(&forwarder);
    if (error < 0) die("%s", strerror(-error));
    return EXIT_SUCCESS;
}
