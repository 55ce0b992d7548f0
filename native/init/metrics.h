#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of a histogram, without the one for all; more are too many to be told in one line. */
enum { MAX_BUCKETS = 24 };
/* All that is read of an answer, with its head. */
enum { MOST_METRICS_BYTES = 65536 };

/* Where the payload tells its own figures, and what they are called; names are NULL where there is none. */
struct metrics_source {
    /* 0: it does not. */
    unsigned long port;
    const char *path;
    const char *requests, *errors, *latency;
};

enum metrics_result {
    METRICS_READ,
    METRICS_NOT_ASKED, /* errno */
    METRICS_NO_ANSWER,
    METRICS_STATUS,    /* of HTTP */
    METRICS_TOO_LONG,
    METRICS_NOT_HTTP,
    METRICS_NOT_TEXT,  /* number of the line that is not as the format says */
    METRICS_RESULTS,
};

/* What was told, summed over all series of a name. A plain value of fixed size: it crosses a pipe. */
struct metrics {
    int result, detail;
    bool has_requests, has_errors, has_latency;
    uint32_t buckets;
    uint64_t requests, errors;
    /* Of the histogram: all of them, and how many were not above a bound. */
    uint64_t all;
    struct {
        double bound;
        uint64_t count;
    } bucket[MAX_BUCKETS];
};

/* Takes --metrics-port, -path, -requests, -errors, -latency; `rest` is what follows "--metrics". False if it is wrong. */
bool metrics_option(struct metrics_source *source, const char *rest, size_t length, const char *value);

/* Whether there is all to ask by, or nothing. */
bool metrics_complete(const struct metrics_source *source);

/* Reads the body of an answer (text format 0.0.4 of Prometheus). A single line that is wrong makes all of it wrong. */
void metrics_parse(const char *text, size_t size, const struct metrics_source *source, struct metrics *out);

/* The same for a whole answer of HTTP/1. */
void metrics_answer(const char *answer, size_t size, const struct metrics_source *source, struct metrics *out);

/* Whether it can be what the two above made; what came over the pipe may be anything. */
bool metrics_valid(const struct metrics *metrics);
