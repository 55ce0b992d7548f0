#include "spawner/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int scope_of(pid_t pid, char *name, size_t size) {
    char path[64], text[8192];
    (void)snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -errno;
    size_t used = 0;
    ssize_t got;
    while ((got = read(fd, text + used, sizeof(text) - 1 - used)) > 0) used += (size_t)got;
    int error = got < 0 ? -errno : 0;
    (void)close(fd);
    if (error < 0) return error;
    text[used] = '\0';
    /* The one hierarchy of version 2 (cgroups(7)); beside it there may be those of version 1. */
    const char *line = strncmp(text, "0::/", 4) == 0 ? text : strstr(text, "\n0::/");
    if (line == NULL) return -ENOENT;
    if (*line == '\n') line++;
    size_t length = strcspn(line, "\n");
    const char *last = memrchr(line, '/', length);
    if (last == NULL || (size_t)(line + length - last) > size) return -ENAMETOOLONG;
    (void)snprintf(name, size, "%.*s", (int)(line + length - last - 1), last + 1);
    return 0;
}
