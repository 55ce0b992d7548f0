/* One file. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
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

/* open PATH FLAGS: r, w, rw; and c create, x only a new one, d directory, p path, n no link at the end. */
int try_open(int count, char **words) {
    if (count < 2) return -ENOTSUP;
    (void)word_unescape(words[0]);
    bool reads = strchr(words[1], 'r') != NULL, writes = strchr(words[1], 'w') != NULL;
    int flags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (reads && writes ? O_RDWR : writes ? O_WRONLY : O_RDONLY);
    for (const char *flag = words[1]; *flag != '\0'; flag++)
        flags |= *flag == 'c' ? O_CREAT : *flag == 'x' ? O_EXCL : *flag == 'd' ? O_DIRECTORY : *flag == 'p' ? O_PATH
               : *flag == 'n' ? O_NOFOLLOW : 0;
    return hold(open(words[0], flags, 0600));
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
