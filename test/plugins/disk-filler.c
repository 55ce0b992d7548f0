/* Fills each directory that it is given with one file, and tries again whenever there may be room. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 1 << 16, AGAIN_USEC = 10000 };

int main(int argc, char **argv) {
    static char piece[PIECE];
    memset(piece, 'x', sizeof(piece));
    for (;;) {
        for (int i = 1; i < argc; i++) {
            char path[4096];
            (void)snprintf(path, sizeof(path), "%s/filler", argv[i]);
            int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
            while (fd >= 0 && write(fd, piece, sizeof(piece)) > 0) continue;
            if (fd >= 0) (void)close(fd);
        }
        (void)usleep(AGAIN_USEC);
    }
}
