/* Results in parts: no more than the client has given credit for, and than it reads. */
#include "sdk/internal.h"

#include <errno.h>
#include <string.h>

static void stream_list(struct bulkhead_call *call) {
    if (call->on_credit == NULL || call->streaming || call->over) return;
    call->streaming = true;
    call->next_streaming = call->plugin->streaming;
    call->plugin->streaming = call;
}

/* Whether there is room for it. */
static bool add_credit(struct bulkhead_call *call, uint32_t more) {
    if (call->credit > MAX_CREDIT - more) return false;
    call->credit += more;
    return true;
}

static void stream_credit(struct bulkhead_call *call, uint32_t more) {
    bool added;
    if (!call->streams) return;
    if (call->threaded) {
        (void)pthread_mutex_lock(&call->plugin->lock);
        added = add_credit(call, more);
        (void)pthread_cond_broadcast(&call->plugin->change);
        (void)pthread_mutex_unlock(&call->plugin->lock);
    } else {
        added = add_credit(call, more);
        stream_list(call);
    }
    if (!added) send_close(call->connection, "bad-frame", "more than 65536 credits are open");
}

uint32_t bulkhead_credit(const struct bulkhead_call *call) {
    if (call->threaded || call->connection == NULL || bulkhead_ended(call) != BULKHEAD_GOES_ON) return 0;
    if (call->streams) return connection_clogged(call->connection) ? 0 : call->credit;
    return call->collects && !call->too_long ? STREAM_TURN : 0;
}

void bulkhead_on_credit(struct bulkhead_call *call, bulkhead_callback *callback, void *context) {
    if (call->threaded) return;
    call->on_credit = callback;
    call->credit_context = context;
    stream_list(call);
}

static bool streams_turn(struct bulkhead_plugin *plugin) {
    struct bulkhead_call *call = plugin->streaming;
    plugin->streaming = NULL;
    for (struct bulkhead_call *next; call != NULL; call = next) {
        next = call->next_streaming;
        bool alive = !call->over;
        for (int i = 0; alive && i < STREAM_TURN && call->on_credit != NULL && bulkhead_credit(call) > 0; i++) {
            alive = call_enter(call, call->on_credit, call->credit_context);
            /* call_finish() has left it to this list. */
            if (call->over) alive = false;
        }
        call->streaming = false;
        if (call->over) call_give_back(call);
        else if (bulkhead_credit(call) > 0) stream_list(call);
    }
    return plugin->streaming != NULL;
}

/* The value that was written, as far as it can be a part. */
static int check_item(struct bulkhead_call *call) {
    struct scan scan = {0};
    if (!call->streams && !call->collects) return call->notification ? -ECANCELED : -EINVAL;
    if (bulkhead_ended(call) != BULKHEAD_GOES_ON || call->answer != ANSWER_NONE) return -ECANCELED;
    if (call->writer.failed || !scan_is_value(&scan, call->writer.bytes.bytes, call->writer.bytes.length)) return -EINVAL;
    const size_t others = call->collects ? call->items.length : 0;
    if (call->writer.bytes.length + others + ITEM_HEAD > call->frame) call->too_long = true;
    return call->too_long ? -EMSGSIZE : 0;
}

static int add_part(struct bulkhead_call *call) {
    if (!buffer_add(&call->items, call->writer.bytes.bytes, call->writer.bytes.length)) return -ENOMEM;
    call->item_count++;
    return 0;
}

/* As a message, which the loop only has to pass on. */
static int add_message(struct bulkhead_call *call) {
    unsigned char head[ITEM_HEAD];
    const size_t before = call->items.length, length = item_head(call->id, head);
    if (add_length_prefix(&call->items, length + call->writer.bytes.length) && buffer_add(&call->items, head, length) &&
        buffer_add(&call->items, call->writer.bytes.bytes, call->writer.bytes.length))
        return 0;
    call->items.length = before;
    return -ENOMEM;
}

static int item_of_thread(struct bulkhead_call *call) {
    struct bulkhead_plugin *plugin = call->plugin;
    (void)pthread_mutex_lock(&plugin->lock);
    while (bulkhead_ended(call) == BULKHEAD_GOES_ON && call->streams &&
           (call->credit == 0 || call->items.length > THREAD_ITEMS))
        (void)pthread_cond_wait(&plugin->change, &plugin->lock);
    int result = bulkhead_ended(call) != BULKHEAD_GOES_ON ? -ECANCELED : call->streams ? add_message(call) : add_part(call);
    if (result == 0 && call->streams) {
        call->credit--;
        threads_list(call);
    }
    (void)pthread_mutex_unlock(&plugin->lock);
    return result;
}

static int item_of_loop(struct bulkhead_call *call) {
    unsigned char head[ITEM_HEAD];
    if (call->collects) return add_part(call);
    if (call->credit == 0 || connection_clogged(call->connection)) return -EAGAIN;
    call->credit--;
    send_message(call->connection, head, item_head(call->id, head), call->writer.bytes.bytes, call->writer.bytes.length, NULL);
    return 0;
}

int bulkhead_item(struct bulkhead_call *call) {
    int result = check_item(call);
    if (result == 0) result = call->threaded ? item_of_thread(call) : item_of_loop(call);
    if (result == -EAGAIN) return result;
    writer_reset(&call->writer);
    if (result == 0) activity_progress(call->slot);
    return result;
}

static void stream_move(struct bulkhead_call *call) {
    struct bulkhead_plugin *plugin = call->plugin;
    if (call->streams && call->open && connection_clogged(call->connection)) return;
    (void)pthread_mutex_lock(&plugin->lock);
    if (call->streams && call->items.length > 0) {
        if (call->open) send_messages(call->connection, &call->items);
        if (call->items.length > THREAD_ITEMS) (void)pthread_cond_broadcast(&plugin->change);
        call->items.length = 0;
    }
    const bool done = call->done;
    (void)pthread_mutex_unlock(&plugin->lock);
    if (done) call_finish(call);
}
