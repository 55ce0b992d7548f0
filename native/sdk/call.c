/* A call from its request to its answer. */
#include "sdk/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct bulkhead_call *call_new(struct bulkhead_plugin *plugin) {
    struct bulkhead_call *call = plugin->spare;
    if (call == NULL) {
        call = calloc(1, sizeof(*call));
    } else {
        plugin->spare = call->next;
        plugin->spare_count--;
        const size_t from = offsetof(struct bulkhead_call, plugin);
        memset((char *)call + from, 0, offsetof(struct bulkhead_call, bodies) - from);
    }
    if (call == NULL) return NULL;
    call->bodies.count = 0;
    call->code[0] = call->message[0] = '\0';
    call->plugin = plugin;
    plugin->calls++;
    return call;
}

static void call_give_back(struct bulkhead_call *call) {
    struct bulkhead_plugin *plugin = call->plugin;
    plugin->calls--;
    plugin->held -= call->size;
    if (call->notification) plugin->notifications--;
    bodies_release(&call->bodies);
    writer_reset(&call->writer);
    if (plugin->spare_count == SPARE_CALLS) {
        writer_release(&call->writer);
        buffer_free(&call->bytes);
        buffer_free(&call->items);
        free(call);
        return;
    }
    buffer_reset(&call->bytes, SCRATCH / 4);
    buffer_reset(&call->items, SCRATCH / 4);
    call->next = plugin->spare;
    plugin->spare = call;
    plugin->spare_count++;
}

static struct bulkhead_call *call_find(struct connection *connection, uint32_t id) {
    for (struct bulkhead_call *call = connection->calls; call != NULL; call = call->next)
        if (call->open && call->id == id) return call;
    return NULL;
}

static void leave_connection(struct bulkhead_call *call) {
    struct connection *connection = call->connection;
    if (connection == NULL) return;
    if (call->previous != NULL) call->previous->next = call->next;
    else connection->calls = call->next;
    if (call->next != NULL) call->next->previous = call->previous;
    if (call->notification) {
        connection->notified--;
        connection->notified_bytes -= call->size;
    } else {
        connection->in_hands--;
    }
    if (call->open) connection->open--;
    if (connection->held) connection_dirty(connection);
    call->open = false;
    call->connection = NULL;
}

/* A text of the message, with a NUL, behind the message; there is room for all of them. */
static const char *keep_text(struct bulkhead_call *call, struct text text) {
    if (text.length == 0) return NULL;
    char *kept = (char *)call->bytes.bytes + call->bytes.length;
    memcpy(kept, text.bytes, text.length);
    kept[text.length] = '\0';
    call->bytes.length += text.length + 1;
    return kept;
}

static bool keep_message(struct bulkhead_call *call, const struct message *message, const unsigned char *bytes,
                         size_t length, struct buffer *owner) {
    const size_t params = (size_t)(message->params - bytes), end = (size_t)(message->params_end - bytes);
    size_t offset = 0;
    if (owner != NULL) {
        const struct buffer taken = *owner;
        offset = (size_t)(bytes - owner->bytes);
        *owner = (struct buffer){0};
        buffer_free(&call->bytes);
        call->bytes = taken;
    } else if (!buffer_reserve(&call->bytes, length + META_ROOM) || !buffer_add(&call->bytes, bytes, length)) {
        return false;
    }
    call->params = (struct bulkhead_reader){.at = call->bytes.bytes + offset + params, .end = call->bytes.bytes + offset + end};
    call->traceparent = keep_text(call, message->traceparent);
    call->tracestate = keep_text(call, message->tracestate);
    call->idempotency = keep_text(call, message->idempotency);
    call->size = length;
    call->plugin->held += length;
    return true;
}

static void join_connection(struct bulkhead_call *call, struct connection *connection) {
    call->connection = connection;
    call->next = connection->calls;
    if (call->next != NULL) call->next->previous = call;
    connection->calls = call;
    if (call->notification) {
        connection->notified++;
        connection->notified_bytes += call->size;
    } else {
        connection->in_hands++;
        connection->open++;
    }
}

/* The loop's calls in the order in which they came: its slot tells of the oldest. */
static void join_loop(struct bulkhead_call *call) {
    struct bulkhead_plugin *plugin = call->plugin;
    call->slot = activity_slot(&plugin->activity, 0);
    call->older = plugin->newest;
    if (call->older != NULL) call->older->newer = call;
    else plugin->oldest = call;
    plugin->newest = call;
    activity_tell(call->slot, ++plugin->loop_calls, plugin->oldest);
    activity_record(&plugin->activity, RECORD_BEGAN, call, call->method->name, call->method->length, 0);
}

static void leave_loop(struct bulkhead_call *call) {
    struct bulkhead_plugin *plugin = call->plugin;
    if (call->older != NULL) call->older->newer = call->newer;
    else plugin->oldest = call->newer;
    if (call->newer != NULL) call->newer->older = call->older;
    else plugin->newest = call->older;
    plugin->loop_calls--;
    call_account(call);
    activity_tell(call->slot, plugin->loop_calls, plugin->oldest);
}

static void call_account(struct bulkhead_call *call) {
    const bool well = call->answer == ANSWER_RESULT && bulkhead_ended(call) == BULKHEAD_GOES_ON;
    activity_count(call->slot, well);
    activity_record(&call->plugin->activity, well ? RECORD_WELL : RECORD_BADLY, call, call->method->name,
                    call->method->length, now_ns() - call->began_ns);
}

/* Nobody is told of a notification that is not served, so its connection ends. */
static void refuse_call(struct connection *connection, const struct message *message, const char *text) {
    if (message->type == MESSAGE_REQUEST) send_error(connection, message->id, "overloaded", text, NULL, true);
    else send_close(connection, "overloaded", text);
}

static void call_begin(struct connection *connection, const struct message *message, const unsigned char *bytes,
                       size_t length, struct buffer *owner, struct bulkhead_bodies *bodies) {
    struct bulkhead_plugin *plugin = connection->plugin;
    struct method *method = plugin_find(plugin, message->method);
    if (message->type == MESSAGE_REQUEST && call_find(connection, message->id) != NULL) {
        send_close(connection, "bad-frame", "two requests have the same id");
        return;
    }
    if (method == NULL) {
        if (message->type == MESSAGE_REQUEST)
            send_error(connection, message->id, "unknown-method", "this plugin has no such method", NULL, false);
        return;
    }
    struct bulkhead_call *call = NULL;
    if ((connection->in_hands < WINDOW || message->type == MESSAGE_NOTIFICATION) && plugin->calls < MAX_CALLS &&
        plugin->held + length <= MOST_HELD)
        call = call_new(plugin);
    if (call == NULL) {
        refuse_call(connection, message, "too many calls at a time, or too large ones");
        return;
    }
    call->notification = message->type == MESSAGE_NOTIFICATION;
    if (call->notification) plugin->notifications++;
    if (!keep_message(call, message, bytes, length, owner)) {
        call_give_back(call);
        refuse_call(connection, message, "there is no memory for it");
        return;
    }
    call->method = method;
    call->threaded = method->threaded;
    call->id = message->id;
    call->open = !call->notification;
    call->greeted = connection->greeted;
    call->frame = connection->peer_frame;
    call->param_count = message->param_count;
    call->streams = method->parts && message->stream > 0 && connection->stream && !call->notification;
    call->credit = message->stream;
    call->collects = method->parts && !call->streams && !call->notification;
    call->bodies = *bodies;
    bodies->count = 0;
    call->params.bodies = call->bodies.count > 0 ? &call->bodies : NULL;
    /* Parts are written by threads, too, and go without descriptors. */
    call->writer.frame = connection->peer_frame;
    const bool beside = !method->parts && !call->notification;
    call->writer.bodies = connection->body && beside;
    call->writer.descriptors = connection->descriptor && beside;
    if (!trace_id_of(message->traceparent, call->trace_id)) memset(call->trace_id, 0, sizeof(call->trace_id));
    call->began_ns = now_ns();
    if (message->deadline_ms > 0) call->deadline_ns = call->began_ns + (uint64_t)message->deadline_ms * 1000000;
    join_connection(call, connection);
    if (call->threaded) {
        if (threads_queue(call) < 0) {
            leave_connection(call);
            call_give_back(call);
            refuse_call(connection, message, "there is no thread for it");
            return;
        }
        timer_set(call);
        return;
    }
    join_loop(call);
    if (call_enter(call, method->callback, method->context)) timer_set(call);
}

static bool call_enter(struct bulkhead_call *call, bulkhead_callback *callback, void *context) {
    call->entered++;
    callback(call, context);
    call->entered--;
    if (call->entered > 0 || call->answer == ANSWER_NONE) return true;
    call_finish(call);
    return false;
}

static void call_end(struct bulkhead_call *call, enum bulkhead_end why) {
    struct connection *connection = call->connection;
    if (why == BULKHEAD_GONE) {
        leave_connection(call);
        /* Nobody waited for it in the first place. */
        if (call->notification) return;
    }
    if (bulkhead_ended(call) != BULKHEAD_GOES_ON) return;
    if (call->threaded) (void)pthread_mutex_lock(&call->plugin->lock);
    atomic_store(&call->ended, (int)why);
    if (call->threaded) {
        (void)pthread_cond_broadcast(&call->plugin->change);
        (void)pthread_mutex_unlock(&call->plugin->lock);
    }
    if (call->open) {
        const bool cancelled = why == BULKHEAD_CANCELLED;
        send_error(connection, call->id, cancelled ? "cancelled" : "deadline-exceeded",
                   cancelled ? "the client has cancelled it" : "it was not done in time", NULL, false);
        call->open = false;
        connection->open--;
    }
    timer_set(call);
    if (call->threaded) {
        if (threads_withdraw(call)) {
            leave_connection(call);
            call_give_back(call);
            return;
        }
        /* It may be done, and have waited for room in the output. */
        (void)pthread_mutex_lock(&call->plugin->lock);
        threads_list(call);
        (void)pthread_mutex_unlock(&call->plugin->lock);
    } else if (call->on_end != NULL) {
        bulkhead_callback *on_end = call->on_end;
        call->on_end = NULL;
        (void)call_enter(call, on_end, call->end_context);
    }
}
