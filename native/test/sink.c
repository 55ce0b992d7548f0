/*
 * sink PATH: receives datagrams at a Unix address, as systemd does, and prints each as one line: a newline in
 * it as " | ". Prints "bound" first.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

int main(int argc, char **argv) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (argc != 2 || strlen(argv[1]) >= sizeof(address.sun_path)) return 2;
    memcpy(address.sun_path, argv[1], strlen(argv[1]));
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || chmod(argv[1], 0666) < 0) return 1;
    setvbuf(stdout, NULL, _IOLBF, 0);
    puts("bound");
    for (;;) {
        char text[16384];
        ssize_t length = recv(fd, text, sizeof(text) - 1, 0);
        if (length < 0) return 1;
        text[length] = '\0';
        for (char *line = text, *end; line != NULL; line = end == NULL ? NULL : end + 1) {
            end = strchr(line, '\n');
            if (end != NULL) *end = '\0';
            printf("%s%s", line == text ? "" : " | ", line);
        }
        putchar('\n');
    }
}
