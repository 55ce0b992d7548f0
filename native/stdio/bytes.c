#include "stdio/bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stdio/say.h"

enum { LEAST = 4096 };

/* Room for so many more behind those that are there. */
static char *make_room(struct bytes *bytes, size_t more) {
    if (bytes->start > 0 && bytes->start + bytes->length + more > bytes->size) {
        memmove(bytes->room, bytes->room + bytes->start, bytes->length);
        bytes->start = 0;
    }
    if (bytes->length + more > bytes->size) {
        size_t size = bytes->size < LEAST ? LEAST : bytes->size;
        while (size < bytes->length + more) size *= 2;
        char *room = realloc(bytes->room, size);
        if (room == NULL) die("out of memory");
        bytes->room = room;
        bytes->size = size;
    }
    return bytes->room + bytes->start + bytes->length;
}

void bytes_add(struct bytes *bytes, const void *from, size_t length) {
    if (length == 0) return;
    memcpy(make_room(bytes, length), from, length);
    bytes->length += length;
}

char *bytes_at(const struct bytes *bytes) { return bytes->room + bytes->start; }

void bytes_take(struct bytes *bytes, size_t length) {
    bytes->start += length;
    bytes->length -= length;
    if (bytes->length == 0) bytes_clear(bytes);
}

void bytes_clear(struct bytes *bytes) {
    bytes->start = bytes->length = 0;
    /* One large message is no reason to keep its memory. */
    if (bytes->size <= LEAST) return;
    free(bytes->room);
    *bytes = (struct bytes){0};
}

ssize_t bytes_read(struct bytes *bytes, int fd) {
    static char piece[READ_SIZE];
    ssize_t got;
    do got = read(fd, piece, sizeof(piece));
    while (got < 0 && errno == EINTR);
    if (got > 0) bytes_add(bytes, piece, (size_t)got);
    return got < 0 ? -errno : got;
}

int bytes_write(struct bytes *bytes, int fd) {
    while (bytes->length > 0) {
        ssize_t put = write(fd, bytes_at(bytes), bytes->length);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return errno == EAGAIN ? 0 : -errno;
        bytes_take(bytes, (size_t)put);
    }
    return 0;
}
