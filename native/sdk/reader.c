/* Reads MessagePack values. Nothing here trusts the bytes: what does not fit is not there. */
#include "sdk/values.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static uint64_t big_endian(const unsigned char *at, size_t size) {
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++) number = number << 8 | at[i];
    return number;
}

/* The length that follows the first byte; false when it is not there. */
static bool length_of(const unsigned char *at, size_t have, size_t size, struct head *head) {
    if (have < 1 + size) return false;
    head->size = 1 + size;
    head->payload = big_endian(at + 1, size);
    return true;
}

static bool number_of(const unsigned char *at, size_t have, size_t size, bool is_signed, struct head *head) {
    if (have < 1 + size) return false;
    head->type = BULKHEAD_INT;
    head->size = 1 + size;
    head->number = big_endian(at + 1, size);
    head->negative = is_signed && (at[1] & 0x80) != 0;
    if (head->negative && size < 8) head->number |= ~UINT64_C(0) << (8 * size);
    return true;
}

static bool real_of(const unsigned char *at, size_t have, size_t size, struct head *head) {
    if (have < 1 + size) return false;
    head->type = BULKHEAD_DOUBLE;
    head->size = 1 + size;
    if (size == 4) {
        uint32_t bits = (uint32_t)big_endian(at + 1, 4);
        float real;
        memcpy(&real, &bits, sizeof(real));
        head->real = real;
    } else {
        uint64_t bits = big_endian(at + 1, 8);
        memcpy(&head->real, &bits, sizeof(head->real));
    }
    return true;
}

static bool counted(enum bulkhead_type type, uint64_t count, struct head *head) {
    head->type = type;
    head->payload = 0;
    head->count = (uint32_t)count;
    return true;
}

static bool extension_of(const unsigned char *at, size_t have, size_t size, size_t fixed, struct head *head) {
    if (have < 2 + size) return false;
    head->type = BULKHEAD_OTHER;
    head->size = 2 + size;
    head->payload = size == 0 ? fixed : big_endian(at + 1, size);
    head->extension = (signed char)at[1 + size];
    if (head->extension == 1 && head->payload == 9) head->type = BULKHEAD_BINARY;
    if (head->extension == 2 && head->payload == 1) head->type = BULKHEAD_DESCRIPTOR;
    return true;
}

static bool head_of(const unsigned char *at, const unsigned char *end, struct head *head) {
    const size_t have = (size_t)(end - at);
    if (have == 0) return false;
    const unsigned char first = *at;
    *head = (struct head){.type = BULKHEAD_OTHER, .size = 1};
    if (first <= 0x7f || first >= 0xe0) {
        head->type = BULKHEAD_INT;
        head->negative = first >= 0xe0;
        head->number = (uint64_t)(int64_t)(signed char)first;
        return true;
    }
    if (first <= 0x8f) return counted(BULKHEAD_MAP, first & 0x0f, head);
    if (first <= 0x9f) return counted(BULKHEAD_ARRAY, first & 0x0f, head);
    if (first <= 0xbf) {
        head->type = BULKHEAD_TEXT;
        head->payload = first & 0x1f;
        return true;
    }
    switch (first) {
        case 0xc0: head->type = BULKHEAD_NIL; return true;
        case 0xc2:
        case 0xc3: head->type = BULKHEAD_BOOL; head->number = first & 1; return true;
        case 0xc4:
        case 0xc5:
        case 0xc6: head->type = BULKHEAD_BINARY; return length_of(at, have, (size_t)1 << (first - 0xc4), head);
        case 0xc7:
        case 0xc8:
        case 0xc9: return extension_of(at, have, (size_t)1 << (first - 0xc7), 0, head);
        case 0xca:
        case 0xcb: return real_of(at, have, first == 0xca ? 4 : 8, head);
        case 0xcc:
        case 0xcd:
        case 0xce:
        case 0xcf: return number_of(at, have, (size_t)1 << (first - 0xcc), false, head);
        case 0xd0:
        case 0xd1:
        case 0xd2:
        case 0xd3: return number_of(at, have, (size_t)1 << (first - 0xd0), true, head);
        case 0xd4:
        case 0xd5:
        case 0xd6:
        case 0xd7:
        case 0xd8: return extension_of(at, have, 0, (size_t)1 << (first - 0xd4), head);
        case 0xd9:
        case 0xda:
        case 0xdb: head->type = BULKHEAD_TEXT; return length_of(at, have, (size_t)1 << (first - 0xd9), head);
        case 0xdc:
        case 0xdd: return length_of(at, have, first == 0xdc ? 2 : 4, head) && counted(BULKHEAD_ARRAY, head->payload, head);
        case 0xde:
        case 0xdf: return length_of(at, have, first == 0xde ? 2 : 4, head) && counted(BULKHEAD_MAP, head->payload, head);
        default: return true; /* 0xc1, which no value begins with */
    }
}

/* The head of the next value, if it is there with its payload. */
static bool next_value(const struct bulkhead_reader *reader, struct head *head) {
    return head_of(reader->at, reader->end, head) && head->payload <= (uint64_t)(reader->end - reader->at) - head->size;
}

struct bulkhead_reader bulkhead_reader_of(const void *bytes, size_t length) {
    return (struct bulkhead_reader){.at = bytes, .end = (const unsigned char *)bytes + length};
}

enum bulkhead_type bulkhead_peek(const struct bulkhead_reader *reader) {
    struct head head;
    return next_value(reader, &head) ? head.type : BULKHEAD_END;
}

static bool take_value(struct bulkhead_reader *reader, enum bulkhead_type type, struct head *head) {
    if (!next_value(reader, head) || head->type != type) return false;
    reader->at += head->size + (size_t)head->payload;
    return true;
}

bool bulkhead_read_nil(struct bulkhead_reader *reader) {
    struct head head;
    return take_value(reader, BULKHEAD_NIL, &head);
}

bool bulkhead_read_bool(struct bulkhead_reader *reader, bool *out) {
    struct head head;
    if (!take_value(reader, BULKHEAD_BOOL, &head)) return false;
    *out = head.number != 0;
    return true;
}

bool bulkhead_read_int(struct bulkhead_reader *reader, int64_t *out) {
    struct head head;
    if (!next_value(reader, &head) || head.type != BULKHEAD_INT || (!head.negative && head.number > INT64_MAX)) return false;
    reader->at += head.size;
    *out = (int64_t)head.number;
    return true;
}

bool bulkhead_read_uint(struct bulkhead_reader *reader, uint64_t *out) {
    struct head head;
    if (!next_value(reader, &head) || head.type != BULKHEAD_INT || head.negative) return false;
    reader->at += head.size;
    *out = head.number;
    return true;
}

bool bulkhead_read_double(struct bulkhead_reader *reader, double *out) {
    struct head head;
    if (!next_value(reader, &head) || (head.type != BULKHEAD_DOUBLE && head.type != BULKHEAD_INT)) return false;
    reader->at += head.size;
    if (head.type == BULKHEAD_DOUBLE) *out = head.real;
    else *out = head.negative ? (double)(int64_t)head.number : (double)head.number;
    return true;
}

bool bulkhead_read_text(struct bulkhead_reader *reader, const char **text, size_t *length) {
    struct head head;
    if (!take_value(reader, BULKHEAD_TEXT, &head)) return false;
    *length = (size_t)head.payload;
    *text = (const char *)reader->at - head.payload;
    return true;
}

/* Which of the message's files or descriptors an extension stands for; NULL for none. */
static struct body *mentioned(const struct bulkhead_reader *reader, const unsigned char *payload) {
    return reader->bodies != NULL && payload[0] < reader->bodies->count ? &reader->bodies->each[payload[0]] : NULL;
}

bool bulkhead_read_binary(struct bulkhead_reader *reader, const void **bytes, size_t *length) {
    struct head head;
    if (!next_value(reader, &head) || head.type != BULKHEAD_BINARY) return false;
    const unsigned char *payload = reader->at + head.size;
    const struct body *body = head.extension == 1 ? mentioned(reader, payload) : NULL;
    if (head.extension == 1 && (body == NULL || body->map == NULL)) return false;
    *bytes = body == NULL ? payload : body->map;
    *length = body == NULL ? (size_t)head.payload : body->length;
    reader->at = payload + head.payload;
    return true;
}

bool bulkhead_read_array(struct bulkhead_reader *reader, uint32_t *count) {
    struct head head;
    if (!take_value(reader, BULKHEAD_ARRAY, &head)) return false;
    *count = head.count;
    return true;
}

bool bulkhead_read_map(struct bulkhead_reader *reader, uint32_t *count) {
    struct head head;
    if (!take_value(reader, BULKHEAD_MAP, &head)) return false;
    *count = head.count;
    return true;
}

bool bulkhead_read_descriptor(struct bulkhead_reader *reader, int *fd) {
    struct head head;
    if (!next_value(reader, &head) || head.type != BULKHEAD_DESCRIPTOR) return false;
    struct body *body = mentioned(reader, reader->at + head.size);
    if (body == NULL || body->fd < 0 || body->map != NULL) return false;
    *fd = body->fd;
    body->fd = -1;
    reader->at += head.size + (size_t)head.payload;
    return true;
}

bool bulkhead_skip(struct bulkhead_reader *reader) {
    struct bulkhead_reader from = *reader;
    /* Values that are still to come. It cannot overflow: each takes a byte of what is there. */
    for (uint64_t left = 1; left > 0; left--) {
        struct head head;
        if (!next_value(&from, &head)) return false;
        if (head.type == BULKHEAD_ARRAY) left += head.count;
        if (head.type == BULKHEAD_MAP) left += 2 * (uint64_t)head.count;
        from.at += head.size + (size_t)head.payload;
        if (left - 1 > (uint64_t)(from.end - from.at)) return false;
    }
    reader->at = from.at;
    return true;
}
