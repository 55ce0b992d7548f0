#pragma once
#include <stdbool.h>

#include "stdio/bytes.h"
#include "stdio/json.h"

/* A message of JSON-RPC 2.0 as it came. Parts that it does not have are empty. */

enum message_kind {
    MESSAGE_REQUEST,
    MESSAGE_NOTIFICATION,
    MESSAGE_RESPONSE,
    /* It is not JSON. */
    MESSAGE_MALFORMED,
    /* It is, and no message: also one that two readers could understand differently. */
    MESSAGE_INVALID,
};

struct message {
    enum message_kind kind;
    struct span whole, id, method, params, result, error;
    /* What is in `params`, as far as it is an object. */
    struct span name, request_id, progress_token;
    /* What is in `_meta` of `params`. */
    struct span meta_token, meta_traceparent;
};

/* Whatever its kind, `id` is a string, a number or empty. */
void message_read(struct message *message, struct span line);

/* One part of a message that is replaced; of an empty one nothing is. */
struct edit {
    struct span part, by;
};

/* The message with its parts replaced, and an end of line. */
void message_add(struct bytes *out, const struct message *message, struct edit first, struct edit second);

/* Of a traceparent (W3C, version 00) that is well formed; false for any other text. */
bool message_trace_id(struct span traceparent, unsigned char trace_id[16]);

/* A decimal number, in memory that is good until the next call but one. */
struct span message_number(unsigned long number);
