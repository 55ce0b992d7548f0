#pragma once
#include <stddef.h>
#include <sys/types.h>

/* Bytes that wait to be taken, first in, first out. All zeros is an empty one. Out of memory ends the process. */
struct bytes {
    char *room;
    size_t start, length, size;
};

void bytes_add(struct bytes *bytes, const void *from, size_t length);

/* Where they begin, in one piece; valid until the next call. */
char *bytes_at(const struct bytes *bytes);

/* Lets go of the first ones; of the memory, too, when none is left. */
void bytes_take(struct bytes *bytes, size_t length);

void bytes_clear(struct bytes *bytes);

/* What is read at a time. */
enum { READ_SIZE = 65536 };

/* Reads once. Returns how many, 0 at the end, or -errno. */
ssize_t bytes_read(struct bytes *bytes, int fd);

/* Writes until there is no more, or the other end takes none now. Returns 0 or -errno, never -EAGAIN. */
int bytes_write(struct bytes *bytes, int fd);
