#pragma once
/*
 * What the files of the SDK know of each other. They become one file, bulkhead.c, in which all but the functions of
 * bulkhead.h is static. All of a plugin but what is marked otherwise is touched by the loop alone, which is the thread
 * in bulkhead_run().
 */
#include <pthread.h>
#include <stdatomic.h>

#include "sdk/values.h"

/* ---- activity.c */

enum record_kind { RECORD_BEGAN = 1, RECORD_WELL, RECORD_BADLY, RECORD_AUDIT, RECORD_NOTE };

struct page;
struct slot;

struct activity {
    struct page *page;
    /* Records are written by the loop and by threads. */
    pthread_mutex_t lock;
};

static int activity_open(struct activity *activity, unsigned int slots);
static void activity_close(struct activity *activity);
static void activity_tick(struct activity *activity, uint64_t now_ns);
static struct slot *activity_slot(struct activity *activity, unsigned int index);
/* What this slot is about now: so many requests, of which this is the oldest. NULL: none. */
static void activity_tell(struct slot *slot, unsigned int in_flight, const struct bulkhead_call *oldest);
static void activity_count(struct slot *slot, bool well);
static void activity_progress(struct slot *slot);
static void activity_record(struct activity *activity, enum record_kind kind, const struct bulkhead_call *call,
                            const char *text, size_t length, uint64_t duration_ns);
static uint64_t now_ns(void);

/* ---- connection.c */

struct attachment {
    struct attachment *next;
    /* Bytes of output before the one that it goes with, since the connection began. */
    uint64_t position;
    size_t body_bytes;
    unsigned int count;
    int fds[MESSAGE_FDS];
};

struct connection {
    struct bulkhead_plugin *plugin;
    struct connection *previous, *next, *next_dirty;
    int fd;
    uint32_t events;
    /* What its first byte said, when that has come; whether it has asked anything; the greeting, if it has greeted. */
    bool known, bare, asked, greeted, local;
    bool cancel, stream, drain, body, descriptor;
    uint32_t frame, peer_frame;
    /*
     * `eof`: it sends no more; `broken`: it is to end, with what is not out; `held`: input waits for output to go, or for
     * notifications to be served; `left`: nobody is there any more, and what it sent before is taken whatever it is.
     */
    bool eof, broken, held, left, drain_told, dirty;
    /* `over`: nothing is taken or sent any more; `dead`: it is closed as well. */
    bool over, dead;
    struct buffer in, out;
    struct scan scan;
    /* How much of the output is sent, and what the files hold that go with the rest. */
    size_t sent, attached;
    /* What the files hold that were sent since the client had last taken all; whether more of them wait for that. */
    size_t unread;
    bool unread_waits;
    /* Of the socket's queue, in bytes of the kernel's, when that was last looked at. */
    int queued;
    uint64_t sent_ever, moved_ns, quiet_ns;
    struct attachment *attachments, **last_attachment;
    int fds[WAITING_FDS];
    unsigned int fd_count;
    /* Calls that have not ended: requests, how many of them have no response yet, and notifications. */
    struct bulkhead_call *calls;
    unsigned int open, in_hands, notified;
    size_t notified_bytes;
};

static void connection_new(struct bulkhead_plugin *plugin, int fd);
static void connection_end(struct connection *connection);
/* Ends it for us, and waits a little for the client to read what it was told. */
static void connection_linger(struct connection *connection);
static void connection_event(struct connection *connection, uint32_t events);
/* What is to be written is, at the end of the turn. */
static void connection_dirty(struct connection *connection);
/* Ends the turn: writes, and frees what has ended. Whether there is more to do at once. */
static bool connections_settle(struct bulkhead_plugin *plugin);
/* So much waits to be read by the client that nothing more is made before some of it is gone. */
static bool connection_clogged(const struct connection *connection);
/* Nothing more is taken: for that, or because notifications, which nobody can refuse, have to be served first. */
static bool connection_holds(const struct connection *connection);
static size_t connection_pending(const struct connection *connection);
/* Once a second: who does not read, and while draining who does not ask. */
static void connection_look(struct connection *connection);

/* ---- output.c */

enum { ITEM_HEAD = 16 };
/* [2, "$item", [ID, without the value. Returns the length. */
static size_t item_head(uint32_t id, unsigned char head[ITEM_HEAD]);
static bool add_length_prefix(struct buffer *out, size_t length);
/* A message of two pieces, with descriptors that become the connection's. */
static void send_message(struct connection *connection, const void *head, size_t head_length, const void *body,
                         size_t body_length, struct bulkhead_writer *fds);
/* Bytes that are messages already. */
static void send_messages(struct connection *connection, const struct buffer *messages);
static void send_error(struct connection *connection, uint32_t id, const char *code, const char *message,
                       const struct buffer *data, bool retry);
static void send_result(struct connection *connection, uint32_t id, struct bulkhead_writer *writer);
/* The parts of a result, as one array. */
static void send_array(struct connection *connection, uint32_t id, uint32_t count, const struct buffer *items);
static void send_drain(struct connection *connection);
/* Says why, as far as that can be done without waiting, and ends it. */
static void send_close(struct connection *connection, const char *code, const char *message);

/* ---- input.c, greeting.c */

static void input_read(struct connection *connection);
/* Goes on with what was held. */
static void input_resume(struct connection *connection);
static void greet(struct connection *connection, const struct message *message);
static void control_notification(struct connection *connection, const struct message *message);

/* ---- call.c, stream.c */

struct method {
    struct method *next;
    const char *name;
    size_t length;
    bulkhead_callback *callback;
    void *context;
    /* In a thread; with a result in parts. */
    bool threaded, parts;
};

enum answer { ANSWER_NONE, ANSWER_RESULT, ANSWER_ERROR };

struct bulkhead_call {
    /* Memory that is kept for the next call. `items`: what was sent by a thread, under the lock, or is collected. */
    struct buffer bytes, items;
    struct bulkhead_writer writer;

    /* From here on zeros at first. */
    struct bulkhead_plugin *plugin;
    struct method *method;
    /* NULL when that has ended. */
    struct connection *connection;
    struct bulkhead_call *previous, *next;
    /* Calls of the loop in the order in which they came. */
    struct bulkhead_call *older, *newer;
    uint32_t id, frame;
    /* Bytes of its message. */
    size_t size;
    /* `open`: a response is due; `collects`: the parts of its result become one array, unless they are `too_long`. */
    bool notification, open, threaded, greeted, streams, collects, too_long;
    struct bulkhead_reader params;
    uint32_t param_count;
    const char *traceparent, *tracestate, *idempotency;
    unsigned char trace_id[16];
    uint64_t began_ns, deadline_ns, after_ns, wake_ns;
    /* Its place among the timers, from 1 on. */
    size_t timer;
    bulkhead_callback *on_end, *on_after, *on_credit;
    void *end_context, *after_context, *credit_context;
    /* Callbacks that are running for it. */
    unsigned int entered;
    struct bulkhead_call *next_streaming;
    /* In the list of streams; it is given back from there when it is `over`. */
    bool streaming, over;
    _Atomic int ended;
    enum answer answer;
    bool with_data;
    struct slot *slot;
    /* Under the plugin's lock, if it is threaded. `queued`: no thread has it yet; `done`: none has it any more. */
    uint32_t credit, item_count;
    bool queued, listed, done;
    struct bulkhead_call *next_queued, *next_listed;

    /* Up to here. */
    struct bulkhead_bodies bodies;
    char code[MAX_CODE + 1], message[MAX_MESSAGE + 1];
};

/* `bytes` is the message; it is copied, or taken over from `owner` if that is not NULL. So are descriptors. */
static void call_begin(struct connection *connection, const struct message *message, const unsigned char *bytes,
                       size_t length, struct buffer *owner, struct bulkhead_bodies *bodies);
/* Calls back. False when the call has been answered, and is gone. */
static bool call_enter(struct bulkhead_call *call, bulkhead_callback *callback, void *context);
/* Nobody waits for it any more. */
static void call_end(struct bulkhead_call *call, enum bulkhead_end why);
static struct bulkhead_call *call_find(struct connection *connection, uint32_t id);
/* Sends its answer, if somebody waits for it, and gives the call back. */
static void call_finish(struct bulkhead_call *call);
static void call_give_back(struct bulkhead_call *call);
/* What a thread has written down of its answer: well or not. */
static void call_account(struct bulkhead_call *call);
static void stream_credit(struct bulkhead_call *call, uint32_t more);
/* Its callback is to be called, if there is one. */
static void stream_list(struct bulkhead_call *call);
/* Lets the streams of the loop send. Whether there is more to do at once. */
static bool streams_turn(struct bulkhead_plugin *plugin);
/* What a thread has sent goes out, as far as the client reads; and its answer. */
static void stream_move(struct bulkhead_call *call);

/* ---- threads.c, timers.c */

static int threads_queue(struct bulkhead_call *call);
/* Takes back a call that no thread has yet. */
static bool threads_withdraw(struct bulkhead_call *call);
/* From a thread, with the lock held: the loop has something to do for the call. */
static void threads_list(struct bulkhead_call *call);
/* On the loop: does it, and what was posted. */
static void threads_take(struct bulkhead_plugin *plugin);
/* False: some are still at work, and use the plugin. */
static bool threads_stop(struct bulkhead_plugin *plugin);
static void wake_loop(struct bulkhead_plugin *plugin);

static void timer_set(struct bulkhead_call *call);
static void timers_run(struct bulkhead_plugin *plugin);

/* ---- plugin.c, listener.c, notify.c */

struct post {
    struct post *next;
    void (*callback)(void *context);
    void *context;
};

struct bulkhead_plugin {
    struct method *methods, **methods_end;
    uint32_t frame;
    void (*on_drain)(void *context);
    void *drain_context;

    int epoll, wake, listener;
    char *socket_path;
    _Atomic bool stop;
    bool draining, accepting;
    /* Of this turn. */
    /* Of WATCHDOG=1: how often, 0 for never, and when it was told last. */
    uint64_t alive_every, alive_told;
    uint64_t now;
    struct activity activity;
    struct connection *connections, *dirty;
    unsigned int connection_count;
    bool sweep;
    size_t total_output, total_attached;
    /* Connections whose files wait to be sent until others are taken. */
    unsigned int unread_waiting;
    unsigned char *scratch;
    /* All calls; those of the loop; notifications, which are served to the end whoever leaves. */
    unsigned int calls, loop_calls, notifications;
    /* Bytes of the messages of all calls. */
    size_t held;
    struct bulkhead_call *oldest, *newest, *spare, *streaming;
    unsigned int spare_count;
    struct bulkhead_call **timers;
    size_t timer_count, timer_size;

    unsigned int thread_limit;
    pthread_mutex_t lock;
    /* There is a call to serve; something has changed for a call that is being served. */
    pthread_cond_t work, change;
    unsigned int thread_count, idle, queued;
    bool ending;
    struct bulkhead_call *queue, **queue_end, *listed, **listed_end;
    struct post *posts, **posts_end;
};

static struct method *plugin_find(struct bulkhead_plugin *plugin, struct text name);
/* What the supervisor has handed in, or a socket of its own; a negative errno, which has been told. */
static int listener_open(struct bulkhead_plugin *plugin);
static void notify_systemd(const char *text);
/* How often WATCHDOG=1 is to be told, in nanoseconds; 0 when nobody wants to know. */
static uint64_t watchdog_ns(void);
