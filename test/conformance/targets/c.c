/* The program that the conformance suite asks, with the C SDK: its methods are those of docs/hacking.md. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bulkhead.h"

#ifdef __SANITIZE_ADDRESS__
const char *__asan_default_options(void);

/* Memory that was given back is kept for a while, and would be taken for a leak by who looks at the whole. */
const char *__asan_default_options(void) {
    return "quarantine_size_mb=8";
}
#endif

/* All but the counters of threads is touched by the loop alone. */
static int64_t cancelled_calls, open_streams, bumps;

static void echo(struct bulkhead_call *call, void *context) {
    (void)context;
    if (!bulkhead_write_copy(bulkhead_result(call), bulkhead_params(call))) {
        bulkhead_fail(call, "bad-params", "echo takes a value");
        return;
    }
    bulkhead_return(call);
}

static void add(struct bulkhead_call *call, void *context) {
    struct bulkhead_reader *params = bulkhead_params(call), again = *params;
    int64_t a, b;
    double x, y;
    (void)context;
    if (bulkhead_param_count(call) == 2 && bulkhead_read_int(params, &a) && bulkhead_read_int(params, &b) &&
        llabs(a) < 1LL << 53 && llabs(b) < 1LL << 53) {
        bulkhead_write_int(bulkhead_result(call), a + b);
    } else if (bulkhead_param_count(call) == 2 && bulkhead_read_double(&again, &x) && bulkhead_read_double(&again, &y)) {
        bulkhead_write_double(bulkhead_result(call), x + y);
    } else {
        bulkhead_fail(call, "bad-params", "add takes two numbers");
        return;
    }
    bulkhead_return(call);
}

/* The next parameter as a string of C; NULL when it is none, or has a NUL in it. To be freed. */
static char *text_param(struct bulkhead_call *call) {
    const char *text;
    size_t length;
    if (!bulkhead_read_text(bulkhead_params(call), &text, &length) || memchr(text, '\0', length) != NULL) return NULL;
    return strndup(text, length);
}

static void fail(struct bulkhead_call *call, void *context) {
    char *code = text_param(call), *message = text_param(call);
    (void)context;
    if (code == NULL || message == NULL) {
        bulkhead_fail(call, "bad-params", "fail takes a code, a message and data");
    } else if (bulkhead_read_nil(bulkhead_params(call)) || bulkhead_peek(bulkhead_params(call)) == BULKHEAD_END) {
        bulkhead_fail(call, code, "%s", message);
    } else {
        (void)bulkhead_write_copy(bulkhead_result(call), bulkhead_params(call));
        bulkhead_fail_with(call, code, message);
    }
    free(code);
    free(message);
}

static void throw(struct bulkhead_call *call, void *context) {
    char *message = text_param(call);
    (void)context;
    bulkhead_fail(call, "failed", "%s", message == NULL ? "thrown" : message);
    free(message);
}

static bool number_param(struct bulkhead_call *call, uint32_t *out) {
    double number;
    if (!bulkhead_read_double(bulkhead_params(call), &number) || !(number >= 0 && number <= UINT32_MAX)) return false;
    *out = (uint32_t)number;
    return *out == number;
}

static void slept(struct bulkhead_call *call, void *context) {
    (void)context;
    bulkhead_write_text(bulkhead_result(call), "slept");
    bulkhead_return(call);
}

/* Whoever has left wants no answer either. */
static void note_cancelled(const struct bulkhead_call *call) {
    if (bulkhead_ended(call) == BULKHEAD_CANCELLED || bulkhead_ended(call) == BULKHEAD_GONE) cancelled_calls++;
}

static void ended(struct bulkhead_call *call, void *context) {
    (void)context;
    note_cancelled(call);
    bulkhead_return(call);
}

static void sleep_for(struct bulkhead_call *call, void *context) {
    uint32_t ms;
    (void)context;
    if (!number_param(call, &ms)) {
        bulkhead_fail(call, "bad-params", "sleep takes milliseconds");
        return;
    }
    bulkhead_on_end(call, ended, NULL);
    bulkhead_after(call, ms, slept, NULL);
}

static void thread_sleep(struct bulkhead_call *call, void *context) {
    uint32_t ms;
    (void)context;
    if (!number_param(call, &ms)) {
        bulkhead_fail(call, "bad-params", "thread-sleep takes milliseconds");
        return;
    }
    (void)bulkhead_sleep(call, ms);
    bulkhead_write_text(bulkhead_result(call), "slept");
    bulkhead_return(call);
}

static void answer_number(struct bulkhead_call *call, void *context) {
    bulkhead_write_int(bulkhead_result(call), *(const int64_t *)context);
    bulkhead_return(call);
}

struct counting {
    uint32_t at, end, delay_ms;
    bool for_ever;
};

static void count_over(struct bulkhead_call *call, struct counting *counting) {
    open_streams--;
    if (!counting->for_ever) bulkhead_write_uint(bulkhead_result(call), counting->end);
    free(counting);
    bulkhead_return(call);
}

static void count_ended(struct bulkhead_call *call, void *context) {
    note_cancelled(call);
    count_over(call, context);
}

static void count_more(struct bulkhead_call *call, void *context);

static void count_waited(struct bulkhead_call *call, void *context) {
    bulkhead_on_credit(call, count_more, context);
}

static void count_more(struct bulkhead_call *call, void *context) {
    struct counting *counting = context;
    bulkhead_write_uint(bulkhead_result(call), counting->at);
    const int error = bulkhead_item(call);
    if (error == -EMSGSIZE) count_over(call, counting);
    if (error < 0) return;
    counting->at++;
    /* The end needs no credit. */
    if (!counting->for_ever && counting->at == counting->end) {
        count_over(call, counting);
    } else if (counting->delay_ms > 0) {
        bulkhead_on_credit(call, NULL, NULL);
        bulkhead_after(call, counting->delay_ms, count_waited, counting);
    }
}

static void count(struct bulkhead_call *call, void *context) {
    struct counting *counting = calloc(1, sizeof(*counting));
    if (counting == NULL) abort();
    counting->for_ever = context != NULL;
    if (!counting->for_ever && !number_param(call, &counting->end)) {
        free(counting);
        bulkhead_fail(call, "bad-params", "count takes a number, and a delay in ms");
        return;
    }
    (void)number_param(call, &counting->delay_ms);
    open_streams++;
    /* Without parts there is no credit to wait for. */
    if (counting->end == 0 && !counting->for_ever) {
        count_over(call, counting);
        return;
    }
    bulkhead_on_end(call, count_ended, counting);
    bulkhead_on_credit(call, count_more, counting);
}

static void thread_count(struct bulkhead_call *call, void *context) {
    uint32_t end, delay_ms = 0;
    (void)context;
    if (!number_param(call, &end)) {
        bulkhead_fail(call, "bad-params", "thread-count takes a number, and a delay in ms");
        return;
    }
    (void)number_param(call, &delay_ms);
    int error = 0;
    for (uint32_t i = 0; error == 0 && i < end; i++) {
        bulkhead_write_uint(bulkhead_result(call), i);
        error = bulkhead_item(call);
        if (error == 0 && delay_ms > 0) error = bulkhead_sleep(call, delay_ms);
    }
    bulkhead_write_uint(bulkhead_result(call), end);
    bulkhead_return(call);
}

static void write_text_or_nil(struct bulkhead_writer *writer, const char *text) {
    if (text == NULL) bulkhead_write_nil(writer);
    else bulkhead_write_text(writer, text);
}

static void context_of(struct bulkhead_call *call, void *context) {
    struct bulkhead_writer *result = bulkhead_result(call);
    const int64_t deadline = bulkhead_deadline_ms(call);
    (void)context;
    bulkhead_write_map(result, 4);
    bulkhead_write_text(result, "deadline");
    if (deadline < 0) bulkhead_write_nil(result);
    else bulkhead_write_int(result, deadline);
    bulkhead_write_text(result, "traceparent");
    write_text_or_nil(result, bulkhead_traceparent(call));
    bulkhead_write_text(result, "idempotency");
    write_text_or_nil(result, bulkhead_idempotency(call));
    bulkhead_write_text(result, "greeted");
    bulkhead_write_bool(result, bulkhead_greeted(call));
    bulkhead_return(call);
}

static void bump(struct bulkhead_call *call, void *context) {
    (void)context;
    bumps++;
    bulkhead_return(call);
}

static bool binary_param(struct bulkhead_call *call, const void **bytes, size_t *length) {
    if (bulkhead_read_binary(bulkhead_params(call), bytes, length)) return true;
    bulkhead_fail(call, "bad-params", "a binary is missing");
    return false;
}

static void size(struct bulkhead_call *call, void *context) {
    const void *bytes;
    size_t length;
    (void)context;
    if (!binary_param(call, &bytes, &length)) return;
    bulkhead_write_uint(bulkhead_result(call), length);
    bulkhead_return(call);
}

static void bytes_of(struct bulkhead_call *call, void *context) {
    uint32_t count;
    char *bytes = NULL;
    (void)context;
    if (!number_param(call, &count) || count > 1U << 30) {
        bulkhead_fail(call, "bad-params", "bytes takes a number up to 2^30");
        return;
    }
    bytes = malloc((size_t)count + 1);
    if (bytes == NULL) {
        bulkhead_fail(call, "overloaded", "there is no memory");
        return;
    }
    memset(bytes, 'b', count);
    bulkhead_write_binary(bulkhead_result(call), bytes, count);
    free(bytes);
    bulkhead_return(call);
}

/* Of the C SDK alone: a result in one part, of so many bytes, and what became of that. */
static void part(struct bulkhead_call *call, void *context) {
    uint32_t count;
    (void)context;
    char *bytes = number_param(call, &count) && count <= 1U << 24 ? calloc(1, (size_t)count + 1) : NULL;
    if (bytes == NULL) {
        bulkhead_fail(call, "bad-params", "part takes a number up to 2^24");
        return;
    }
    bulkhead_write_binary(bulkhead_result(call), bytes, count);
    free(bytes);
    const int error = bulkhead_item(call);
    if (error < 0) bulkhead_fail(call, "failed", "%s", strerror(-error));
    else bulkhead_return(call);
}

static void refuse(struct bulkhead_call *call, int error) {
    bulkhead_fail(call, error == -EDQUOT ? "journal-full" : "failed", "%s", strerror(-error));
}

static void save(struct bulkhead_call *call, void *context) {
    char *name = text_param(call);
    uint32_t schema;
    const void *bytes;
    size_t length;
    (void)context;
    if (name == NULL || !number_param(call, &schema)) {
        bulkhead_fail(call, "bad-params", "save takes a name, a schema and a binary");
    } else if (binary_param(call, &bytes, &length)) {
        const int error = bulkhead_save(name, schema, bytes, length);
        if (error < 0) refuse(call, error);
        else bulkhead_return(call);
    }
    free(name);
}

static void load(struct bulkhead_call *call, void *context) {
    char *name = text_param(call);
    uint32_t schema;
    void *bytes = NULL;
    size_t length;
    (void)context;
    if (name == NULL || !number_param(call, &schema)) {
        bulkhead_fail(call, "bad-params", "load takes a name and a schema");
    } else {
        const int error = bulkhead_restore(name, schema, &bytes, &length, NULL);
        if (error == 0) bulkhead_write_binary(bulkhead_result(call), bytes, length);
        if (error < 0 && error != -ENODATA) refuse(call, error);
        else bulkhead_return(call);
    }
    free(bytes);
    free(name);
}

static struct bulkhead_journal *journal_for(struct bulkhead_call *call) {
    struct bulkhead_journal *journal;
    const int error = bulkhead_journal(&journal);
    if (error < 0) refuse(call, error);
    return journal;
}

static void accept_work(struct bulkhead_call *call, void *context) {
    struct bulkhead_journal *journal = journal_for(call);
    unsigned char id[BULKHEAD_ID_SIZE];
    const void *bytes;
    size_t length;
    (void)context;
    if (journal == NULL || !binary_param(call, &bytes, &length)) return;
    const int error = bulkhead_accept(journal, bytes, length, id);
    if (error < 0) {
        refuse(call, error);
        return;
    }
    bulkhead_write_binary(bulkhead_result(call), id, sizeof(id));
    bulkhead_return(call);
}

static void finish_work(struct bulkhead_call *call, void *context) {
    struct bulkhead_journal *journal = journal_for(call);
    const void *id;
    size_t length;
    (void)context;
    if (journal == NULL || !binary_param(call, &id, &length)) return;
    const int error = length == BULKHEAD_ID_SIZE ? bulkhead_finish(journal, id) : -EINVAL;
    if (error < 0) refuse(call, error);
    else bulkhead_return(call);
}

struct replayed {
    struct bulkhead_writer *items;
    uint32_t count;
};

static int replay_one(const unsigned char *id, const void *bytes, size_t length, void *context) {
    struct replayed *replayed = context;
    (void)id;
    bulkhead_write_binary(replayed->items, bytes, length);
    replayed->count++;
    return 0;
}

static void replay(struct bulkhead_call *call, void *context) {
    struct bulkhead_journal *journal = journal_for(call);
    struct replayed replayed = {.items = bulkhead_writer_new()};
    size_t length;
    (void)context;
    if (replayed.items == NULL) abort();
    const int count = journal == NULL ? 0 : bulkhead_replay(journal, replay_one, &replayed);
    if (journal != NULL && count < 0) {
        refuse(call, count);
    } else if (journal != NULL) {
        struct bulkhead_reader items = bulkhead_reader_of(bulkhead_writer_bytes(replayed.items, &length), 0);
        items.end = items.at + length;
        bulkhead_write_array(bulkhead_result(call), replayed.count);
        while (bulkhead_write_copy(bulkhead_result(call), &items)) continue;
        bulkhead_return(call);
    }
    bulkhead_writer_free(replayed.items);
}

static void line(struct bulkhead_call *call, void *context) {
    char *text = text_param(call);
    if (text == NULL) {
        bulkhead_fail(call, "bad-params", "a text is missing");
        return;
    }
    if (context != NULL) bulkhead_audit(call, text);
    else bulkhead_note(call, text);
    free(text);
    bulkhead_return(call);
}

static void flag(struct bulkhead_call *call, void *context) {
    (void)context;
    bulkhead_progress(call);
    bulkhead_return(call);
}

static void block(struct bulkhead_call *call, void *context) {
    uint32_t ms;
    (void)context;
    if (!number_param(call, &ms)) {
        bulkhead_fail(call, "bad-params", "block takes milliseconds");
        return;
    }
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&time, NULL);
    bulkhead_return(call);
}

int main(void) {
    static int something;
    struct bulkhead_plugin *plugin = bulkhead_plugin_new();
    if (plugin == NULL) return 1;
    bulkhead_method(plugin, "echo", echo, NULL);
    bulkhead_method(plugin, "add", add, NULL);
    bulkhead_method(plugin, "fail", fail, NULL);
    bulkhead_method(plugin, "throw", throw, NULL);
    bulkhead_method(plugin, "sleep", sleep_for, NULL);
    bulkhead_method(plugin, "cancelled", answer_number, &cancelled_calls);
    bulkhead_stream(plugin, "count", count, NULL);
    bulkhead_stream(plugin, "forever", count, &something);
    bulkhead_method(plugin, "streams", answer_number, &open_streams);
    bulkhead_method(plugin, "context", context_of, NULL);
    bulkhead_method(plugin, "bump", bump, NULL);
    bulkhead_method(plugin, "bumped", answer_number, &bumps);
    bulkhead_method(plugin, "size", size, NULL);
    bulkhead_method(plugin, "bytes", bytes_of, NULL);
    bulkhead_stream(plugin, "part", part, NULL);
    bulkhead_thread_method(plugin, "save", save, NULL);
    bulkhead_thread_method(plugin, "load", load, NULL);
    bulkhead_thread_method(plugin, "accept", accept_work, NULL);
    bulkhead_thread_method(plugin, "finish", finish_work, NULL);
    bulkhead_thread_method(plugin, "replay", replay, NULL);
    bulkhead_method(plugin, "note", line, NULL);
    bulkhead_method(plugin, "audit", line, &something);
    bulkhead_method(plugin, "flag", flag, NULL);
    bulkhead_method(plugin, "block", block, NULL);
    bulkhead_thread_method(plugin, "thread-sleep", thread_sleep, NULL);
    bulkhead_thread_stream(plugin, "thread-count", thread_count, NULL);
    const int error = bulkhead_run(plugin);
    bulkhead_plugin_free(plugin);
    return error < 0 ? 1 : 0;
}
