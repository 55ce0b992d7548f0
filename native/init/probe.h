#pragma once
#include <stdbool.h>
#include <stddef.h>

enum probe_name { PROBE_STARTUP, PROBE_READINESS, PROBE_LIVENESS, PROBE_COUNT };

enum probe_kind { PROBE_NONE, PROBE_TCP, PROBE_HTTP, PROBE_COMMAND, PROBE_NOTIFY };

/* As many as a declaration may have. */
enum { MAX_PROBE_WORDS = 64 };

/* What is asked, how often, and how often in a row an answer counts. */
struct probe {
    enum probe_kind kind;
    /* Of tcp and http: a port of the program's own; 0 for the probe socket. */
    unsigned long port;
    /* Of http; NULL for others. */
    const char *path;
    char *words[MAX_PROBE_WORDS + 1];
    size_t word_count;
    /* `misses` 0: no number of failures is too many. */
    unsigned long every_ms, timeout_ms, misses, passes;
};

/* What came of one question. Those from OUTCOME_NO_FORK on say nothing of the payload. */
enum outcome_kind {
    OUTCOME_PASSED,
    OUTCOME_TIMEOUT,   /* milliseconds */
    OUTCOME_ERROR,     /* errno of the connection */
    OUTCOME_CLOSED,    /* before it answered */
    OUTCOME_NOT_HTTP,
    OUTCOME_HTTP,      /* its status */
    OUTCOME_EXITED,    /* status of the command */
    OUTCOME_KILLED,    /* signal that ended the command */
    OUTCOME_NOT_RUN,   /* errno of its execution */
    OUTCOME_SILENT,    /* milliseconds without WATCHDOG=1 */
    OUTCOME_NO_FORK,   /* errno */
    OUTCOME_NO_MEANS,  /* errno */
    OUTCOME_LATE,      /* milliseconds that whoever asks was late itself */
    OUTCOME_STUCK,     /* what asked last does not end */
    OUTCOME_KINDS,
};

struct outcome {
    int kind;
    int detail;
};

/* What is known by the answers so far. */
struct probe_state {
    /* In a row. */
    unsigned long failed, passed;
    bool known, passes;
    /* The last question had no answer, for reasons that are not the payload's. */
    bool unasked;
};

const char *probe_name(enum probe_name name);

/*
 * Takes --probe=NAME:KIND:EVERY:TIMEOUT:MISSES:PASSES (times in ms), or --probe-port, --probe-path, --probe-word, which
 * belong to the last --probe. `rest` is what follows "--probe" of the option's name. False if it is wrong.
 */
bool probe_option(struct probe probes[PROBE_COUNT], int *last, const char *rest, size_t length, const char *value);

/* Whether all of them are whole; otherwise the name of one that is not. */
bool probe_complete(const struct probe probes[PROBE_COUNT], enum probe_name *wrong);

/* Whether a process has to ask it. */
bool probe_is_asked(const struct probe *probe);

/* Whether one of them is asked. */
bool probe_are_asked(const struct probe probes[PROBE_COUNT]);

/* Whether one of them goes to the probe socket. */
bool probe_wants_socket(const struct probe probes[PROBE_COUNT]);

/* Notes an answer. Returns whether there is news: it passes or fails now, or cannot be asked, and did not before. */
bool probe_judge(const struct probe *probe, struct probe_state *state, struct outcome outcome);

/* One line for people. */
void probe_text(struct outcome outcome, char *text, size_t size);
