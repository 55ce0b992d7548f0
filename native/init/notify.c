/* The notification protocol of sd_notify(3), on both sides. */
#include "init/notify.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/datagram.h"
#include "base/text.h"
#include "init/payload.h"
#include "init/report.h"

/* Longest message that is looked at; systemd's own bound (NOTIFY_BUFFER_MAX). */
enum { MESSAGE_SIZE = 4096 };
/* Messages in one turn. */
enum { TURN = 16 };

int notify_open(void) {
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -errno;
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = NOTIFY_PATH};
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || chmod(NOTIFY_PATH, 0666) < 0) {
        int error = -errno;
        (void)close(fd);
        return error;
    }
    return fd;
}

static void one_line(const char *line, size_t length, struct notify_news *news) {
    static const char status[] = "STATUS=";
    if (length == 7 && memcmp(line, "READY=1", 7) == 0) {
        news->ready = true;
    } else if (length == 10 && memcmp(line, "WATCHDOG=1", 10) == 0) {
        news->watchdog = true;
    } else if (length >= sizeof(status) - 1 && memcmp(line, status, sizeof(status) - 1) == 0) {
        static_assert(sizeof(news->text) == STATUS_SIZE, "a status fits into its report");
        (void)text_clean(line + sizeof(status) - 1, length - (sizeof(status) - 1), news->text, sizeof(news->text));
        news->status = true;
    }
}

void notify_read(int fd, struct notify_news *news) {
    static char message[MESSAGE_SIZE];
    for (int i = 0; i < TURN; i++) {
        /* Descriptors that come with it are closed by the kernel, because nobody asks for them. */
        ssize_t got = recv(fd, message, sizeof(message), MSG_DONTWAIT | MSG_TRUNC);
        if (got < 0) return;
        if ((size_t)got > sizeof(message)) continue;
        for (size_t at = 0; at < (size_t)got;) {
            const char *end = memchr(message + at, '\n', (size_t)got - at);
            size_t length = end == NULL ? (size_t)got - at : (size_t)(end - message) - at;
            one_line(message + at, length, news);
            at += length + 1;
        }
    }
}

int notify_tell_ready(const char *socket_path) {
    if (socket_path == NULL) return 0;
    static const char message[] = "READY=1";
    return datagram_send(socket_path, message, sizeof(message) - 1, NULL, 0, MSG_DONTWAIT);
}
