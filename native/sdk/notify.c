/* sd_notify(3), as far as it is needed. */
#include "sdk/internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void notify_systemd(const char *text) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = path == NULL ? 0 : strlen(path);
    if (length < 2 || length >= sizeof(address.sun_path)) return;
    memcpy(address.sun_path, path, length);
    if (path[0] == '@') address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    const socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    (void)sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&address, size);
    (void)close(fd);
}

/* Twice in the time of $WATCHDOG_USEC, as sd_watchdog_enabled(3) advises. */
static uint64_t watchdog_ns(void) {
    const char *time = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    if (time == NULL || *time < '0' || *time > '9') return 0;
    if (pid != NULL && strtoll(pid, NULL, 10) != (long long)getpid()) return 0;
    char *end;
    const unsigned long long microseconds = strtoull(time, &end, 10);
    return *end != '\0' || microseconds > UINT64_MAX / 1000 ? 0 : (uint64_t)microseconds * 500;
}
