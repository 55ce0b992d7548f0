#include "spawner/request.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/text.h"

int64_t now_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool wait_readable(int fd, int64_t deadline) {
    for (;;) {
        int64_t left = deadline - now_ms();
        if (left <= 0) return false;
        struct pollfd polled = {.fd = fd, .events = POLLIN};
        if (poll(&polled, 1, (int)left) > 0) return true;
    }
}

/* The unit's name and the length of the words; false if the line is not ours. Cuts the line into its words. */
static bool parse_line(char *line, size_t length, struct request *request, size_t *words) {
    static const char hello[] = "spawn 1 ";
    unsigned long number;
    if (!text_is_printable(line, length) || strncmp(line, hello, sizeof(hello) - 1) != 0) return false;
    char *unit = line + sizeof(hello) - 1, *size = strchr(unit, ' ');
    if (size == NULL) return false;
    *size++ = '\0';
    if (!text_is_unit_name(unit) || !text_number(size, 1, MAX_WORDS, &number)) return false;
    (void)strcpy(request->unit, unit);
    *words = number;
    return true;
}

/* Reads `length` bytes, of which the connection may have some already. */
static enum request_result read_block(struct connection *connection, char *block, size_t length, int64_t deadline) {
    size_t got = connection->used < length ? connection->used : length;
    memcpy(block, connection->buffer, got);
    connection->used -= got;
    memmove(connection->buffer, connection->buffer + got, connection->used);
    while (got < length) {
        ssize_t more = recv(connection->fd, block + got, length - got, 0);
        if (more > 0) {
            got += (size_t)more;
        } else if (more == 0 || (errno != EAGAIN && errno != EINTR)) {
            return REQUEST_GONE;
        } else if (!wait_readable(connection->fd, deadline)) {
            return REQUEST_WRONG;
        }
    }
    return REQUEST_WHOLE;
}

/* NULL when out of memory. */
static char **split(char *block, size_t length) {
    size_t count = 0;
    for (size_t i = 0; i < length; i++) count += block[i] == '\0';
    char **words = calloc(count + 1, sizeof(char *));
    if (words == NULL) return NULL;
    for (size_t i = 0; i < count; i++) {
        words[i] = block;
        block += strlen(block) + 1;
    }
    return words;
}

enum request_result request_read(struct connection *connection, struct request *request, int64_t deadline,
                                 const char **wrong) {
    char *line;
    size_t length, size;
    enum connection_event event;
    while ((event = connection_line(connection, &line, &length)) == CONNECTION_EMPTY)
        if (!wait_readable(connection->fd, deadline)) break;
    if (event == CONNECTION_CLOSED) return REQUEST_GONE;
    *wrong = event == CONNECTION_EMPTY       ? "it did not come in time"
             : event == CONNECTION_MALFORMED ? "its line is too long, or it has too many descriptors"
                                             : "its line is not understood";
    if (event != CONNECTION_LINE || !parse_line(line, length, request, &size)) return REQUEST_WRONG;
    connection_drop_line(connection, length);

    char *block = malloc(size);
    *wrong = "out of memory";
    if (block == NULL) return REQUEST_WRONG;
    *wrong = "it did not come in time";
    enum request_result result = read_block(connection, block, size, deadline);
    if (result != REQUEST_WHOLE) return result;
    *wrong = "its words do not end with NUL";
    if (block[size - 1] != '\0') return REQUEST_WRONG;
    *wrong = "out of memory";
    request->words = split(block, size);
    return request->words == NULL ? REQUEST_WRONG : REQUEST_WHOLE;
}
