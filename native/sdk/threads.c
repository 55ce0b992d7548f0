/* Threads for methods that wait or compute; and all that comes to the loop from other threads. */
#include "sdk/internal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Calls of threads that the loop looks after in a turn. */
enum { LISTED_TURN = 256 };

static void wake_loop(struct bulkhead_plugin *plugin) {
    const uint64_t one = 1;
    /* EAGAIN means that it is awake already. */
    if (plugin->wake >= 0 && write(plugin->wake, &one, sizeof(one)) < 0) return;
}

static void threads_list(struct bulkhead_call *call) {
    struct bulkhead_plugin *plugin = call->plugin;
    if (call->listed) return;
    const bool first = plugin->listed == NULL;
    call->listed = true;
    call->next_listed = NULL;
    *plugin->listed_end = call;
    plugin->listed_end = &call->next_listed;
    if (first) wake_loop(plugin);
}

/* With the lock held, before and after. */
static void serve(struct bulkhead_plugin *plugin, unsigned int number) {
    struct bulkhead_call *call = plugin->queue;
    plugin->queue = call->next_queued;
    if (plugin->queue == NULL) plugin->queue_end = &plugin->queue;
    plugin->queued--;
    call->queued = false;
    (void)pthread_mutex_unlock(&plugin->lock);

    call->slot = activity_slot(&plugin->activity, number + 1);
    activity_tell(call->slot, 1, call);
    activity_record(&plugin->activity, RECORD_BEGAN, call, call->method->name, call->method->length, 0);
    call->method->callback(call, call->method->context);
    if (call->answer == ANSWER_NONE) bulkhead_fail(call, "failed", "the method has given no answer");
    call_account(call);
    activity_tell(call->slot, 0, NULL);

    (void)pthread_mutex_lock(&plugin->lock);
    call->done = true;
    threads_list(call);
}

struct start {
    struct bulkhead_plugin *plugin;
    unsigned int number;
};

static void *work(void *given) {
    const struct start start = *(struct start *)given;
    struct bulkhead_plugin *plugin = start.plugin;
    free(given);
    (void)pthread_mutex_lock(&plugin->lock);
    for (;;) {
        while (plugin->queue == NULL && !plugin->ending) {
            plugin->idle++;
            (void)pthread_cond_wait(&plugin->work, &plugin->lock);
            plugin->idle--;
        }
        if (plugin->queue == NULL) break;
        serve(plugin, start.number);
    }
    plugin->thread_count--;
    (void)pthread_cond_broadcast(&plugin->change);
    (void)pthread_mutex_unlock(&plugin->lock);
    return NULL;
}

/* With the lock held. Signals are for the loop. */
static int start_thread(struct bulkhead_plugin *plugin) {
    struct start *start = malloc(sizeof(*start));
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
    if (start == NULL) return -ENOMEM;
    *start = (struct start){.plugin = plugin, .number = plugin->thread_count};
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    const int error = pthread_create(&thread, &attributes, work, start);
    (void)pthread_attr_destroy(&attributes);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0) plugin->thread_count++;
    else free(start);
    return -error;
}

static int threads_queue(struct bulkhead_call *call) {
    struct bulkhead_plugin *plugin = call->plugin;
    (void)pthread_mutex_lock(&plugin->lock);
    const bool more = plugin->idle <= plugin->queued && plugin->thread_count < plugin->thread_limit;
    int error = more ? start_thread(plugin) : 0;
    /* Those that there are will do. */
    if (plugin->thread_count > 0) error = 0;
    if (error == 0) {
        call->queued = true;
        call->next_queued = NULL;
        *plugin->queue_end = call;
        plugin->queue_end = &call->next_queued;
        plugin->queued++;
        (void)pthread_cond_signal(&plugin->work);
    }
    (void)pthread_mutex_unlock(&plugin->lock);
    return error;
}

static bool threads_withdraw(struct bulkhead_call *call) {
    struct bulkhead_plugin *plugin = call->plugin;
    (void)pthread_mutex_lock(&plugin->lock);
    const bool queued = call->queued;
    for (struct bulkhead_call **at = &plugin->queue; queued && *at != NULL; at = &(*at)->next_queued) {
        if (*at != call) continue;
        *at = call->next_queued;
        if (plugin->queue_end == &call->next_queued) plugin->queue_end = at;
        plugin->queued--;
        break;
    }
    (void)pthread_mutex_unlock(&plugin->lock);
    return queued;
}

/* The call that has been in the list for longest; a thread may put it there again at once. */
static struct bulkhead_call *take_listed(struct bulkhead_plugin *plugin) {
    (void)pthread_mutex_lock(&plugin->lock);
    struct bulkhead_call *call = plugin->listed;
    if (call != NULL) {
        call->listed = false;
        plugin->listed = call->next_listed;
        if (plugin->listed == NULL) plugin->listed_end = &plugin->listed;
    }
    (void)pthread_mutex_unlock(&plugin->lock);
    return call;
}

static struct post *take_posts(struct bulkhead_plugin *plugin) {
    (void)pthread_mutex_lock(&plugin->lock);
    struct post *posts = plugin->posts;
    plugin->posts = NULL;
    plugin->posts_end = &plugin->posts;
    (void)pthread_mutex_unlock(&plugin->lock);
    return posts;
}

static void threads_take(struct bulkhead_plugin *plugin) {
    int left = LISTED_TURN;
    for (struct bulkhead_call *call; left > 0 && (call = take_listed(plugin)) != NULL; left--) stream_move(call);
    if (left == 0) wake_loop(plugin);
    for (struct post *post = take_posts(plugin), *next; post != NULL; post = next) {
        next = post->next;
        post->callback(post->context);
        free(post);
    }
}

/* A thread that comes to an end is waited for a little; one that does not is the method's affair. */
static bool threads_stop(struct bulkhead_plugin *plugin) {
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec++;
    (void)pthread_mutex_lock(&plugin->lock);
    plugin->ending = true;
    (void)pthread_cond_broadcast(&plugin->work);
    while (plugin->thread_count > 0 && pthread_cond_timedwait(&plugin->change, &plugin->lock, &until) == 0) continue;
    const bool stopped = plugin->thread_count == 0;
    (void)pthread_mutex_unlock(&plugin->lock);
    return stopped;
}

int bulkhead_post(struct bulkhead_plugin *plugin, void (*callback)(void *context), void *context) {
    struct post *post = malloc(sizeof(*post));
    if (post == NULL) return -ENOMEM;
    *post = (struct post){.callback = callback, .context = context};
    (void)pthread_mutex_lock(&plugin->lock);
    *plugin->posts_end = post;
    plugin->posts_end = &post->next;
    (void)pthread_mutex_unlock(&plugin->lock);
    wake_loop(plugin);
    return 0;
}

int bulkhead_sleep(struct bulkhead_call *call, uint32_t ms) {
    struct bulkhead_plugin *plugin = call->plugin;
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_mutex_lock(&plugin->lock);
    int waited = 0;
    while (waited == 0 && bulkhead_ended(call) == BULKHEAD_GOES_ON)
        waited = pthread_cond_timedwait(&plugin->change, &plugin->lock, &until);
    (void)pthread_mutex_unlock(&plugin->lock);
    return bulkhead_ended(call) == BULKHEAD_GOES_ON ? 0 : -ECANCELED;
}
