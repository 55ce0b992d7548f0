/* Bytes that grow. */
#include "sdk/values.h"

#include <stdlib.h>
#include <string.h>

static bool buffer_reserve(struct buffer *buffer, size_t more) {
    if (buffer->size - buffer->length >= more) return true;
    if (more > SIZE_MAX / 4 || buffer->length > SIZE_MAX / 4) return false;
    size_t size = buffer->size < 512 ? 512 : buffer->size * 2;
    if (size < buffer->length + more) size = buffer->length + more;
    unsigned char *bytes = realloc(buffer->bytes, size);
    if (bytes == NULL) return false;
    buffer->bytes = bytes;
    buffer->size = size;
    return true;
}

static bool buffer_add(struct buffer *buffer, const void *bytes, size_t length) {
    if (!buffer_reserve(buffer, length)) return false;
    if (length > 0) memcpy(buffer->bytes + buffer->length, bytes, length);
    buffer->length += length;
    return true;
}

static void buffer_free(struct buffer *buffer) {
    free(buffer->bytes);
    *buffer = (struct buffer){0};
}

static void buffer_reset(struct buffer *buffer, size_t keep) {
    if (buffer->size > keep)
        buffer_free(buffer);
    else
        buffer->length = 0;
}
