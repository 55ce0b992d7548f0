/* One file. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hostile.h"

int held = -1;

int hold(int fd) {
    if (fd < 0) return -errno;
    if (held >= 0) (void)close(held);
    held = fd;
    return 0;
}

static int flags_of(const char *word) {
    bool reads = strchr(word, 'r') != NULL, writes = strchr(word, 'w') != NULL;
    int flags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (reads && writes ? O_RDWR : writes ? O_WRONLY : O_RDONLY);
    for (; *word != '\0'; word++)
        flags |= *word == 'c' ? O_CREAT : *word == 'x' ? O_EXCL : *word == 'd' ? O_DIRECTORY : 0;
    return flags;
}

/* open PATH FLAGS: r, w, rw; and c create, x only a new one, d directory. */
int try_open(int count, char **words) {
    if (count < 2) return -ENOTSUP;
    (void)word_unescape(words[0]);
    return hold(open(words[0], flags_of(words[1]), 0600));
}

/* reopen FLAGS: what is held, once more by its name in /proc. */
int try_reopen(int count, char **words) {
    char path[64];
    if (count < 1) return -ENOTSUP;
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", held);
    return hold(open(path, flags_of(words[0])));
}

/* read COUNT from the held one; tells the bytes. */
int try_read(int count, char **words) {
    static char bytes[16384];
    size_t size = count > 0 ? (size_t)word_number(words[0]) : sizeof(bytes);
    ssize_t got = read(held, bytes, size < sizeof(bytes) ? size : sizeof(bytes));
    if (got < 0) return -errno;
    detail_bytes(bytes, (size_t)got);
    return 0;
}

/* write TEXT to the held one. */
int try_write(int count, char **words) {
    if (count < 1) return -ENOTSUP;
    size_t length = word_unescape(words[0]);
    ssize_t done = write(held, words[0], length);
    if (done < 0) return -errno;
    detail("%zd", done);
    return 0;
}

int try_list(int count, char **words) {
    DIR *directory = opendir(count > 0 ? words[0] : ".");
    if (directory == NULL) return -errno;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        detail_bytes(entry->d_name, strlen(entry->d_name));
        detail(" ");
    }
    (void)closedir(directory);
    return 0;
}

int try_read_link(int count, char **words) {
    char target[4096];
    ssize_t length = count < 1 ? -1 : readlink(words[0], target, sizeof(target));
    if (length < 0) return -errno;
    detail_bytes(target, (size_t)length);
    return 0;
}

int try_stat(int count, char **words) {
    struct stat status;
    if (count < 1) return -ENOTSUP;
    if (stat(words[0], &status) < 0) return -errno;
    detail("%o %u %u %ju", status.st_mode, status.st_uid, status.st_gid, (uintmax_t)status.st_ino);
    return 0;
}
