/* Deadlines of calls and what methods wait for: a heap, the next one first, of the calls that have any. */
#include "sdk/internal.h"

#include <stdlib.h>

static bool before(const struct bulkhead_plugin *plugin, size_t a, size_t b) {
    return plugin->timers[a - 1]->wake_ns < plugin->timers[b - 1]->wake_ns;
}

static void place(struct bulkhead_plugin *plugin, struct bulkhead_call *call, size_t at) {
    plugin->timers[at - 1] = call;
    call->timer = at;
}

static void swap(struct bulkhead_plugin *plugin, size_t a, size_t b) {
    struct bulkhead_call *one = plugin->timers[a - 1], *other = plugin->timers[b - 1];
    place(plugin, other, a);
    place(plugin, one, b);
}

static void settle(struct bulkhead_plugin *plugin, size_t at) {
    for (; at > 1 && before(plugin, at, at / 2); at /= 2) swap(plugin, at, at / 2);
    for (;;) {
        size_t least = at;
        for (size_t child = 2 * at; child <= 2 * at + 1 && child <= plugin->timer_count; child++)
            if (before(plugin, child, least)) least = child;
        if (least == at) return;
        swap(plugin, at, least);
        at = least;
    }
}

static void clear(struct bulkhead_call *call) {
    struct bulkhead_plugin *plugin = call->plugin;
    const size_t at = call->timer;
    if (at == 0) return;
    swap(plugin, at, plugin->timer_count);
    plugin->timer_count--;
    call->timer = 0;
    if (at <= plugin->timer_count) settle(plugin, at);
}

static void timer_set(struct bulkhead_call *call) {
    struct bulkhead_plugin *plugin = call->plugin;
    uint64_t wake = call->after_ns;
    if (call->deadline_ns > 0 && bulkhead_ended(call) == BULKHEAD_GOES_ON && (wake == 0 || call->deadline_ns < wake))
        wake = call->deadline_ns;
    if (wake == 0) {
        clear(call);
        return;
    }
    call->wake_ns = wake;
    if (call->timer == 0) {
        if (plugin->timer_count == plugin->timer_size) {
            const size_t size = plugin->timer_size == 0 ? 64 : 2 * plugin->timer_size;
            struct bulkhead_call **timers = realloc(plugin->timers, size * sizeof(struct bulkhead_call *));
            /* Without memory the client's own deadline has to do. */
            if (timers == NULL) return;
            plugin->timers = timers;
            plugin->timer_size = size;
        }
        place(plugin, call, ++plugin->timer_count);
    }
    settle(plugin, call->timer);
}

static void timers_run(struct bulkhead_plugin *plugin) {
    while (plugin->timer_count > 0 && plugin->timers[0]->wake_ns <= plugin->now) {
        struct bulkhead_call *call = plugin->timers[0];
        if (call->deadline_ns > 0 && call->deadline_ns <= plugin->now && bulkhead_ended(call) == BULKHEAD_GOES_ON) {
            call_end(call, BULKHEAD_DEADLINE);
            continue;
        }
        call->after_ns = 0;
        timer_set(call);
        bulkhead_callback *callback = call->on_after;
        call->on_after = NULL;
        if (callback != NULL) (void)call_enter(call, callback, call->after_context);
    }
}
