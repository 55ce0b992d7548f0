/* Too much of something. Each stops at the number it was given, and leaves nothing. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hostile.h"

/* forks MOST: children that stay, until there are so many or none more can be had. */
int try_forks(int count, char **words) {
    long most = count > 0 ? word_number(words[0]) : 0, made = 0;
    pid_t *children = calloc((size_t)most + 1, sizeof(pid_t));
    int error = 0;
    if (children == NULL) return -ENOMEM;
    for (; made < most; made++) {
        children[made] = fork();
        if (children[made] == 0)
            for (;;) (void)pause();
        if (children[made] < 0) {
            error = -errno;
            break;
        }
    }
    for (long i = 0; i < made; i++) (void)kill(children[i], SIGKILL);
    for (long i = 0; i < made; i++) (void)waitpid(children[i], NULL, 0);
    free(children);
    detail("%ld", made);
    return error;
}

/* memory BYTES: a child that touches so many; how it ended. */
int try_memory(int count, char **words) {
    size_t bytes = count > 0 ? (size_t)word_number(words[0]) : 0;
    pid_t child = fork();
    if (child < 0) return -errno;
    if (child == 0) {
        char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) _exit(1);
        (void)memset(memory, 1, bytes);
        _exit(0);
    }
    int status = 0;
    if (waitpid(child, &status, 0) < 0) return -errno;
    detail(WIFEXITED(status) ? "exit %d" : "signal %d", WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    return 0;
}

/* fill DIRECTORY MOST: one file that grows to so many bytes. */
int try_fill(int count, char **words) {
    static char block[1 << 16];
    char path[4096];
    if (count < 2) return -ENOTSUP;
    (void)snprintf(path, sizeof(path), "%s/fill", words[0]);
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600), error = 0;
    if (fd < 0) return -errno;
    (void)unlink(path);
    long most = word_number(words[1]), done = 0;
    while (done < most && error == 0) {
        ssize_t got = write(fd, block, sizeof(block));
        if (got < 0) error = -errno;
        else done += got;
    }
    (void)close(fd);
    detail("%ld", done);
    return error;
}

/* inodes DIRECTORY MOST: so many empty files. */
int try_inodes(int count, char **words) {
    char path[4096];
    if (count < 2) return -ENOTSUP;
    long most = word_number(words[1]), made = 0;
    int error = 0;
    (void)snprintf(path, sizeof(path), "%s/inodes", words[0]);
    if (mkdir(path, 0700) < 0) return -errno;
    int directory = open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    if (directory < 0) return -errno;
    char name[32];
    for (; made < most && error == 0; made++) {
        (void)snprintf(name, sizeof(name), "%ld", made);
        int fd = openat(directory, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
        if (fd < 0) error = -errno;
        else (void)close(fd);
    }
    for (long i = 0; i < made; i++) {
        (void)snprintf(name, sizeof(name), "%ld", i);
        (void)unlinkat(directory, name, 0);
    }
    (void)close(directory);
    (void)rmdir(path);
    detail("%ld", error == 0 ? made : made - 1);
    return error;
}

/* open-many MOST PATH: descriptors, until so many are open. */
int try_open_many(int count, char **words) {
    if (count < 2) return -ENOTSUP;
    long most = word_number(words[0]), made = 0;
    int error = 0, highest = -1;
    for (; made < most; made++) {
        int fd = open(words[1], O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0) {
            error = -errno;
            break;
        }
        highest = fd;
    }
    for (int fd = highest, i = 0; i < made; fd--, i++) (void)close(fd);
    detail("%ld", made);
    return error;
}
