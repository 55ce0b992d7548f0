#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "forward/watch.h"
#include "stdio/bytes.h"
#include "stdio/calls.h"

/*
 * A bridge stands between clients at sockets and programs that speak on standard input and output. A session is one
 * program with all its lives; with --process=shared all clients have the same one, otherwise each has its own.
 */

enum protocol {
    /* JSON-RPC 2.0, one message a line, as the stdio transport of the Model Context Protocol has it. */
    PROTOCOL_MCP,
    /* A line, and for each a line in answer, in order. */
    PROTOCOL_LINES,
    /* Bytes. */
    PROTOCOL_RAW,
};

struct options {
    enum protocol protocol;
    bool shared;
    /* Clients at a time; more of them wait to be accepted. */
    size_t connections;
    /* Bytes of one message, without what ends it. */
    size_t message;
    /* Time for the program to answer `initialize`. */
    int64_t start_ms;
    /* What asks the program to end, when the end of its input does not. */
    int stop_signal;
    /* Where to listen when no sockets are passed; NULL where they have to be. */
    const char *socket;
    char **command;
};

enum {
    /* What one client may have in hand. */
    CLIENT_CALLS = 64,
    /* Bytes that wait for somebody who does not read: beyond it nothing more is read from the other end. */
    WAIT_BYTES = 262144,
};

enum session_state {
    /* Its program died, and the next one waits for its time. */
    SESSION_WAITING,
    /* Its program runs, and has not said yet who it is. */
    SESSION_STARTING,
    SESSION_UP,
    /* Its program is asked to end. */
    SESSION_ENDING,
    /* Nothing of it is left. */
    SESSION_OVER,
};

struct session {
    enum session_state state;
    /* The one client of a session that is not shared; NULL when it has gone, or none ever was. */
    struct client *owner;
    /* Of the activity page; -1 for none. */
    int slot;
    /* 0 when there is none. */
    pid_t pid;
    struct watch input, output;
    struct bytes to, from;
    /* How much of `from` is known to be without an end of line. */
    size_t scanned;
    /* No more goes in: the descriptor is closed when `to` is empty. */
    bool no_more_input;
    /* Its program was asked to end by a signal, too. */
    bool was_signalled;
    /* Its program has ended; what it said last is taken, however much waits for its client already. */
    bool dead;
    /* Its program did something that is not borne, and was killed for it. */
    const char *killed_for;
    int64_t started, due;
    /* Whether this life was of any use, or its program read something of its client's, which may have been what ended
       it: only others count as starts that failed. */
    bool was_well, was_fed;
    /* Bytes that went in. */
    size_t given;
    unsigned int recent_deaths;
    int64_t deaths_since, backoff;
    /* What its program has in hand, and what the client has of its program's. */
    struct calls calls, asked;
    /* Of a client's own program, the request by which it was greeted; of a shared one, what it answered. */
    struct bytes greeting;
    struct session *next;
};

struct client {
    /* Closed when its descriptor is -1; freed at the end of the turn. */
    struct watch watch;
    struct session *session;
    struct bytes in, out;
    size_t scanned;
    /* Nothing more comes from it; nothing reaches it any more either. */
    bool ended, gone;
    /* It is closed when all has been sent. */
    bool closing;
    /* It said that it is ready for notifications. */
    bool initialized;
    size_t in_hand;
    /* When it last had anything in hand. */
    int64_t busy;
    struct client *next;
};

struct bridge {
    struct options options;
    int epoll;
    /* Milliseconds of CLOCK_MONOTONIC, taken when a turn begins. */
    int64_t now;
    struct session *sessions;
    struct client *clients;
    size_t client_count;
    /* Asked to stop. */
    bool draining;
    bool ready_told;
    /* Programs in a row that ended before they were of any use. */
    unsigned int failed_starts;
    unsigned int restarts;
};

extern struct bridge bridge;

/* When something is due at this time, the next turn comes then. */
void bridge_due(int64_t at);

/* The program keeps dying: ends as it did, so that whoever started the bridge sees what there is to see. */
__attribute__((noreturn)) void bridge_give_up(int status);
