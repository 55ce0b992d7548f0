/* State that is found again: a file for each name and schema, whole or not at all. */
#include "sdk/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    CHECKPOINT_HEAD = 20,
    CHECKPOINT_MOST = 64 << 20,
    CHECKPOINT_KEPT = 4,
    /* After which a file that was being written is nobody's any more. */
    ABANDONED_S = 600,
    FILE_NAME = 80,
    OTHER_NAME = 96,
};
static const char checkpoint_magic[] = "BKCHK001";

static bool is_checkpoint_name(const char *name) {
    const size_t length = strlen(name);
    return length >= 1 && length <= MAX_NAME && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

/* NAME.SCHEMA, with a schema as this writes them. */
static bool schema_of(const char *file, const char *name, uint32_t *schema) {
    const size_t length = strlen(name);
    if (strncmp(file, name, length) != 0 || file[length] != '.') return false;
    const char *digits = file + length + 1;
    const size_t count = strspn(digits, "0123456789");
    if (count < 1 || count > 10 || digits[count] != '\0' || (count > 1 && digits[0] == '0')) return false;
    const unsigned long long number = strtoull(digits, NULL, 10);
    if (number > UINT32_MAX) return false;
    *schema = (uint32_t)number;
    return true;
}

static int checkpoint_write(int directory, const char *file, const void *bytes, size_t length) {
    unsigned char head[CHECKPOINT_HEAD];
    struct timespec now;
    const int fd = openat(directory, file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return -errno;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    memcpy(head, checkpoint_magic, 8);
    put_number(head + 12, (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000, 8);
    put_number(head + 8, crc32_of(crc32_of(0, head + 12, 8), bytes, length), 4);
    int error = write_all(fd, head, sizeof(head));
    if (error == 0) error = write_all(fd, bytes, length);
    if (error == 0 && fsync(fd) < 0) error = -errno;
    if (close(fd) < 0 && error == 0) error = -errno;
    return error;
}

/* Opens the directory anew, for its own place in it. */
static DIR *listing(int directory) {
    const int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *files = fd < 0 ? NULL : fdopendir(fd);
    if (files == NULL && fd >= 0) (void)close(fd);
    return files;
}

/* Whether it is a file that a save of this name has begun and not ended. */
static bool is_abandoned(int directory, const char *file, const char *name) {
    const size_t length = strlen(name);
    struct stat status;
    return file[0] == '.' && strncmp(file + 1, name, length) == 0 && file[1 + length] == '.' &&
           fstatat(directory, file, &status, AT_SYMLINK_NOFOLLOW) == 0 && status.st_mtime < time(NULL) - ABANDONED_S;
}

/* Of other schemas the highest stay. What cannot be removed is left for the next time. */
static void checkpoint_clear(int directory, const char *name, uint32_t own) {
    for (;;) {
        DIR *files = listing(directory);
        unsigned int count = 0;
        uint32_t schema, lowest = UINT32_MAX;
        if (files == NULL) return;
        for (const struct dirent *each; (each = readdir(files)) != NULL;) {
            if (is_abandoned(directory, each->d_name, name)) (void)unlinkat(directory, each->d_name, 0);
            if (!schema_of(each->d_name, name, &schema)) continue;
            count++;
            if (schema != own && schema < lowest) lowest = schema;
        }
        (void)closedir(files);
        char file[FILE_NAME];
        (void)snprintf(file, sizeof(file), "%.64s.%u", name, lowest);
        if (count <= CHECKPOINT_KEPT || unlinkat(directory, file, 0) < 0) return;
    }
}

int bulkhead_save(const char *name, uint32_t schema, const void *bytes, size_t length) {
    char file[FILE_NAME], beside[OTHER_NAME];
    uint32_t chance;
    if (!is_checkpoint_name(name)) return -EINVAL;
    if (length > CHECKPOINT_MOST) return -EFBIG;
    const int directory = state_directory("checkpoint");
    if (directory < 0) return directory;
    int error = random_bytes(&chance, sizeof(chance));
    (void)snprintf(file, sizeof(file), "%.64s.%u", name, schema);
    (void)snprintf(beside, sizeof(beside), ".%s.%08x", file, chance);
    if (error == 0) error = checkpoint_write(directory, beside, bytes, length);
    if (error == 0 && renameat(directory, beside, directory, file) < 0) error = -errno;
    if (error < 0) (void)unlinkat(directory, beside, 0);
    if (error == 0 && fsync(directory) < 0) error = -errno;
    if (error == 0) checkpoint_clear(directory, name, schema);
    (void)close(directory);
    return error;
}

/* -EBADMSG: it is damaged. */
static int checkpoint_read(int directory, const char *file, void **bytes, size_t *length) {
    unsigned char head[CHECKPOINT_HEAD];
    struct stat status;
    const int fd = openat(directory, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) return errno == ELOOP ? -EBADMSG : -errno;
    int error = fstat(fd, &status) < 0 ? -errno : 0;
    const bool fits = S_ISREG(status.st_mode) && status.st_size >= CHECKPOINT_HEAD &&
                      status.st_size <= (off_t)CHECKPOINT_HEAD + CHECKPOINT_MOST;
    if (error == 0 && !fits) error = -EBADMSG;
    const size_t size = error == 0 ? (size_t)status.st_size - CHECKPOINT_HEAD : 0;
    void *content = malloc(size + 1);
    if (error == 0 && content == NULL) error = -ENOMEM;
    ssize_t got = error == 0 ? read_all(fd, head, sizeof(head)) : 0;
    if (error == 0 && got != CHECKPOINT_HEAD) error = got < 0 ? (int)got : -EBADMSG;
    got = error == 0 ? read_all(fd, content, size) : 0;
    if (error == 0 && got != (ssize_t)size) error = got < 0 ? (int)got : -EBADMSG;
    if (error == 0 && (memcmp(head, checkpoint_magic, 8) != 0 ||
                       get_number(head + 8, 4) != crc32_of(crc32_of(0, head + 12, 8), content, size)))
        error = -EBADMSG;
    (void)close(fd);
    if (error < 0) {
        free(content);
        return error;
    }
    *bytes = content;
    *length = size;
    return 0;
}

/* The highest schema that is there, up to `most`. */
static bool highest(int directory, const char *name, uint32_t most, uint32_t *found) {
    DIR *files = listing(directory);
    bool any = false;
    uint32_t schema;
    if (files == NULL) return false;
    for (const struct dirent *each; (each = readdir(files)) != NULL;) {
        if (!schema_of(each->d_name, name, &schema) || schema > most || (any && schema < *found)) continue;
        *found = schema;
        any = true;
    }
    (void)closedir(files);
    return any;
}

int bulkhead_restore(const char *name, uint32_t schema, void **bytes, size_t *length, uint32_t *found) {
    char file[FILE_NAME], damaged[OTHER_NAME];
    uint32_t at = 0;
    if (!is_checkpoint_name(name)) return -EINVAL;
    const int directory = state_directory("checkpoint");
    if (directory < 0) return directory;
    int error = -ENODATA;
    while (highest(directory, name, schema, &at)) {
        (void)snprintf(file, sizeof(file), "%.64s.%u", name, at);
        error = checkpoint_read(directory, file, bytes, length);
        if (error == 0 && found != NULL) *found = at;
        if (error != -EBADMSG) break;
        (void)snprintf(damaged, sizeof(damaged), "%s.damaged", file);
        (void)renameat(directory, file, directory, damaged);
        error = -ENODATA;
        if (at == 0) break;
        schema = at - 1;
    }
    (void)close(directory);
    return error;
}
