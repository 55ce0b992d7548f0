#pragma once
#include <stdbool.h>
#include <stddef.h>

/* Longest line of our protocols without its '\n' (docs/internals.md). */
enum { LINE_SIZE = 4096 };
/* As many descriptors as one message can carry. */
enum { CONNECTION_MAX_FDS = 253 };

/* A stream of lines to and from the supervisor, with descriptors. Nothing here blocks. */
struct connection {
    int fd;
    char buffer[LINE_SIZE + 1];
    size_t used;
    int fds[CONNECTION_MAX_FDS];
    size_t fd_count;
};

enum connection_event {
    /* A whole line is at the start of the buffer. */
    CONNECTION_LINE,
    /* Nothing more for now. */
    CONNECTION_EMPTY,
    /* The other end closed it, or it broke. */
    CONNECTION_CLOSED,
    /* A line that is too long, or too many descriptors. */
    CONNECTION_MALFORMED,
};

/* Connects to a stream socket. Returns 0, or -errno; then there is nothing to close. */
int connection_open(struct connection *connection, const char *path);

void connection_close(struct connection *connection);

/* Sends a short text whole, or fails: -EAGAIN if the other end does not read. Returns 0 or -errno. */
int connection_send(struct connection *connection, const char *text, size_t length);

/* Reads until there is a line. `*line` is valid until connection_drop_line(); its '\n' is replaced by NUL. */
enum connection_event connection_line(struct connection *connection, char **line, size_t *length);

void connection_drop_line(struct connection *connection, size_t length);
