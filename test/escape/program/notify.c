/* Messages to whoever watches: systemd, init, the journal. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "hostile.h"

/* notify PATH TEXT [FD]: one datagram; PATH - is what NOTIFY_SOCKET says. */
int try_notify(int count, char **words) {
    if (count < 2) return -ENOTSUP;
    const char *path = strcmp(words[0], "-") == 0 ? getenv("NOTIFY_SOCKET") : words[0];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path == NULL || strlen(path) >= sizeof(address.sun_path)) return -EDESTADDRREQ;
    (void)memcpy(address.sun_path, path, strlen(path));
    if (address.sun_path[0] == '@') address.sun_path[0] = '\0';
    int result = hold(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (result < 0) return result;
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    if (connect(held, (struct sockaddr *)&address, length) < 0) return -errno;
    return count == 2 ? try_send(1, words + 1) : try_pass(count - 1, words + 1);
}

/* notify-flood PATH COUNT SIZE: datagrams of that size, as fast as they are taken; how many were. */
int try_notify_flood(int count, char **words) {
    if (count < 3) return -ENOTSUP;
    size_t size = (size_t)word_number(words[2]);
    char *text = malloc(size + 1), *arguments[] = {words[0], text};
    if (text == NULL) return -ENOMEM;
    (void)memset(text, 'x', size);
    (void)memcpy(text, "STATUS=", size < 7 ? size : 7);
    text[size] = '\0';
    int result = try_notify(2, arguments);
    long sent = result == 0 ? 1 : 0;
    for (; result == 0 && sent < word_number(words[1]); sent++)
        if (send(held, text, size, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN) result = -errno;
    free(text);
    detail("%ld", sent);
    return result;
}

/* print TEXT: a line into the journal. */
int try_print(int count, char **words) {
    if (count < 1) return -ENOTSUP;
    size_t length = word_unescape(words[0]);
    return write(1, words[0], length) < 0 || write(1, "\n", 1) < 0 ? -errno : 0;
}

/* print-flood COUNT TEXT */
int try_print_flood(int count, char **words) {
    if (count < 2) return -ENOTSUP;
    size_t length = word_unescape(words[1]);
    words[1][length++] = '\n';
    for (long left = word_number(words[0]); left > 0; left--)
        if (write(1, words[1], length) < 0) return -errno;
    return 0;
}
