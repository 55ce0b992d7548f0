/* Requests and notifications, taken apart. */
#include "sdk/values.h"

#include <string.h>

static bool text_is(struct text text, const char *word) {
    return text.length == strlen(word) && memcmp(text.bytes, word, text.length) == 0;
}

static int hex_digit(char digit) {
    if (digit >= '0' && digit <= '9') return digit - '0';
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* So many lower-case digits, and not all of them 0. */
static bool hex(const char *text, size_t digits, unsigned char *out) {
    int any = 0;
    for (size_t i = 0; i < digits; i++) {
        int digit = hex_digit(text[i]);
        if (digit < 0) return false;
        any |= digit;
        out[i / 2] = (unsigned char)(i % 2 == 0 ? digit << 4 : out[i / 2] | digit);
    }
    return any != 0;
}

/* https://www.w3.org/TR/trace-context/#traceparent-header: 00-TRACE-PARENT-FLAGS */
static bool trace_id_of(struct text traceparent, unsigned char id[16]) {
    const char *at = traceparent.bytes;
    unsigned char parent[8];
    return traceparent.length == TRACEPARENT_SIZE && memcmp(at, "00-", 3) == 0 && hex(at + 3, 32, id) && at[35] == '-' &&
           hex(at + 36, 16, parent) && at[52] == '-' && hex_digit(at[53]) >= 0 && hex_digit(at[54]) >= 0;
}

static bool read_name(struct bulkhead_reader *reader, size_t most, struct text *out) {
    return bulkhead_read_text(reader, &out->bytes, &out->length) && out->length >= 1 && out->length <= most;
}

static bool read_number(struct bulkhead_reader *reader, uint32_t most, uint32_t *out) {
    uint64_t number;
    if (!bulkhead_read_uint(reader, &number) || number < 1 || number > most) return false;
    *out = (uint32_t)number;
    return true;
}

static const char *parse_meta(struct bulkhead_reader *reader, struct message *message) {
    uint32_t count;
    if (!bulkhead_read_map(reader, &count)) return "meta is no map";
    for (uint32_t i = 0; i < count; i++) {
        struct text key, value;
        if (!bulkhead_read_text(reader, &key.bytes, &key.length)) return "meta is no map";
        if (text_is(key, "deadline")) {
            if (!read_number(reader, MAX_DEADLINE_MS, &message->deadline_ms)) return "deadline is not from 1 to 86400000";
        } else if (text_is(key, "stream")) {
            if (!read_number(reader, 1024, &message->stream)) return "stream is not from 1 to 1024";
        } else if (text_is(key, "traceparent")) {
            unsigned char id[16];
            if (!bulkhead_read_text(reader, &value.bytes, &value.length)) return "traceparent is no string";
            if (trace_id_of(value, id)) message->traceparent = value;
        } else if (text_is(key, "tracestate")) {
            if (!bulkhead_read_text(reader, &value.bytes, &value.length) || value.length > MAX_TRACESTATE)
                return "tracestate is no string of at most 512 bytes";
            message->tracestate = value;
        } else if (text_is(key, "idempotency")) {
            if (!read_name(reader, MAX_METHOD, &message->idempotency)) return "idempotency is no string of 1 to 128 bytes";
        } else {
            (void)bulkhead_skip(reader);
        }
    }
    return NULL;
}

static const char *message_parse(const unsigned char *bytes, size_t length, struct message *message) {
    struct bulkhead_reader reader = bulkhead_reader_of(bytes, length);
    uint32_t count;
    uint64_t type, id = 0;
    *message = (struct message){0};
    if (!bulkhead_read_array(&reader, &count) || count == 0) return "a message is an array";
    if (!bulkhead_read_uint(&reader, &type) || type > MESSAGE_NOTIFICATION) return "a message begins with 0, 1 or 2";
    message->type = (enum message_type)type;
    if (type == MESSAGE_RESPONSE) return "a server has asked nothing";
    /* 3 or 4 of a notification; a request has an id more. */
    const uint32_t least = type == MESSAGE_REQUEST ? 4 : 3;
    if (count < least || count > least + 1) return "a message of another length";
    if (type == MESSAGE_REQUEST && (!bulkhead_read_uint(&reader, &id) || id > UINT32_MAX)) return "an id is not from 0 to 2^32-1";
    message->id = (uint32_t)id;
    if (!read_name(&reader, MAX_METHOD, &message->method)) return "a method is no string of 1 to 128 bytes";
    struct bulkhead_reader params = reader;
    if (!bulkhead_read_array(&params, &message->param_count)) return "params is no array";
    message->params = params.at;
    (void)bulkhead_skip(&reader);
    message->params_end = reader.at;
    return count == least ? NULL : parse_meta(&reader, message);
}
