#include "stdio/message.h"

#include <stdio.h>
#include <string.h>

enum { MOST_ID = 256 };

static bool is_id(struct span value) {
    return value.length <= MOST_ID && (json_is_string(value) || json_is_integer(value));
}

/* Members of an object; of anything else none. False where they are ambiguous. */
static bool members(struct span value, const char *const *names, struct span *values, size_t count) {
    for (size_t i = 0; i < count; i++) values[i] = (struct span){0};
    return !json_is_object(value) || json_members(value, names, values, count) == JSON_OBJECT;
}

static bool read_params(struct message *message) {
    static const char *const names[] = {"name", "requestId", "progressToken", "_meta"};
    static const char *const meta_names[] = {"progressToken", "traceparent"};
    struct span found[4], meta[2];
    if (!members(message->params, names, found, 4) || !members(found[3], meta_names, meta, 2)) return false;
    message->name = found[0];
    message->request_id = found[1];
    message->progress_token = found[2];
    message->meta_token = meta[0];
    message->meta_traceparent = meta[1];
    return (message->progress_token.at == NULL || is_id(message->progress_token)) &&
           (message->meta_token.at == NULL || is_id(message->meta_token)) &&
           (message->request_id.at == NULL || is_id(message->request_id));
}

static enum message_kind kind_of(const struct message *message, struct span version) {
    const bool has_id = message->id.at != NULL, has_method = message->method.at != NULL;
    if (!span_is(version, "\"2.0\"")) return MESSAGE_INVALID;
    /* One with escapes could be read as one of those that the bridge has to know. */
    if (has_method && (!json_is_string(message->method) || memchr(message->method.at, '\\', message->method.length) != NULL))
        return MESSAGE_INVALID;
    if (has_method) return has_id ? MESSAGE_REQUEST : MESSAGE_NOTIFICATION;
    const bool is_response = has_id && (message->result.at != NULL) != (message->error.at != NULL);
    return is_response ? MESSAGE_RESPONSE : MESSAGE_INVALID;
}

void message_read(struct message *message, struct span line) {
    static const char *const names[] = {"jsonrpc", "id", "method", "params", "result", "error"};
    struct span found[6];
    *message = (struct message){.kind = MESSAGE_INVALID, .whole = line};
    enum json_result result = json_members(line, names, found, 6);
    if (result == JSON_MALFORMED) message->kind = MESSAGE_MALFORMED;
    if (result != JSON_OBJECT) return;
    const bool good_id = found[1].at == NULL || is_id(found[1]);
    if (good_id) message->id = found[1];
    message->method = found[2];
    message->params = found[3];
    message->result = found[4];
    message->error = found[5];
    if (good_id && read_params(message)) message->kind = kind_of(message, found[0]);
    /* Without its quotes it is what people call it. */
    if (json_is_string(message->method)) message->method = (struct span){message->method.at + 1, message->method.length - 2};
}

void message_add(struct bytes *out, const struct message *message, struct edit first, struct edit second) {
    if (second.part.at != NULL && (first.part.at == NULL || second.part.at < first.part.at)) {
        struct edit other = first;
        first = second;
        second = other;
    }
    const char *at = message->whole.at, *end = at + message->whole.length;
    const struct edit edits[] = {first, second};
    for (int i = 0; i < 2; i++) {
        if (edits[i].part.at == NULL) continue;
        bytes_add(out, at, (size_t)(edits[i].part.at - at));
        bytes_add(out, edits[i].by.at, edits[i].by.length);
        at = edits[i].part.at + edits[i].part.length;
    }
    bytes_add(out, at, (size_t)(end - at));
    bytes_add(out, "\n", 1);
}

static int digit(char of) {
    if (of >= '0' && of <= '9') return of - '0';
    return of >= 'a' && of <= 'f' ? of - 'a' + 10 : -1;
}

bool message_trace_id(struct span traceparent, unsigned char trace_id[16]) {
    /* "00-", 32 digits, '-', 16 digits, '-', 2 digits; and the quotes. */
    if (traceparent.length != 57 || memcmp(traceparent.at, "\"00-", 4) != 0 || traceparent.at[36] != '-') return false;
    unsigned char any = 0;
    for (int i = 0; i < 16; i++) {
        int high = digit(traceparent.at[4 + 2 * i]), low = digit(traceparent.at[5 + 2 * i]);
        if (high < 0 || low < 0) return false;
        trace_id[i] = (unsigned char)(high << 4 | low);
        any |= trace_id[i];
    }
    return any != 0;
}

struct span message_number(unsigned long number) {
    static char texts[2][24];
    static unsigned int turn;
    char *text = texts[++turn % 2];
    return (struct span){text, (size_t)snprintf(text, sizeof(texts[0]), "%lu", number)};
}
