/* The stream protocol of systemd-journald, as sd_journal_stream_fd(3) speaks it. */
#include "spawner/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

int journal_streams(int journal, const char *identifier) {
    char header[400];
    /* Identifier; unit (from its cgroup); priority; level prefixes; to syslog, kmsg and console. */
    int length = snprintf(header, sizeof(header), "%s\n\n%d\n1\n0\n0\n0\n", identifier, LOG_INFO);
    if (length < 0 || (size_t)length >= sizeof(header)) return -EINVAL;

    int stream = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (stream < 0 || null < 0) return -errno;
    /* The socket's own path is not in the box. */
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d", journal);
    if (connect(stream, (struct sockaddr *)&address, sizeof(address)) < 0) return -errno;
    if (shutdown(stream, SHUT_RD) < 0) return -errno;
    if (send(stream, header, (size_t)length, MSG_NOSIGNAL) != length) return -EIO;
    if (dup2(null, STDIN_FILENO) < 0 || dup2(stream, STDOUT_FILENO) < 0 || dup2(stream, STDERR_FILENO) < 0) return -errno;
    return 0;
}
