/* The plugin: its methods, and the loop that serves them. */
#include "sdk/internal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * Events, and new connections, in a turn; those that are taken at the end, which are as many as wait at most by the
 * kernel's own setting. How often the loop says that it is alive, and looks at connections.
 */
enum { EVENTS = 64, ACCEPTS = 16, DRAIN_ACCEPTS = 4096, LOOK_MS = 1000 };

/* For the handler of signals; there is one plugin in a process. */
static _Atomic int wake_on_signal = -1;
static _Atomic bool asked_to_stop;

struct bulkhead_plugin *bulkhead_plugin_new(void) {
    struct bulkhead_plugin *plugin = calloc(1, sizeof(*plugin));
    pthread_condattr_t monotonic;
    if (plugin == NULL) return NULL;
    plugin->methods_end = &plugin->methods;
    plugin->queue_end = &plugin->queue;
    plugin->listed_end = &plugin->listed;
    plugin->posts_end = &plugin->posts;
    plugin->frame = DEFAULT_FRAME;
    plugin->thread_limit = 8;
    plugin->epoll = plugin->wake = plugin->listener = -1;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&plugin->lock, NULL);
    (void)pthread_mutex_init(&plugin->activity.lock, NULL);
    (void)pthread_cond_init(&plugin->work, NULL);
    (void)pthread_cond_init(&plugin->change, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    return plugin;
}

static struct method *plugin_find(struct bulkhead_plugin *plugin, struct text name) {
    for (struct method *method = plugin->methods; method != NULL; method = method->next)
        if (method->length == name.length && memcmp(method->name, name.bytes, name.length) == 0) return method;
    return NULL;
}

static int add_method(struct bulkhead_plugin *plugin, const char *name, bulkhead_callback *callback, void *context,
                      bool threaded, bool parts) {
    const struct text text = {.bytes = name, .length = strlen(name)};
    if (text.length < 1 || text.length > MAX_METHOD || name[0] == '$' || callback == NULL) return -EINVAL;
    if (!is_utf8((const unsigned char *)name, text.length)) return -EINVAL;
    if (plugin_find(plugin, text) != NULL) return -EEXIST;
    struct method *method = malloc(sizeof(*method));
    if (method == NULL) return -ENOMEM;
    *method = (struct method){.name = name, .length = text.length, .callback = callback, .context = context,
                              .threaded = threaded, .parts = parts};
    *plugin->methods_end = method;
    plugin->methods_end = &method->next;
    return 0;
}

int bulkhead_method(struct bulkhead_plugin *plugin, const char *name, bulkhead_callback *callback, void *context) {
    return add_method(plugin, name, callback, context, false, false);
}

int bulkhead_thread_method(struct bulkhead_plugin *plugin, const char *name, bulkhead_callback *callback, void *context) {
    return add_method(plugin, name, callback, context, true, false);
}

int bulkhead_stream(struct bulkhead_plugin *plugin, const char *name, bulkhead_callback *callback, void *context) {
    return add_method(plugin, name, callback, context, false, true);
}

int bulkhead_thread_stream(struct bulkhead_plugin *plugin, const char *name, bulkhead_callback *callback, void *context) {
    return add_method(plugin, name, callback, context, true, true);
}

int bulkhead_threads(struct bulkhead_plugin *plugin, unsigned int count) {
    if (count < 1 || count > MAX_THREADS || plugin->epoll >= 0) return -EINVAL;
    plugin->thread_limit = count;
    return 0;
}

int bulkhead_frame_limit(struct bulkhead_plugin *plugin, size_t bytes) {
    if (bytes < LEAST_FRAME || bytes > MOST_FRAME || plugin->epoll >= 0) return -EINVAL;
    plugin->frame = (uint32_t)bytes;
    return 0;
}

void bulkhead_on_drain(struct bulkhead_plugin *plugin, void (*callback)(void *context), void *context) {
    plugin->on_drain = callback;
    plugin->drain_context = context;
}

void bulkhead_stop(struct bulkhead_plugin *plugin) {
    atomic_store(&plugin->stop, true);
    wake_loop(plugin);
}

static void on_signal(int signal_number) {
    const uint64_t one = 1;
    const int error = errno, fd = atomic_load(&wake_on_signal);
    (void)signal_number;
    atomic_store(&asked_to_stop, true);
    /* EAGAIN means that the loop is awake already. */
    if (fd >= 0 && write(fd, &one, sizeof(one)) < 0) errno = error;
    errno = error;
}

/* A second SIGINT ends the program: whoever is at the keyboard does not wait for clients. */
static void handle_signals(struct bulkhead_plugin *plugin) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    atomic_store(&asked_to_stop, false);
    atomic_store(&wake_on_signal, plugin->wake);
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGTERM, &action, NULL);
    action.sa_flags |= (int)SA_RESETHAND;
    (void)sigaction(SIGINT, &action, NULL);
}

static bool watch(struct bulkhead_plugin *plugin, int fd, void *which) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = which};
    return epoll_ctl(plugin->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* False: nobody waits any more. */
static bool accept_one(struct bulkhead_plugin *plugin) {
    const int fd = accept4(plugin->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
        connection_new(plugin, fd);
        return true;
    }
    /* Whoever is waited for has left. */
    if (errno == ECONNABORTED || errno == EINTR) return true;
    if (errno == EAGAIN) return false;
    /* Without descriptors or memory the listener would be ready for ever: it is tried again in a second. */
    (void)epoll_ctl(plugin->epoll, EPOLL_CTL_DEL, plugin->listener, NULL);
    plugin->accepting = false;
    return false;
}

/* Who is in the queue has been told that the connection is made, so it is taken; nobody after that. */
static void drain(struct bulkhead_plugin *plugin) {
    plugin->draining = true;
    notify_systemd("STOPPING=1");
    /* Others may come as fast as these are taken. */
    for (int i = 0; i < DRAIN_ACCEPTS && accept_one(plugin); i++) continue;
    (void)close(plugin->listener);
    plugin->listener = -1;
    plugin->accepting = false;
    if (plugin->socket_path != NULL) (void)unlink(plugin->socket_path);
    for (struct connection *connection = plugin->connections; connection != NULL; connection = connection->next)
        if (connection->greeted && connection->drain) send_drain(connection);
    if (plugin->on_drain != NULL) plugin->on_drain(plugin->drain_context);
}

static void look(struct bulkhead_plugin *plugin) {
    activity_tick(&plugin->activity, plugin->now);
    if (plugin->listener >= 0 && !plugin->accepting) plugin->accepting = watch(plugin, plugin->listener, &plugin->listener);
    for (struct connection *connection = plugin->connections; connection != NULL; connection = connection->next)
        connection_look(connection);
}

/* That the loop turns, for a declaration that asks for it. */
static void tell_alive(struct bulkhead_plugin *plugin) {
    if (plugin->alive_every == 0 || plugin->now - plugin->alive_told < plugin->alive_every) return;
    plugin->alive_told = plugin->now;
    notify_systemd("WATCHDOG=1");
}

static int wait_ms(const struct bulkhead_plugin *plugin, bool more, uint64_t looked) {
    if (more) return 0;
    const uint64_t now = now_ns();
    uint64_t until = looked + (uint64_t)LOOK_MS * 1000000;
    if (plugin->alive_every > 0 && plugin->alive_told + plugin->alive_every < until)
        until = plugin->alive_told + plugin->alive_every;
    if (plugin->timer_count > 0 && plugin->timers[0]->wake_ns < until) until = plugin->timers[0]->wake_ns;
    /* Nothing tells when a client takes files. */
    const uint64_t soon = now + (uint64_t)UNREAD_PAUSE_MS * 1000000;
    if (plugin->unread_waiting > 0 && soon < until) until = soon;
    return until <= now ? 0 : (int)((until - now + 999999) / 1000000);
}

static void take_event(struct bulkhead_plugin *plugin, const struct epoll_event *event) {
    uint64_t woken;
    if (event->data.ptr == &plugin->listener) {
        for (int i = 0; i < ACCEPTS && plugin->listener >= 0 && accept_one(plugin); i++) continue;
    } else if (event->data.ptr == &plugin->wake) {
        if (read(plugin->wake, &woken, sizeof(woken)) < 0) return;
    } else {
        connection_event(event->data.ptr, event->events);
    }
}

static void loop(struct bulkhead_plugin *plugin) {
    struct epoll_event events[EVENTS];
    bool more = false;
    uint64_t looked = 0;
    while (!plugin->draining || plugin->connection_count > 0 || plugin->notifications > 0) {
        const int count = epoll_wait(plugin->epoll, events, EVENTS, wait_ms(plugin, more, looked));
        plugin->now = now_ns();
        for (int i = 0; i < count; i++) take_event(plugin, &events[i]);
        if (!plugin->draining && (atomic_load(&asked_to_stop) || atomic_load(&plugin->stop))) drain(plugin);
        threads_take(plugin);
        timers_run(plugin);
        tell_alive(plugin);
        more = streams_turn(plugin);
        if (plugin->now - looked >= (uint64_t)LOOK_MS * 1000000) {
            looked = plugin->now;
            look(plugin);
        }
        more = connections_settle(plugin) || more;
    }
}

/* `what` is NULL when it has been told. */
static int fail(struct bulkhead_plugin *plugin, const char *what, int error) {
    if (what != NULL) (void)fprintf(stderr, "bulkhead: %s: %s\n", what, strerror(-error));
    /* A signal must not write to whatever has the number next. */
    atomic_store(&wake_on_signal, -1);
    if (plugin->listener >= 0) (void)close(plugin->listener);
    if (plugin->epoll >= 0) (void)close(plugin->epoll);
    if (plugin->wake >= 0) (void)close(plugin->wake);
    plugin->listener = plugin->epoll = plugin->wake = -1;
    return error;
}

int bulkhead_run(struct bulkhead_plugin *plugin) {
    if (plugin->epoll >= 0 || plugin->draining) return -EINVAL;
    plugin->epoll = epoll_create1(EPOLL_CLOEXEC);
    plugin->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    plugin->scratch = malloc(SCRATCH);
    if (plugin->epoll < 0 || plugin->wake < 0 || plugin->scratch == NULL) return fail(plugin, "cannot make a loop", -errno);
    const int error = activity_open(&plugin->activity, 1 + plugin->thread_limit);
    if (error < 0) return fail(plugin, "cannot map the activity page", error);
    /* Whoever sees the socket may send signals. */
    handle_signals(plugin);
    plugin->listener = listener_open(plugin);
    if (plugin->listener < 0) return fail(plugin, NULL, plugin->listener);
    plugin->accepting = watch(plugin, plugin->listener, &plugin->listener);
    if (!plugin->accepting || !watch(plugin, plugin->wake, &plugin->wake)) return fail(plugin, "cannot watch the socket", -errno);
    plugin->now = now_ns();
    activity_tick(&plugin->activity, plugin->now);
    plugin->alive_every = watchdog_ns();
    notify_systemd("READY=1");
    loop(plugin);
    atomic_store(&wake_on_signal, -1);
    return 0;
}

void bulkhead_plugin_free(struct bulkhead_plugin *plugin) {
    /* What threads still use is left to the end of the process. */
    if (plugin == NULL || !threads_stop(plugin)) return;
    if (plugin->listener >= 0) (void)close(plugin->listener);
    if (plugin->epoll >= 0) (void)close(plugin->epoll);
    if (plugin->wake >= 0) (void)close(plugin->wake);
    threads_take(plugin);
    for (struct method *method = plugin->methods, *next; method != NULL; method = next) {
        next = method->next;
        free(method);
    }
    while (plugin->spare != NULL) {
        struct bulkhead_call *call = plugin->spare;
        plugin->spare = call->next;
        writer_release(&call->writer);
        buffer_free(&call->bytes);
        buffer_free(&call->items);
        free(call);
    }
    activity_close(&plugin->activity);
    free(plugin->timers);
    free(plugin->scratch);
    free(plugin->socket_path);
    (void)pthread_mutex_destroy(&plugin->lock);
    (void)pthread_mutex_destroy(&plugin->activity.lock);
    (void)pthread_cond_destroy(&plugin->work);
    (void)pthread_cond_destroy(&plugin->change);
    free(plugin);
}
