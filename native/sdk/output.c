/* Messages to clients: made, and kept until the end of the turn, when all that one has to get goes in one write. */
#include "sdk/internal.h"

#include <stdlib.h>
#include <string.h>

static void big_endian_32(unsigned char *out, uint32_t number) {
    for (int i = 0; i < 4; i++) out[i] = (unsigned char)(number >> (8 * (3 - i)));
}

static bool add_length_prefix(struct buffer *out, size_t length) {
    unsigned char bytes[4];
    big_endian_32(bytes, (uint32_t)length);
    return buffer_add(out, bytes, sizeof(bytes));
}

static size_t item_head(uint32_t id, unsigned char head[ITEM_HEAD]) {
    memcpy(head, "\x93\x02\xa5$item\x92\xce", 10);
    big_endian_32(head + 10, id);
    return 14;
}

/* Bytes that were added to the output are accounted for, and too many of them end the connection. */
static void account(struct connection *connection, size_t before, bool whole) {
    const size_t added = connection->out.length - before;
    connection->plugin->total_output += added;
    if (!whole || connection_pending(connection) > (size_t)MAX_OUTPUT + connection->peer_frame ||
        (connection->plugin->total_output > MAX_TOTAL_OUTPUT && connection_pending(connection) > HIGH_WATER))
        connection->broken = true;
    if (before == connection->sent) connection->moved_ns = connection->plugin->now;
    connection_dirty(connection);
}

/* False: without memory, or when files of too many bytes wait already. */
static bool attach(struct connection *connection, struct bulkhead_writer *fds) {
    if (connection->plugin->total_attached > MAX_TOTAL_OUTPUT && connection->attached > HIGH_WATER) return false;
    struct attachment *attachment = malloc(sizeof(*attachment));
    if (attachment == NULL) return false;
    attachment->next = NULL;
    attachment->position = connection->sent_ever + connection_pending(connection);
    attachment->count = fds->fd_count;
    attachment->body_bytes = fds->body_bytes;
    memcpy(attachment->fds, fds->fds, sizeof(attachment->fds));
    fds->fd_count = 0;
    connection->attached += fds->body_bytes;
    connection->plugin->total_attached += fds->body_bytes;
    *connection->last_attachment = attachment;
    connection->last_attachment = &attachment->next;
    return true;
}

static void send_message(struct connection *connection, const void *head, size_t head_length, const void *body,
                         size_t body_length, struct bulkhead_writer *fds) {
    if (connection->over || connection->broken) return;
    struct buffer *out = &connection->out;
    const size_t before = out->length;
    bool whole = fds == NULL || fds->fd_count == 0 || attach(connection, fds);
    whole = whole && (connection->bare || add_length_prefix(out, head_length + body_length)) &&
            buffer_add(out, head, head_length) && buffer_add(out, body, body_length);
    account(connection, before, whole);
}

static void send_messages(struct connection *connection, const struct buffer *messages) {
    if (connection->over || connection->broken) return;
    const size_t before = connection->out.length;
    account(connection, before, buffer_add(&connection->out, messages->bytes, messages->length));
}

enum { RESPONSE_HEAD = 8 };

/* [1, ID, NIL, or without it. */
static size_t response_head(uint32_t id, unsigned char head[RESPONSE_HEAD], bool well) {
    head[0] = 0x94;
    head[1] = MESSAGE_RESPONSE;
    head[2] = 0xce;
    big_endian_32(head + 3, id);
    head[7] = 0xc0;
    return well ? 8 : 7;
}

static void send_error(struct connection *connection, uint32_t id, const char *code, const char *message,
                       const struct buffer *data, bool retry) {
    unsigned char head[RESPONSE_HEAD];
    struct bulkhead_writer error = {0};
    size_t length = strlen(message);
    if (!is_utf8((const unsigned char *)message, length)) {
        message = "the message is not UTF-8";
        length = strlen(message);
    }
    bulkhead_write_map(&error, 2 + (data != NULL) + retry);
    bulkhead_write_text(&error, "code");
    bulkhead_write_text(&error, code);
    bulkhead_write_text(&error, "message");
    bulkhead_write_bytes_of_text(&error, message, length);
    if (data != NULL) {
        bulkhead_write_text(&error, "data");
        if (!error.failed && !buffer_add(&error.bytes, data->bytes, data->length)) error.failed = true;
    }
    if (retry) {
        bulkhead_write_text(&error, "retry");
        bulkhead_write_bool(&error, true);
    }
    bulkhead_write_nil(&error);
    if (error.failed) {
        connection->broken = true;
        connection_dirty(connection);
    } else if (error.bytes.length + RESPONSE_HEAD > connection->peer_frame) {
        send_error(connection, id, code, message, NULL, retry);
    } else {
        send_message(connection, head, response_head(id, head, false), error.bytes.bytes, error.bytes.length, NULL);
    }
    writer_release(&error);
}

static void too_large(struct connection *connection, uint32_t id) {
    send_error(connection, id, "too-large", "the result is longer than the client takes", NULL, false);
}

static void send_result(struct connection *connection, uint32_t id, struct bulkhead_writer *writer) {
    unsigned char head[RESPONSE_HEAD];
    struct scan scan = {.bodies = true, .descriptors = true};
    const size_t head_length = response_head(id, head, true);
    if (writer->bytes.length == 0 && !writer->failed) bulkhead_write_nil(writer);
    if (writer->failed)
        send_error(connection, id, "failed", "the result could not be written", NULL, false);
    else if (!scan_is_value(&scan, writer->bytes.bytes, writer->bytes.length))
        send_error(connection, id, "failed", "the result is not one value of MessagePack", NULL, false);
    else if (head_length + writer->bytes.length > connection->peer_frame)
        too_large(connection, id);
    else
        send_message(connection, head, head_length, writer->bytes.bytes, writer->bytes.length, writer);
}

static void send_array(struct connection *connection, uint32_t id, uint32_t count, const struct buffer *items) {
    unsigned char head[RESPONSE_HEAD + 5];
    size_t length = response_head(id, head, true);
    head[length++] = 0xdd;
    big_endian_32(head + length, count);
    length += 4;
    if (length + items->length > connection->peer_frame)
        too_large(connection, id);
    else
        send_message(connection, head, length, items->bytes, items->length, NULL);
}

static void send_drain(struct connection *connection) {
    static const char message[] = "\x93\x02\xa6$drain\x90";
    connection->drain_told = true;
    send_message(connection, message, sizeof(message) - 1, NULL, 0, NULL);
}

/* A plain MessagePack-RPC peer would not know what to do with it. */
static void send_close(struct connection *connection, const char *code, const char *message) {
    struct bulkhead_writer text = {0};
    if (connection->bare) {
        connection_end(connection);
        return;
    }
    bulkhead_write_array(&text, 3);
    bulkhead_write_uint(&text, MESSAGE_NOTIFICATION);
    bulkhead_write_text(&text, "$close");
    bulkhead_write_array(&text, 2);
    bulkhead_write_text(&text, code);
    bulkhead_write_text(&text, message);
    if (!text.failed) send_message(connection, text.bytes.bytes, text.bytes.length, NULL, 0, NULL);
    writer_release(&text);
    connection_linger(connection);
}
