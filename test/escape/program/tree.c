/* All files that can be seen. Only what can be written, connected to or opened as a device is told. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "hostile.h"

typedef void seen(const char *path, const struct stat *status);

static long looked;

/* Not below processes: what is there is tried one by one, and comes and goes. */
static bool is_process(const char *path) {
    return strncmp(path, "/proc/", 6) == 0 && (strspn(path + 6, "0123456789") > 0 || strstr(path + 6, "self") == path + 6 ||
                                                strcmp(path + 6, "thread-self") == 0);
}

static void walk(const char *path, seen *see) {
    struct stat status;
    if (is_process(path) || lstat(path, &status) < 0) return;
    looked++;
    see(path, &status);
    if (!S_ISDIR(status.st_mode)) return;
    DIR *directory = opendir(path);
    if (directory == NULL) return;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        char *below;
        if (asprintf(&below, "%s/%s", strcmp(path, "/") == 0 ? "" : path, entry->d_name) < 0) break;
        walk(below, see);
        free(below);
    }
    (void)closedir(directory);
}

static int from_root(int count, char **words, seen *see) {
    looked = 0;
    walk(count > 0 ? words[0] : "/", see);
    /* Something was looked at, or nothing was tried at all. */
    return looked > 1 ? 0 : -ENOENT;
}

static void try_to_write(const char *path, const struct stat *status) {
    char file[PATH_MAX];
    int fd = -1;
    if (S_ISDIR(status->st_mode) && snprintf(file, sizeof(file), "%s/.hostile", path) < (int)sizeof(file)) {
        fd = open(file, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
        if (fd >= 0) (void)unlink(file);
    }
    if (S_ISREG(status->st_mode) || S_ISFIFO(status->st_mode)) fd = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return;
    (void)close(fd);
    detail_bytes(path, strlen(path));
    detail(" ");
}

int try_writable(int count, char **words) { return from_root(count, words, try_to_write); }

static void try_to_connect(const char *path, const struct stat *status) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!S_ISSOCK(status->st_mode) || strlen(path) >= sizeof(address.sun_path)) return;
    (void)memcpy(address.sun_path, path, strlen(path));
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    detail_bytes(path, strlen(path));
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        int fd = socket(AF_UNIX, types[i] | SOCK_CLOEXEC, 0);
        int result = fd < 0 ? -1 : connect(fd, (struct sockaddr *)&address, sizeof(address));
        detail(":%s", result < 0 ? strerrorname_np(errno) : "ok");
        if (fd >= 0) (void)close(fd);
    }
    detail(" ");
}

int try_sockets(int count, char **words) { return from_root(count, words, try_to_connect); }

static void try_device(const char *path, const struct stat *status) {
    if (!S_ISCHR(status->st_mode) && !S_ISBLK(status->st_mode)) return;
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    detail_bytes(path, strlen(path));
    detail(":%s ", fd < 0 ? strerrorname_np(errno) : "ok");
    if (fd >= 0) (void)close(fd);
}

int try_devices(int count, char **words) { return from_root(count, words, try_device); }
