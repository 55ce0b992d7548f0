/* Files of the state directory. */
#include "sdk/state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static uint32_t crc32_of(uint32_t crc, const void *bytes, size_t length) {
    const unsigned char *at = bytes;
    /* Of each half of a byte; the polynomial is 0xedb88320, of IEEE 802.3. */
    static const uint32_t table[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
                                       0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                       0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    crc = ~crc;
    for (size_t i = 0; i < length; i++) {
        crc = table[(crc ^ at[i]) & 15] ^ crc >> 4;
        crc = table[(crc ^ at[i] >> 4) & 15] ^ crc >> 4;
    }
    return ~crc;
}

static void put_number(unsigned char *at, uint64_t number, size_t size) {
    for (size_t i = 0; i < size; i++) at[size - 1 - i] = (unsigned char)(number >> (8 * i));
}

static uint64_t get_number(const unsigned char *at, size_t size) {
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++) number = number << 8 | at[i];
    return number;
}

static int state_directory(const char *name) {
    const char *state = getenv("STATE_DIRECTORY");
    char path[PATH_MAX];
    if (state == NULL || *state == '\0') return -ENOENT;
    /* systemd.exec(5): several are divided by colons. */
    const int length = snprintf(path, sizeof(path), "%.*s/%s", (int)strcspn(state, ":"), state, name);
    if (length < 0 || (size_t)length >= sizeof(path)) return -ENAMETOOLONG;
    if (mkdir(path, 0700) < 0 && errno != EEXIST) return -errno;
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int write_all(int fd, const void *bytes, size_t length) {
    for (size_t done = 0; done < length;) {
        const ssize_t written = write(fd, (const char *)bytes + done, length - done);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return written < 0 ? -errno : -ENOSPC;
        done += (size_t)written;
    }
    return 0;
}

static ssize_t read_all(int fd, void *bytes, size_t length) {
    size_t done = 0;
    while (done < length) {
        const ssize_t got = read(fd, (char *)bytes + done, length - done);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -errno;
        if (got == 0) break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

static int random_bytes(void *bytes, size_t length) {
    ssize_t got;
    do got = getrandom(bytes, length, 0);
    while (got < 0 && errno == EINTR);
    return got == (ssize_t)length ? 0 : got < 0 ? -errno : -EIO;
}
