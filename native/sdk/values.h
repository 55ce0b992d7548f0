#pragma once
/*
 * Bytes, values and messages. Whatever a client sends is checked by scan.c before anything else looks at it. Names of the
 * protocol are those of docs/protocol.md.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sdk/bulkhead.h"

enum {
    PROTOCOL = 1,
    /* Levels of arrays and maps in a message. */
    MAX_DEPTH = 32,
    /* Frame limit until a greeting, and of clients that send no lengths; least and most in a greeting. */
    DEFAULT_FRAME = 4 << 20,
    BARE_FRAME = 1 << 20,
    LEAST_FRAME = 65536,
    MOST_FRAME = 64 << 20,
    MAX_CONNECTIONS = 256,
    /* Requests at a time on a connection, and calls of all of them that nobody waits for but which have not ended. */
    WINDOW = 64,
    MAX_CALLS = 8192,
    /* Bytes of the messages of all of these; and of notifications of a connection, from which on nothing more is taken. */
    MOST_HELD = 128 << 20,
    MOST_NOTIFIED = 16 << 20,
    /*
     * Output that waits to be read: from so much on nothing more is taken from the client; so much and one message more
     * ends its connection; and so much of all of them together, in files or not, ends that of whoever adds to it.
     */
    HIGH_WATER = 1 << 20,
    MAX_OUTPUT = 64 << 20,
    MAX_TOTAL_OUTPUT = 512 << 20,
    /* Bytes in files that were sent and not taken: of the socket's queue they are a few each. How often it is looked at. */
    MOST_UNREAD = 128 << 20,
    UNREAD_PAUSE_MS = 10,
    /* Time in which a client that has output to read reads something of it. */
    STALL_MS = 30000,
    /* A client that cannot be told to go is left when it has been without a request for so long. */
    QUIET_MS = 1000,
    MAX_CREDIT = 65536,
    /* Parts that a stream sends in a turn, or has sent by a thread and not yet taken by the loop, in bytes. */
    STREAM_TURN = 64,
    THREAD_ITEMS = 65536,
    MAX_METHOD = 128,
    MAX_NAME = 64,
    MAX_TRACESTATE = 512,
    MAX_CODE = 64,
    MAX_MESSAGE = 1024,
    MAX_DEADLINE_MS = 86400000,
    TRACEPARENT_SIZE = 55,
    MAX_THREADS = 30,
    /* Descriptors of a message, and those that no message has mentioned yet. */
    MESSAGE_FDS = 16,
    WAITING_FDS = 64,
    /* A binary goes as a file in memory where a frame has no room for it, or from so many bytes on: decision 30. */
    BODY_FASTER = 16 << 20,
    /* None is smaller, and so much of a frame is left to all else. */
    BODY_LEAST = 65536,
    SCRATCH = 262144,
    /* What a message may have behind it in memory: the texts of its meta, with their ends. */
    META_ROOM = 1024,
    SPARE_CALLS = 256,
};
#define MAX_BODY (UINT64_C(1) << 30)

/* ---- buffer.c */

struct buffer {
    unsigned char *bytes;
    size_t length, size;
};

/* Room for so many more bytes; false when out of memory. */
static bool buffer_reserve(struct buffer *buffer, size_t more);
static bool buffer_add(struct buffer *buffer, const void *bytes, size_t length);
/* Empties it, and gives memory back if it is more than `keep`. */
static void buffer_reset(struct buffer *buffer, size_t keep);
static void buffer_free(struct buffer *buffer);

/* ---- scan.c */

enum scan_result { SCAN_WHOLE, SCAN_MORE, SCAN_BAD };

/* Looks at one value, in as many steps as its bytes come in. Zeros and scan_start() begin. */
struct scan {
    /* Which extension types may be in it. */
    bool bodies, descriptors;
    /* How far it is; behind the value when that is whole. */
    size_t at;
    unsigned int depth;
    /* Values that are missing at each level; of a map, keys count. */
    uint64_t left[MAX_DEPTH + 1];
    bool map[MAX_DEPTH + 1];
    /* Which descriptors were mentioned, and how many. */
    uint32_t mentioned;
    unsigned int mentions;
    const char *wrong;
};

static void scan_start(struct scan *scan);
static enum scan_result scan_more(struct scan *scan, const unsigned char *bytes, size_t length);
/* Whether it is exactly one value. */
static bool scan_is_value(struct scan *scan, const unsigned char *bytes, size_t length);
static bool is_utf8(const unsigned char *bytes, size_t length);

/* ---- reader.c, body.c */

struct body {
    int fd;
    /* Of a file in memory: its content. */
    void *map;
    size_t length;
};

struct bulkhead_bodies {
    unsigned int count;
    struct body each[MESSAGE_FDS];
};

/* The head of the next value: false at the end. `payload` bytes follow, or `count` values or pairs. */
struct head {
    enum bulkhead_type type;
    size_t size;
    uint64_t number;
    bool negative;
    double real;
    uint64_t payload;
    uint32_t count;
    int extension;
};

static bool head_of(const unsigned char *at, const unsigned char *end, struct head *head);
/* Maps what the descriptor of a message is said to be; a negative errno when it is no sealed file of that size. */
static int body_map(struct body *body, uint64_t length);
static void bodies_release(struct bulkhead_bodies *bodies);
/* A sealed file in memory with this content, or a negative errno. */
static int body_make(const void *bytes, size_t length);

/* ---- writer.c */

struct bulkhead_writer {
    struct buffer bytes;
    bool failed, bodies, descriptors;
    /* Longest message that the receiver takes. */
    uint32_t frame;
    /* Files in memory and copies of descriptors that go with it, and what the files hold. */
    size_t body_bytes;
    unsigned int fd_count;
    int fds[MESSAGE_FDS];
};

static void writer_reset(struct bulkhead_writer *writer);
static void writer_release(struct bulkhead_writer *writer);

/* ---- message.c */

enum message_type { MESSAGE_REQUEST = 0, MESSAGE_RESPONSE = 1, MESSAGE_NOTIFICATION = 2 };

struct text {
    const char *bytes;
    size_t length;
};

struct message {
    enum message_type type;
    uint32_t id;
    struct text method;
    const unsigned char *params, *params_end;
    uint32_t param_count;
    uint32_t deadline_ms, stream;
    struct text traceparent, tracestate, idempotency;
};

/* Takes apart what scan.c has found to be a value. NULL, or what is wrong with it. */
static const char *message_parse(const unsigned char *bytes, size_t length, struct message *message);
static bool text_is(struct text text, const char *word);
/* The 16 bytes of the trace id; false when it is none of version 00. */
static bool trace_id_of(struct text traceparent, unsigned char id[16]);

