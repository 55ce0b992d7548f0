/*
 * bulkhead.h: write a plugin of bulkhead in C. No library but libc (with threads); built with this file and bulkhead.c:
 *
 *   cc -O2 -pthread -o main main.c bulkhead.c
 *
 *   static void add(struct bulkhead_call *call, void *context) {
 *       struct bulkhead_reader *params = bulkhead_params(call);
 *       int64_t a, b;
 *       if (!bulkhead_read_int(params, &a) || !bulkhead_read_int(params, &b)) {
 *           bulkhead_fail(call, "bad-params", "add takes two integers");
 *           return;
 *       }
 *       bulkhead_write_int(bulkhead_result(call), a + b);
 *       bulkhead_return(call);
 *   }
 *
 *   int main(void) {
 *       struct bulkhead_plugin *plugin = bulkhead_plugin_new();
 *       bulkhead_method(plugin, "add", add, NULL);
 *       return bulkhead_run(plugin) < 0;
 *   }
 *
 * It is a plugin where its declaration says `template: native` and `rpc: {}`, and a program that serves a socket where
 * somebody starts it by hand. Functions that can fail return 0 or a negative errno. Strings are UTF-8.
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BULKHEAD_SDK_VERSION "0.1.0"

struct bulkhead_plugin;
struct bulkhead_call;
struct bulkhead_writer;
struct bulkhead_journal;

/* ---- the plugin ------------------------------------------------------------------------------------------------- */

/* NULL when out of memory. A process has one. */
struct bulkhead_plugin *bulkhead_plugin_new(void);
void bulkhead_plugin_free(struct bulkhead_plugin *plugin);

/*
 * What serves a method. It answers the call with bulkhead_return() or bulkhead_fail(), now or later; the call and all
 * that was read from it are valid until then, and not after.
 */
typedef void bulkhead_callback(struct bulkhead_call *call, void *context);

/*
 * Serves NAME (1 to 128 bytes, not beginning with '$'; kept, not copied) on the plugin's loop, in the thread that called
 * bulkhead_run(). Such a callback must not wait: all other calls wait with it. -EINVAL, -EEXIST, -ENOMEM.
 */
int bulkhead_method(struct bulkhead_plugin *plugin, const char *name, bulkhead_callback *callback, void *context);
/* The same in a thread, where it may wait and compute. One that returns without an answer has failed. */
int bulkhead_thread_method(struct bulkhead_plugin *plugin, const char *name, bulkhead_callback *callback, void *context);
/* The same, for results that come in parts: see bulkhead_item(). */
int bulkhead_stream(struct bulkhead_plugin *plugin, const char *name, bulkhead_callback *callback, void *context);
int bulkhead_thread_stream(struct bulkhead_plugin *plugin, const char *name, bulkhead_callback *callback, void *context);
/* How many threads serve at most, 1 to 30; 8 if not said. Further calls wait for one. Before bulkhead_run(). */
int bulkhead_threads(struct bulkhead_plugin *plugin, unsigned int count);
/* Longest message that is taken, 65,536 to 67,108,864 bytes; 4 MiB if not said. Before bulkhead_run(). */
int bulkhead_frame_limit(struct bulkhead_plugin *plugin, size_t bytes);
/* Called on the loop when the plugin has been told to stop: calls in hand, and those on their way, are still served. */
void bulkhead_on_drain(struct bulkhead_plugin *plugin, void (*callback)(void *context), void *context);

/*
 * Serves until SIGTERM or SIGINT, or bulkhead_stop(), and all clients have left. 0 then; what keeps it from serving is
 * said on standard error. Tells systemd READY=1 when it serves.
 */
int bulkhead_run(struct bulkhead_plugin *plugin);
/* As SIGTERM does. From any thread. */
void bulkhead_stop(struct bulkhead_plugin *plugin);
/* Has the callback called on the loop, soon. From any thread: the way to answer a call of the loop from elsewhere. */
int bulkhead_post(struct bulkhead_plugin *plugin, void (*callback)(void *context), void *context);

/* ---- a call -------------------------------------------------------------------------------------------------------
 * A call of bulkhead_method() is touched on the loop only, one of bulkhead_thread_method() in its thread only.
 */

struct bulkhead_reader;
/* Stands before the first parameter; an array's end is the end of what can be read. */
struct bulkhead_reader *bulkhead_params(struct bulkhead_call *call);
uint32_t bulkhead_param_count(const struct bulkhead_call *call);

/* Where the result is written, or the next part of it: exactly one value. */
struct bulkhead_writer *bulkhead_result(struct bulkhead_call *call);
/* Answers with what was written; with nil if nothing was. */
void bulkhead_return(struct bulkhead_call *call);
/* Answers with an error. CODE: 1 to 64 of a-z, 0-9 and '-'. The message is cut after 1,024 bytes. */
void bulkhead_fail(struct bulkhead_call *call, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same, with what was written to bulkhead_result() as the error's data. */
void bulkhead_fail_with(struct bulkhead_call *call, const char *code, const char *message);

enum bulkhead_end { BULKHEAD_GOES_ON, BULKHEAD_CANCELLED, BULKHEAD_DEADLINE, BULKHEAD_GONE };
/* Whether anybody still waits for the answer. It has to be given all the same; it reaches nobody. */
enum bulkhead_end bulkhead_ended(const struct bulkhead_call *call);
/* Milliseconds until the client's deadline, 0 when it is over; -1 without one. */
int64_t bulkhead_deadline_ms(const struct bulkhead_call *call);
/* W3C trace context of the caller, and what is the same for all attempts at one call; NULL without. */
const char *bulkhead_traceparent(const struct bulkhead_call *call);
const char *bulkhead_tracestate(const struct bulkhead_call *call);
const char *bulkhead_idempotency(const struct bulkhead_call *call);
/* Whether the client knows the call protocol's extras. */
bool bulkhead_greeted(const struct bulkhead_call *call);
struct bulkhead_plugin *bulkhead_plugin_of(const struct bulkhead_call *call);

/* On the loop: called once, when nobody waits any more, unless the call was answered before. It still has to be answered. */
void bulkhead_on_end(struct bulkhead_call *call, bulkhead_callback *callback, void *context);
/* On the loop: called once in so many milliseconds, unless the call was answered. One at a time: a new one replaces it. */
void bulkhead_after(struct bulkhead_call *call, uint32_t ms, bulkhead_callback *callback, void *context);
/* In a thread: waits. -ECANCELED as soon as nobody waits for the answer any more. */
int bulkhead_sleep(struct bulkhead_call *call, uint32_t ms);

/*
 * Streams. bulkhead_item() sends what was written to bulkhead_result() as one part. -ECANCELED: nobody wants it any more;
 * -EMSGSIZE: the client takes no message so long, and the call can only end; -EINVAL: it is no value, or the method no
 * stream. In a thread it waits until the client takes more. On the loop it returns -EAGAIN then, and what was written is
 * kept: send while bulkhead_credit() is not 0, and be called again by bulkhead_on_credit(). A client that did not ask for
 * parts gets them as one array, in place of the result.
 */
int bulkhead_item(struct bulkhead_call *call);
uint32_t bulkhead_credit(const struct bulkhead_call *call);
/* On the loop: called again and again while parts can be sent, until the call is answered; NULL ends that. */
void bulkhead_on_credit(struct bulkhead_call *call, bulkhead_callback *callback, void *context);

/* For whoever looks at the plugin from outside: it gets on; a line that is still read after its death; one for audits. */
void bulkhead_progress(struct bulkhead_call *call);
void bulkhead_note(struct bulkhead_call *call, const char *text);
void bulkhead_audit(struct bulkhead_call *call, const char *text);

/* ---- MessagePack -------------------------------------------------------------------------------------------------
 * A function that reads returns false, and stays where it is, when what is next is something else or nothing. Texts and
 * binaries are not copied, and end with no NUL.
 */

struct bulkhead_bodies;
struct bulkhead_reader {
    const unsigned char *at, *end;
    /* Files in memory and descriptors that came with the message; NULL for none. */
    struct bulkhead_bodies *bodies;
};

enum bulkhead_type {
    BULKHEAD_END, BULKHEAD_NIL, BULKHEAD_BOOL, BULKHEAD_INT, BULKHEAD_DOUBLE, BULKHEAD_TEXT, BULKHEAD_BINARY,
    BULKHEAD_ARRAY, BULKHEAD_MAP, BULKHEAD_DESCRIPTOR, BULKHEAD_OTHER
};

/* Over any bytes, hostile ones too. */
struct bulkhead_reader bulkhead_reader_of(const void *bytes, size_t length);
enum bulkhead_type bulkhead_peek(const struct bulkhead_reader *reader);
bool bulkhead_read_nil(struct bulkhead_reader *reader);
bool bulkhead_read_bool(struct bulkhead_reader *reader, bool *out);
bool bulkhead_read_int(struct bulkhead_reader *reader, int64_t *out);
bool bulkhead_read_uint(struct bulkhead_reader *reader, uint64_t *out);
/* Takes integers, too. */
bool bulkhead_read_double(struct bulkhead_reader *reader, double *out);
bool bulkhead_read_text(struct bulkhead_reader *reader, const char **text, size_t *length);
bool bulkhead_read_binary(struct bulkhead_reader *reader, const void **bytes, size_t *length);
/* So many values follow; twice as many for a map: key and value. */
bool bulkhead_read_array(struct bulkhead_reader *reader, uint32_t *count);
bool bulkhead_read_map(struct bulkhead_reader *reader, uint32_t *count);
/* A descriptor that came with the call. It is the caller's to close. */
bool bulkhead_read_descriptor(struct bulkhead_reader *reader, int *fd);
/* A whole value, whatever it is. */
bool bulkhead_skip(struct bulkhead_reader *reader);

/* Writing cannot fail at once: what could not be written, for lack of memory, fails the call that it was for. */
void bulkhead_write_nil(struct bulkhead_writer *writer);
void bulkhead_write_bool(struct bulkhead_writer *writer, bool value);
void bulkhead_write_int(struct bulkhead_writer *writer, int64_t value);
void bulkhead_write_uint(struct bulkhead_writer *writer, uint64_t value);
void bulkhead_write_double(struct bulkhead_writer *writer, double value);
void bulkhead_write_text(struct bulkhead_writer *writer, const char *text);
void bulkhead_write_bytes_of_text(struct bulkhead_writer *writer, const char *text, size_t length);
/* Long ones travel as a file in memory, where the client takes them so. */
void bulkhead_write_binary(struct bulkhead_writer *writer, const void *bytes, size_t length);
/* So many values have to follow; twice as many for a map, and its keys are texts. */
void bulkhead_write_array(struct bulkhead_writer *writer, uint32_t count);
void bulkhead_write_map(struct bulkhead_writer *writer, uint32_t count);
/* A copy of the descriptor goes to the client, where it takes such; else the call fails. */
void bulkhead_write_descriptor(struct bulkhead_writer *writer, int fd);
/* The next value of the reader, whatever it is. False: there is none. */
bool bulkhead_write_copy(struct bulkhead_writer *writer, struct bulkhead_reader *reader);

/* One for values of one's own, say the content of a checkpoint. The bytes are NULL when memory was short. */
struct bulkhead_writer *bulkhead_writer_new(void);
void bulkhead_writer_free(struct bulkhead_writer *writer);
const void *bulkhead_writer_bytes(const struct bulkhead_writer *writer, size_t *length);

/* ---- state that outlives the process ------------------------------------------------------------------------------
 * In $STATE_DIRECTORY, which a plugin with `state` in its declaration has; -ENOENT without. From any thread. They write
 * to the disk and wait for it: call them from a thread method, or where a few milliseconds do not matter.
 */

/*
 * Saves the state NAME (1 to 64 of a-z, 0-9, '-'), at most 64 MiB, in the version SCHEMA of its format: whole, or not at
 * all, whatever happens meanwhile.
 */
int bulkhead_save(const char *name, uint32_t schema, const void *bytes, size_t length);
/*
 * The saved state of the highest schema that is not above SCHEMA, which is told in FOUND (or NULL); to be given to free().
 * -ENODATA: there is none.
 */
int bulkhead_restore(const char *name, uint32_t schema, void **bytes, size_t *length, uint32_t *found);

enum { BULKHEAD_ID_SIZE = 16 };
/* The journal of this process, made when it is first asked for. */
int bulkhead_journal(struct bulkhead_journal **journal);
/* Notes work that was accepted, at most 1 MiB; it is on the disk when this returns. -EDQUOT: the journal is full. */
int bulkhead_accept(struct bulkhead_journal *journal, const void *bytes, size_t length, unsigned char id[BULKHEAD_ID_SIZE]);
/* It is done, and will not be handed out again. -ENOENT: it is not open. */
int bulkhead_finish(struct bulkhead_journal *journal, const unsigned char id[BULKHEAD_ID_SIZE]);
/*
 * Hands out what earlier processes accepted and did not finish, each once, whatever dies meanwhile; 0 from the callback
 * means that it is finished. Returns how many it handed out.
 */
int bulkhead_replay(struct bulkhead_journal *journal,
                    int (*callback)(const unsigned char *id, const void *bytes, size_t length, void *context),
                    void *context);

#ifdef __cplusplus
}
#endif
