#include "init/children.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "init/adapter.h"
#include "init/prober.h"

/* The number behind `name` in the lines of /proc/PID/status; 0 where there is none. */
static unsigned long field(const char *status, const char *name, int base) {
    const char *line = strstr(status, name);
    return line == NULL ? 0 : strtoul(line + strlen(name), NULL, base);
}

static bool is_ours(unsigned long id) { return id == 0 || id == ADAPTER_ID || id == PROBER_ID; }

static bool is_left(const char *pid) {
    char path[64], status[4096];
    (void)snprintf(path, sizeof(path), "/proc/%s/status", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t got = read(fd, status, sizeof(status) - 1);
    (void)close(fd);
    status[got > 0 ? got : 0] = '\0';
    /* The name comes first, but the kernel escapes line ends in it (proc(5)). */
    const char *state = strstr(status, "\nState:\t");
    if (state == NULL || strchr("ZX", state[8]) != NULL || field(status, "\nPPid:\t", 10) != (unsigned long)getpid()) return false;
    const unsigned long killed = 1UL << (SIGKILL - 1);
    return !is_ours(field(status, "\nUid:\t", 10)) &&
           ((field(status, "\nSigPnd:\t", 16) | field(status, "\nShdPnd:\t", 16)) & killed) == 0;
}

bool children_left(pid_t main) {
    DIR *all = opendir("/proc");
    if (all == NULL) return false;
    bool left = false;
    for (struct dirent *each; !left && (each = readdir(all)) != NULL;) {
        unsigned long pid;
        if (text_number(each->d_name, 2, 4194304, &pid) && (pid_t)pid != main) left = is_left(each->d_name);
    }
    (void)closedir(all);
    return left;
}
