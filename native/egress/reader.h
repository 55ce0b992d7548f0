#pragma once
#include <stdbool.h>
#include <sys/types.h>

#include "forward/address.h"

/* As many as resolv.conf(5) has. */
enum { MOST_SERVERS = 3 };

/* Both are messages on a socket of the two processes. */
struct reader_question {
    unsigned int index;
    char name[HOST_SIZE];
};

struct reader_answer {
    unsigned int index;
    /* What /etc/hosts says of the name; ports are 0. */
    struct address addresses[MOST_ADDRESSES];
    size_t address_count;
    /* Where else to ask. */
    struct address servers[MOST_SERVERS];
    size_t server_count;
};

/*
 * Starts the process that reads files for one that may open none. It sees no network and runs as `id`; it ends with
 * the socket. Returns this end of the socket, or -errno.
 */
int reader_start(uid_t id);
