/* Writes MessagePack values, in their shortest forms. */
#include "sdk/values.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void writer_drop_fds(struct bulkhead_writer *writer) {
    for (unsigned int i = 0; i < writer->fd_count; i++) (void)close(writer->fds[i]);
    writer->fd_count = 0;
    writer->body_bytes = 0;
}

static void writer_reset(struct bulkhead_writer *writer) {
    writer_drop_fds(writer);
    buffer_reset(&writer->bytes, 65536);
    writer->failed = false;
}

static void writer_release(struct bulkhead_writer *writer) {
    writer_drop_fds(writer);
    buffer_free(&writer->bytes);
}

static void add(struct bulkhead_writer *writer, const void *bytes, size_t length) {
    if (!writer->failed && !buffer_add(&writer->bytes, bytes, length)) writer->failed = true;
}

/* A first byte and a number of so many bytes, big endian. */
static void add_number(struct bulkhead_writer *writer, unsigned char first, uint64_t number, size_t size) {
    unsigned char bytes[9] = {first};
    for (size_t i = 0; i < size; i++) bytes[size - i] = (unsigned char)(number >> (8 * i));
    add(writer, bytes, size + 1);
}

void bulkhead_write_nil(struct bulkhead_writer *writer) {
    add(writer, "\xc0", 1);
}

void bulkhead_write_bool(struct bulkhead_writer *writer, bool value) {
    add(writer, value ? "\xc3" : "\xc2", 1);
}

void bulkhead_write_uint(struct bulkhead_writer *writer, uint64_t value) {
    if (value <= 0x7f) add_number(writer, (unsigned char)value, 0, 0);
    else if (value <= UINT8_MAX) add_number(writer, 0xcc, value, 1);
    else if (value <= UINT16_MAX) add_number(writer, 0xcd, value, 2);
    else if (value <= UINT32_MAX) add_number(writer, 0xce, value, 4);
    else add_number(writer, 0xcf, value, 8);
}

void bulkhead_write_int(struct bulkhead_writer *writer, int64_t value) {
    if (value >= 0) bulkhead_write_uint(writer, (uint64_t)value);
    else if (value >= -32) add_number(writer, (unsigned char)value, 0, 0);
    else if (value >= INT8_MIN) add_number(writer, 0xd0, (uint64_t)value, 1);
    else if (value >= INT16_MIN) add_number(writer, 0xd1, (uint64_t)value, 2);
    else if (value >= INT32_MIN) add_number(writer, 0xd2, (uint64_t)value, 4);
    else add_number(writer, 0xd3, (uint64_t)value, 8);
}

void bulkhead_write_double(struct bulkhead_writer *writer, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    add_number(writer, 0xcb, bits, 8);
}

/* Lengths of arrays and maps, which have no form of one byte, begin at `two`. */
static void add_length(struct bulkhead_writer *writer, unsigned char one, unsigned char two, size_t length) {
    if (one != 0 && length <= UINT8_MAX) add_number(writer, one, length, 1);
    else if (length <= UINT16_MAX) add_number(writer, two, length, 2);
    else add_number(writer, two + 1, length, 4);
}

void bulkhead_write_bytes_of_text(struct bulkhead_writer *writer, const char *text, size_t length) {
    if (length > UINT32_MAX) {
        writer->failed = true;
        return;
    }
    if (length <= 31) add_number(writer, (unsigned char)(0xa0 | length), 0, 0);
    else add_length(writer, 0xd9, 0xda, length);
    add(writer, text, length);
}

void bulkhead_write_text(struct bulkhead_writer *writer, const char *text) {
    bulkhead_write_bytes_of_text(writer, text, strlen(text));
}

void bulkhead_write_array(struct bulkhead_writer *writer, uint32_t count) {
    if (count <= 15) add_number(writer, (unsigned char)(0x90 | count), 0, 0);
    else add_length(writer, 0, 0xdc, count);
}

void bulkhead_write_map(struct bulkhead_writer *writer, uint32_t count) {
    if (count <= 15) add_number(writer, (unsigned char)(0x80 | count), 0, 0);
    else add_length(writer, 0, 0xde, count);
}

static bool goes_as_file(const struct bulkhead_writer *writer, size_t length) {
    if (!writer->bodies || length < BODY_LEAST || length > MAX_BODY || writer->fd_count == MESSAGE_FDS) return false;
    return length >= BODY_FASTER || writer->bytes.length + length + BODY_LEAST > writer->frame;
}

void bulkhead_write_binary(struct bulkhead_writer *writer, const void *bytes, size_t length) {
    if (goes_as_file(writer, length)) {
        int fd = body_make(bytes, length);
        if (fd >= 0) {
            const unsigned char head[] = {0xc7, 9, 1, (unsigned char)writer->fd_count};
            unsigned char size[8];
            for (size_t i = 0; i < 8; i++) size[7 - i] = (unsigned char)((uint64_t)length >> (8 * i));
            writer->fds[writer->fd_count++] = fd;
            writer->body_bytes += length;
            add(writer, head, sizeof(head));
            add(writer, size, sizeof(size));
            return;
        }
        /* Without memory or descriptors for a file it goes as bytes, if the frame limit lets it. */
    }
    if (length > UINT32_MAX) {
        writer->failed = true;
        return;
    }
    add_length(writer, 0xc4, 0xc5, length);
    add(writer, bytes, length);
}

void bulkhead_write_descriptor(struct bulkhead_writer *writer, int fd) {
    int copy = writer->descriptors && writer->fd_count < MESSAGE_FDS ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;
    if (copy < 0) {
        writer->failed = true;
        return;
    }
    const unsigned char bytes[] = {0xd4, 2, (unsigned char)writer->fd_count};
    writer->fds[writer->fd_count++] = copy;
    add(writer, bytes, sizeof(bytes));
}

/* Values that stand for what came beside the message are written anew: numbers of descriptors are those of a message. */
bool bulkhead_write_copy(struct bulkhead_writer *writer, struct bulkhead_reader *reader) {
    struct bulkhead_reader end = *reader;
    if (!bulkhead_skip(&end)) return false;
    if (reader->bodies == NULL || reader->bodies->count == 0) add(writer, reader->at, (size_t)(end.at - reader->at));
    while (reader->bodies != NULL && reader->at < end.at) {
        struct head head;
        const void *bytes;
        size_t length;
        if (!head_of(reader->at, end.at, &head)) break;
        if (head.extension == 1 && bulkhead_read_binary(reader, &bytes, &length)) {
            bulkhead_write_binary(writer, bytes, length);
            continue;
        }
        if (head.type == BULKHEAD_DESCRIPTOR && head.extension == 2) {
            const unsigned char index = reader->at[head.size];
            bulkhead_write_descriptor(writer, index < reader->bodies->count ? reader->bodies->each[index].fd : -1);
        } else {
            add(writer, reader->at, head.size + (size_t)head.payload);
        }
        reader->at += head.size + (size_t)head.payload;
    }
    reader->at = end.at;
    return true;
}

struct bulkhead_writer *bulkhead_writer_new(void) {
    return calloc(1, sizeof(struct bulkhead_writer));
}

void bulkhead_writer_free(struct bulkhead_writer *writer) {
    if (writer == NULL) return;
    writer_release(writer);
    free(writer);
}

const void *bulkhead_writer_bytes(const struct bulkhead_writer *writer, size_t *length) {
    *length = writer->failed ? 0 : writer->bytes.length;
    return writer->failed ? NULL : writer->bytes.bytes != NULL ? (const void *)writer->bytes.bytes : "";
}
