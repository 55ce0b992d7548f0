#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/connection.h"

/* Longest block of words. */
enum { MAX_WORDS = 4 << 20 };

struct request {
    char unit[256];
    /* Ends with NULL. */
    char **words;
};

enum request_result {
    REQUEST_WHOLE,
    /* The other end went away: nobody is there to be told. */
    REQUEST_GONE,
    /* Not understood, with a text. */
    REQUEST_WRONG,
};

int64_t now_ms(void);

/* Waits until the descriptor can be read or is at its end. False: not until then. */
bool wait_readable(int fd, int64_t deadline);

/* Reads `spawn 1 UNIT LENGTH` and its words, with the descriptors into the connection. `wrong` is a constant text. */
enum request_result request_read(struct connection *connection, struct request *request, int64_t deadline,
                                 const char **wrong);
