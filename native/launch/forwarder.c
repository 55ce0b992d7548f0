#include "launch/forwarder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CGROUPS "/sys/fs/cgroup"
#define GROUP "egress"

enum { CONTROL_FD = 3 };

/* Path of the unit's group in cgroup v2, as it is mounted. */
static void own_group(char *path, size_t size) {
    char text[4096];
    int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (got < 0) die("cannot read the own cgroup: %s", strerror(errno));
    (void)close(fd);
    text[got] = '\0';
    char *group = strncmp(text, "0::/", 4) == 0 ? text + 3 : strstr(text, "\n0::/");
    if (group == NULL) die("the own cgroup is in no cgroup v2 hierarchy");
    if (*group == '\n') group += 4;
    group[strcspn(group, "\n")] = '\0';
    if ((size_t)snprintf(path, size, CGROUPS "%s/" GROUP, group) >= size) die("the path of the own cgroup is too long");
}

/* The calling process goes there. */
static void enter_group(const char *path) {
    char file[4200];
    if (mkdir(path, 0755) < 0 && errno != EEXIST) die("cannot make '%s': %s", path, strerror(errno));
    (void)snprintf(file, sizeof(file), "%s/cgroup.procs", path);
    int fd = open(file, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "0", 1) != 1) die("cannot go into '%s': %s", path, strerror(errno));
    (void)close(fd);
}

int forwarder_start(char **command) {
    int sockets[2];
    char group[4096];
    own_group(group, sizeof(group));
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0) die("%s", strerror(errno));
    pid_t pid = fork();
    if (pid < 0) die("cannot fork: %s", strerror(errno));
    if (pid > 0) {
        (void)close(sockets[1]);
        return sockets[0];
    }
    enter_group(group);
    if (setsid() < 0 || dup2(sockets[1], CONTROL_FD) < 0 || syscall(SYS_close_range, CONTROL_FD + 1, ~0U, 0) < 0)
        die("%s", strerror(errno));
    /* dup2(2) of a descriptor to itself leaves it to be closed. */
    if (fcntl(CONTROL_FD, F_SETFD, 0) < 0) die("%s", strerror(errno));
    (void)execv(command[0], command);
    die("cannot execute '%s': %s", command[0], strerror(errno));
}
