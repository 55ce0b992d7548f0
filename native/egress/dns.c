/*
 * Messages of the domain name system (RFC 1035), as far as a stub resolver needs them: whoever answers a recursive
 * question has followed aliases already, so that all addresses of the answer are the name's.
 */
#include "egress/dns.h"

#include <string.h>

enum { HEADER = 12, CLASS_IN = 1, OPT = 41 };
/* The second 16 bits of a message. */
enum { IS_ANSWER = 0x8000, OPERATION = 0x7800, RECURSE = 0x0100, RESULT = 0x000f };
enum { NO_ERROR = 0, NO_SUCH_NAME = 3 };

static uint16_t read16(const unsigned char *at) { return (uint16_t)(at[0] << 8 | at[1]); }

static uint32_t read32(const unsigned char *at) { return (uint32_t)read16(at) << 16 | read16(at + 2); }

static void write16(unsigned char *at, unsigned int value) {
    at[0] = (unsigned char)(value >> 8);
    at[1] = (unsigned char)value;
}

size_t dns_question(unsigned char out[DNS_MESSAGE], uint16_t id, const char *name, uint16_t type) {
    size_t length = strlen(name);
    if (length == 0 || length > 253) return 0;
    (void)memset(out, 0, HEADER);
    write16(out, id);
    write16(out + 2, RECURSE);
    write16(out + 4, 1);
    write16(out + 10, 1);
    size_t used = HEADER;
    for (const char *label = name; *label != '\0';) {
        size_t size = strcspn(label, ".");
        if (size == 0 || size > 63) return 0;
        out[used++] = (unsigned char)size;
        (void)memcpy(out + used, label, size);
        used += size;
        label += size + (label[size] == '.');
    }
    out[used++] = 0;
    write16(out + used, type);
    write16(out + used + 2, CLASS_IN);
    used += 4;
    /* The root's OPT record: how much we take. */
    const unsigned char opt[11] = {0, 0, OPT, DNS_MESSAGE >> 8, DNS_MESSAGE & 0xff};
    (void)memcpy(out + used, opt, sizeof(opt));
    return used + sizeof(opt);
}

/* The place after a name: labels, then an empty one or a pointer. 0 when the message ends before. */
static size_t skip_name(const unsigned char *message, size_t length, size_t at) {
    while (at < length) {
        if (message[at] == 0) return at + 1;
        if ((message[at] & 0xc0) == 0xc0) return at + 2 <= length ? at + 2 : 0;
        if ((message[at] & 0xc0) != 0) return 0;
        at += (size_t)message[at] + 1;
    }
    return 0;
}

static void take(struct dns_answer *answer, uint16_t type, const unsigned char *data) {
    if (answer->count == MOST_ADDRESSES) return;
    struct address *address = &answer->addresses[answer->count++];
    *address = (struct address){0};
    if (type == DNS_A) {
        address->length = sizeof(address->four);
        address->four.sin_family = AF_INET;
        (void)memcpy(&address->four.sin_addr, data, sizeof(address->four.sin_addr));
    } else {
        address->length = sizeof(address->six);
        address->six.sin6_family = AF_INET6;
        (void)memcpy(&address->six.sin6_addr, data, sizeof(address->six.sin6_addr));
    }
}

enum dns_verdict dns_read(const unsigned char *message, size_t length, const unsigned char *question,
                          size_t question_length, struct dns_answer *answer) {
    *answer = (struct dns_answer){.time_to_live = UINT32_MAX};
    size_t end = skip_name(question, question_length, HEADER) + 4;
    if (length < end || read16(message) != read16(question) || read16(message + 4) != 1) return DNS_STRANGE;
    unsigned int flags = read16(message + 2);
    if ((flags & IS_ANSWER) == 0 || (flags & OPERATION) != 0) return DNS_STRANGE;
    if (memcmp(message + HEADER, question + HEADER, end - HEADER) != 0) return DNS_STRANGE;
    unsigned int result = flags & RESULT;
    if (result == NO_SUCH_NAME) return DNS_ANSWER;
    if (result != NO_ERROR) return DNS_FAILURE;

    uint16_t type = read16(question + end - 4);
    size_t at = end;
    for (unsigned int left = read16(message + 6); left > 0; left--) {
        at = skip_name(message, length, at);
        /* An answer that was cut off counts as far as it came. */
        if (at == 0 || at + 10 > length) break;
        size_t size = read16(message + at + 8);
        if (at + 10 + size > length) break;
        uint32_t time = read32(message + at + 4);
        if (time < answer->time_to_live) answer->time_to_live = time;
        bool is_address = read16(message + at) == type && read16(message + at + 2) == CLASS_IN;
        if (is_address && size == (type == DNS_A ? 4U : 16U)) take(answer, type, message + at + 10);
        at += 10 + size;
    }
    return DNS_ANSWER;
}
