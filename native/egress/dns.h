#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "forward/address.h"

/* A message over UDP, as large as we say that we take (EDNS, RFC 6891). */
enum { DNS_MESSAGE = 1232, DNS_A = 1, DNS_AAAA = 28, DNS_PORT = 53 };

/* Writes a question about a name of letters, digits, hyphens and dots. Returns its length, or 0 for another name. */
size_t dns_question(unsigned char out[DNS_MESSAGE], uint16_t id, const char *name, uint16_t type);

enum dns_verdict {
    /* Addresses, or the certainty that there are none. */
    DNS_ANSWER,
    /* The server cannot say; another one may. */
    DNS_FAILURE,
    /* No answer to this question. */
    DNS_STRANGE,
};

struct dns_answer {
    struct address addresses[MOST_ADDRESSES];
    size_t count;
    /* The shortest of all, in seconds. */
    uint32_t time_to_live;
};

/* Reads what came as the answer to `question`. Ports of the addresses are 0. */
enum dns_verdict dns_read(const unsigned char *message, size_t length, const unsigned char *question,
                          size_t question_length, struct dns_answer *answer);
