/* How a call ends, and what a method may ask about it. */
#include "sdk/internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static void send_answer(struct bulkhead_call *call) {
    struct connection *connection = call->connection;
    if (call->deadline_ns > 0 && now_ns() > call->deadline_ns)
        send_error(connection, call->id, "deadline-exceeded", "it was not done in time", NULL, false);
    else if (call->too_long)
        send_error(connection, call->id, "too-large", "the result is longer than the client takes", NULL, false);
    else if (call->answer == ANSWER_ERROR)
        send_error(connection, call->id, call->code, call->message, call->with_data ? &call->writer.bytes : NULL, false);
    else if (call->collects)
        send_array(connection, call->id, call->item_count, &call->items);
    else
        send_result(connection, call->id, &call->writer);
    connection->quiet_ns = connection->plugin->now;
}

static void call_finish(struct bulkhead_call *call) {
    if (call->over) return;
    if (!call->threaded) leave_loop(call);
    if (call->open) send_answer(call);
    leave_connection(call);
    call->deadline_ns = call->after_ns = 0;
    timer_set(call);
    call->over = true;
    if (!call->streaming) call_give_back(call);
}

/* The first answer counts. A call of a thread is finished by the loop. */
static void answered(struct bulkhead_call *call, enum answer answer) {
    if (call->answer != ANSWER_NONE) return;
    call->answer = answer;
    if (call->threaded || call->entered > 0) return;
    call_finish(call);
}

struct bulkhead_writer *bulkhead_result(struct bulkhead_call *call) {
    return &call->writer;
}

void bulkhead_return(struct bulkhead_call *call) {
    answered(call, ANSWER_RESULT);
}

static bool is_code(const char *code) {
    const size_t length = strlen(code);
    return length >= 1 && length <= MAX_CODE && strspn(code, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

/* Cut where a character ends, as far as it is UTF-8. */
static void set_error(struct bulkhead_call *call, const char *code, const char *message) {
    size_t length = strlen(message);
    if (length > MAX_MESSAGE) {
        length = MAX_MESSAGE;
        while (length > 0 && ((unsigned char)message[length] & 0xc0) == 0x80) length--;
    }
    memmove(call->message, message, length);
    call->message[length] = '\0';
    (void)snprintf(call->code, sizeof(call->code), "%s", is_code(code) ? code : "failed");
}

void bulkhead_fail(struct bulkhead_call *call, const char *code, const char *format, ...) {
    char message[MAX_MESSAGE + 8];
    va_list arguments;
    if (call->answer != ANSWER_NONE) return;
    va_start(arguments, format);
    (void)vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    set_error(call, code, message);
    answered(call, ANSWER_ERROR);
}

void bulkhead_fail_with(struct bulkhead_call *call, const char *code, const char *message) {
    struct scan scan = {0};
    if (call->answer != ANSWER_NONE) return;
    set_error(call, code, message);
    /* Descriptors do not go with errors. */
    call->with_data = !call->writer.failed && scan_is_value(&scan, call->writer.bytes.bytes, call->writer.bytes.length);
    answered(call, ANSWER_ERROR);
}

struct bulkhead_reader *bulkhead_params(struct bulkhead_call *call) {
    return &call->params;
}

uint32_t bulkhead_param_count(const struct bulkhead_call *call) {
    return call->param_count;
}

enum bulkhead_end bulkhead_ended(const struct bulkhead_call *call) {
    return (enum bulkhead_end)atomic_load_explicit(&call->ended, memory_order_relaxed);
}

int64_t bulkhead_deadline_ms(const struct bulkhead_call *call) {
    if (call->deadline_ns == 0) return -1;
    const uint64_t now = now_ns();
    return now >= call->deadline_ns ? 0 : (int64_t)((call->deadline_ns - now + 999999) / 1000000);
}

const char *bulkhead_traceparent(const struct bulkhead_call *call) {
    return call->traceparent;
}

const char *bulkhead_tracestate(const struct bulkhead_call *call) {
    return call->tracestate;
}

const char *bulkhead_idempotency(const struct bulkhead_call *call) {
    return call->idempotency;
}

bool bulkhead_greeted(const struct bulkhead_call *call) {
    return call->greeted;
}

struct bulkhead_plugin *bulkhead_plugin_of(const struct bulkhead_call *call) {
    return call->plugin;
}

void bulkhead_on_end(struct bulkhead_call *call, bulkhead_callback *callback, void *context) {
    call->on_end = callback;
    call->end_context = context;
}

void bulkhead_after(struct bulkhead_call *call, uint32_t ms, bulkhead_callback *callback, void *context) {
    if (call->threaded) return;
    call->on_after = callback;
    call->after_context = context;
    call->after_ns = now_ns() + (uint64_t)ms * 1000000;
    timer_set(call);
}

void bulkhead_progress(struct bulkhead_call *call) {
    activity_progress(call->slot);
}

void bulkhead_note(struct bulkhead_call *call, const char *text) {
    activity_record(&call->plugin->activity, RECORD_NOTE, call, text, strlen(text), 0);
}

void bulkhead_audit(struct bulkhead_call *call, const char *text) {
    activity_record(&call->plugin->activity, RECORD_AUDIT, call, text, strlen(text), 0);
}
