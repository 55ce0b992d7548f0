/*
 * follower DIRECTORY [PAUSE]: reads the files `x` and `y` of a directory, which both say its version, as often as it can
 * (or with a pause of so many microseconds) until SIGTERM. Then it says in a line of JSON what it saw: opens that found nothing, versions that were mixed, and how often
 * the version changed. Each look goes by the directory's path; `x` and `y` are opened through one descriptor of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t ended;

static void end(int number) {
    (void)number;
    ended = 1;
}

static bool read_version(int directory, const char *path, char *version, size_t size) {
    int fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t got = read(fd, version, size - 1);
    int error = errno;
    (void)close(fd);
    errno = error;
    version[got < 0 ? 0 : got] = '\0';
    return got > 0;
}

int main(int argc, char **argv) {
    char path[4096], last[64] = "", x[64], y[64];
    unsigned long looks = 0, missing = 0, failed = 0, mixed = 0, changes = 0;
    if (argc < 2 || argc > 3 || snprintf(path, sizeof(path), "%s/x", argv[1]) >= (int)sizeof(path)) return 2;
    struct sigaction action = {.sa_handler = end};
    if (sigaction(SIGTERM, &action, NULL) < 0) return 1;
    while (!ended) {
        if (argc == 3) (void)usleep((useconds_t)atol(argv[2]));
        looks++;
        if (!read_version(AT_FDCWD, path, x, sizeof(x))) {
            if (errno == ENOENT) missing++;
            else failed++;
            continue;
        }
        if (strcmp(x, last) != 0) {
            changes += last[0] != '\0';
            (void)strcpy(last, x);
        }
        if (looks % 16 != 0) continue;
        int directory = open(argv[1], O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (directory < 0 || !read_version(directory, "x", x, sizeof(x)) || !read_version(directory, "y", y, sizeof(y))) {
            if (errno == ENOENT) missing++;
            else failed++;
        } else if (strcmp(x, y) != 0) {
            mixed++;
        }
        if (directory >= 0) (void)close(directory);
    }
    (void)printf("{\"looks\":%lu,\"missing\":%lu,\"failed\":%lu,\"mixed\":%lu,\"changes\":%lu,\"last\":\"%.*s\"}\n", looks, missing,
                 failed, mixed, changes, (int)strcspn(last, "\n"), last);
    return 0;
}
