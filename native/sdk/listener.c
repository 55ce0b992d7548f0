/* The socket that the plugin serves: handed in by the supervisor, or one of its own where it was started by hand. */
#include "sdk/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { FIRST_FD = 3, MAX_FDS = 253, BACKLOG = 511 };

/* Place of `rpc` in LISTEN_FDNAMES; the first one if there are no names, -1 if it is not among them. */
static int place_of_rpc(int count) {
    const char *names = getenv("LISTEN_FDNAMES");
    if (names == NULL || *names == '\0') return 0;
    for (int i = 0; i < count; i++) {
        const size_t length = strcspn(names, ":");
        if (length == 3 && memcmp(names, "rpc", 3) == 0) return i;
        if (names[length] == '\0') return -1;
        names += length + 1;
    }
    return -1;
}

/* sd_listen_fds(3): -1 when none were handed in to this process. */
static int inherited(void) {
    const char *count = getenv("LISTEN_FDS"), *pid = getenv("LISTEN_PID");
    if (count == NULL || (pid != NULL && atol(pid) != (long)getpid())) return -1;
    const int fds = atoi(count);
    if (fds < 1 || fds > MAX_FDS) return -1;
    const int place = place_of_rpc(fds);
    return place < 0 ? -1 : FIRST_FD + place;
}

/* The program's name; of one that is called main, that of its directory. */
static void own_name(char *out, size_t size) {
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
    path[length > 0 ? length : 0] = '\0';
    char *name = strrchr(path, '/');
    if (name != NULL && strcmp(name, "/main") == 0) {
        *name = '\0';
        name = strrchr(path, '/');
    }
    (void)snprintf(out, size, "%.64s", name != NULL && name[1] != '\0' ? name + 1 : "plugin");
}

/* A file in the way that nobody listens at is left over, and goes. */
static bool is_left_over(const struct sockaddr_un *address) {
    struct stat status;
    if (lstat(address->sun_path, &status) < 0 || !S_ISSOCK(status.st_mode)) return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    const bool refused = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 && errno == ECONNREFUSED;
    (void)close(fd);
    return refused;
}

static int cannot(const char *what, const char *path, int error) {
    (void)fprintf(stderr, "bulkhead: %s %s: %s\n", what, path, strerror(error));
    return -error;
}

/** In one write: whoever reads it gets the whole line, and nobody's own words come between. */
static void say_where(const struct bulkhead_plugin *plugin, const char *path) {
    char *line = NULL;
    size_t length = 0;
    FILE *text = open_memstream(&line, &length);
    if (text == NULL) return;
    (void)fprintf(text, "no supervisor here: serving");
    for (const struct method *method = plugin->methods; method != NULL; method = method->next)
        (void)fprintf(text, "%s %s", method == plugin->methods ? "" : ",", method->name);
    (void)fprintf(text, " at %s; try: /usr/bin/python3 -m bulkhead %s %s …\n", path, path,
                  plugin->methods == NULL ? "METHOD" : plugin->methods->name);
    if (fclose(text) == 0) (void)fwrite(line, 1, length, stderr);
    free(line);
}

static int bind_own(struct bulkhead_plugin *plugin) {
    char path[PATH_MAX], name[MAX_NAME + 1];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *given = getenv("BULKHEAD_RPC_SOCKET");
    own_name(name, sizeof(name));
    (void)snprintf(path, sizeof(path), given != NULL ? "%s" : "./%s.sock", given != NULL ? given : name);
    const size_t length = strlen(path);
    if (length == 0 || length >= sizeof(address.sun_path)) return cannot("cannot serve", path, ENAMETOOLONG);
    memcpy(address.sun_path, path, length);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return cannot("cannot serve", path, errno);
    if (is_left_over(&address)) (void)unlink(path);
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, BACKLOG) < 0) {
        int error = errno;
        (void)close(fd);
        return cannot("cannot serve", path, error);
    }
    plugin->socket_path = strdup(path);
    say_where(plugin, path);
    return fd;
}

static int listener_open(struct bulkhead_plugin *plugin) {
    const int fd = inherited();
    if (fd < 0) return bind_own(plugin);
    int listens = 0;
    socklen_t size = sizeof(listens);
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) < 0 || listens == 0)
        return cannot("cannot serve", "what was handed in as a listening socket", EINVAL);
    const int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return cannot("cannot serve", "the socket that was handed in", errno);
    return fd;
}
