/* What both ends can do beyond MessagePack-RPC, and the messages of the protocol itself. */
#include "sdk/internal.h"

#include <stdlib.h>
#include <string.h>

struct hello {
    uint64_t protocol, frame;
    bool cancel, stream, drain, body, descriptor;
};

static bool read_features(struct bulkhead_reader *reader, struct hello *hello) {
    uint32_t count;
    if (!bulkhead_read_array(reader, &count)) return false;
    for (uint32_t i = 0; i < count; i++) {
        struct text feature;
        if (!bulkhead_read_text(reader, &feature.bytes, &feature.length)) return false;
        if (text_is(feature, "cancel")) hello->cancel = true;
        if (text_is(feature, "stream")) hello->stream = true;
        if (text_is(feature, "drain")) hello->drain = true;
        if (text_is(feature, "body")) hello->body = true;
        if (text_is(feature, "descriptor")) hello->descriptor = true;
    }
    return true;
}

static bool read_hello(const struct message *message, struct hello *hello) {
    struct bulkhead_reader reader = bulkhead_reader_of(message->params, (size_t)(message->params_end - message->params));
    uint32_t count;
    bool any = false;
    if (message->param_count != 1 || !bulkhead_read_map(&reader, &count)) return false;
    for (uint32_t i = 0; i < count; i++) {
        struct text key, name;
        if (!bulkhead_read_text(&reader, &key.bytes, &key.length)) return false;
        if (text_is(key, "protocol")) {
            if (!bulkhead_read_uint(&reader, &hello->protocol)) return false;
            any = true;
        } else if (text_is(key, "frame")) {
            if (!bulkhead_read_uint(&reader, &hello->frame)) return false;
        } else if (text_is(key, "features")) {
            if (!read_features(&reader, hello)) return false;
        } else if (text_is(key, "name")) {
            if (!bulkhead_read_text(&reader, &name.bytes, &name.length) || name.length > MAX_NAME) return false;
        } else if (!bulkhead_skip(&reader)) {
            return false;
        }
    }
    return any && hello->frame >= LEAST_FRAME && hello->frame <= MOST_FRAME;
}

static void write_environment(struct bulkhead_writer *writer, const char *key, const char *variable) {
    const char *value = getenv(variable);
    bulkhead_write_text(writer, key);
    if (value == NULL || !is_utf8((const unsigned char *)value, strlen(value))) bulkhead_write_nil(writer);
    else bulkhead_write_text(writer, value);
}

static void answer(struct connection *connection, uint32_t id) {
    static const char *const features[] = {"cancel", "stream", "drain", "ping", "body", "descriptor"};
    struct bulkhead_writer map = {0};
    /* The last two need a Unix socket. */
    const uint32_t count = connection->local ? 6 : 4;
    bulkhead_write_map(&map, 8);
    bulkhead_write_text(&map, "protocol");
    bulkhead_write_uint(&map, PROTOCOL);
    bulkhead_write_text(&map, "frame");
    bulkhead_write_uint(&map, connection->plugin->frame);
    bulkhead_write_text(&map, "features");
    bulkhead_write_array(&map, count);
    for (uint32_t i = 0; i < count; i++) bulkhead_write_text(&map, features[i]);
    bulkhead_write_text(&map, "window");
    bulkhead_write_uint(&map, WINDOW);
    write_environment(&map, "plugin", "BULKHEAD_PLUGIN");
    write_environment(&map, "version", "BULKHEAD_VERSION");
    write_environment(&map, "sandbox", "BULKHEAD_SANDBOX");
    bulkhead_write_text(&map, "sdk");
    bulkhead_write_text(&map, "c/" BULKHEAD_SDK_VERSION);
    send_result(connection, id, &map);
    writer_release(&map);
}

static void greet(struct connection *connection, const struct message *message) {
    struct hello hello = {.frame = DEFAULT_FRAME};
    if (connection->asked || !read_hello(message, &hello)) {
        const char *why = connection->asked ? "the greeting is the first request"
                                            : "a greeting is a map with protocol, frame and features";
        send_error(connection, message->id, "bad-params", why, NULL, false);
        return;
    }
    if (hello.protocol != PROTOCOL) {
        struct bulkhead_writer data = {0};
        bulkhead_write_map(&data, 1);
        bulkhead_write_text(&data, "protocol");
        bulkhead_write_array(&data, 1);
        bulkhead_write_uint(&data, PROTOCOL);
        send_error(connection, message->id, "unsupported-protocol", "this is protocol 1", data.failed ? NULL : &data.bytes, false);
        writer_release(&data);
        return;
    }
    connection->greeted = true;
    connection->peer_frame = (uint32_t)hello.frame;
    connection->frame = connection->plugin->frame;
    connection->cancel = hello.cancel;
    connection->stream = hello.stream;
    connection->drain = hello.drain;
    connection->body = hello.body && connection->local;
    connection->descriptor = hello.descriptor && connection->local;
    connection->scan.bodies = connection->body;
    connection->scan.descriptors = connection->descriptor;
    answer(connection, message->id);
    if (connection->plugin->draining && connection->drain) send_drain(connection);
}

/* Those that are unknown, or have not been agreed on, are ignored. */
static void control_notification(struct connection *connection, const struct message *message) {
    struct bulkhead_reader reader = bulkhead_reader_of(message->params, (size_t)(message->params_end - message->params));
    uint64_t id, more = 0;
    if (text_is(message->method, "$close")) {
        connection_end(connection);
        return;
    }
    const bool cancel = text_is(message->method, "$cancel") && connection->cancel;
    const bool credit = text_is(message->method, "$credit") && connection->stream;
    if (!cancel && !credit) return;
    if (message->param_count != (cancel ? 1 : 2) || !bulkhead_read_uint(&reader, &id) || id > UINT32_MAX ||
        (credit && (!bulkhead_read_uint(&reader, &more) || more < 1 || more > 1024))) {
        send_close(connection, "bad-frame", cancel ? "$cancel takes an id" : "$credit takes an id and 1 to 1024");
        return;
    }
    struct bulkhead_call *call = call_find(connection, (uint32_t)id);
    if (call == NULL) return;
    if (cancel) call_end(call, BULKHEAD_CANCELLED);
    else stream_credit(call, (uint32_t)more);
}
