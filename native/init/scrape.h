#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "init/metrics.h"

/* The question for the payload's own figures, which is put when init asks for it; at most one at a time. */
struct scrape {
    const struct metrics_source *source;
    /* Asked for, and not begun yet. */
    bool wanted;
    /* 0: none is under way. */
    pid_t pid;
    int pidfd, answer;
    int64_t deadline;
};

/* Begins what is wanted, unless one is under way. `confine_first`: this process has more than one that asks may have. */
void scrape_begin(struct scrape *scrape, bool confine_first, int64_t now);

/* Ends one that takes too long. True: one has ended, and `metrics` is what came of it. */
bool scrape_look(struct scrape *scrape, int64_t now, struct metrics *metrics);

/* When scrape_look() or scrape_begin() is due; INT64_MAX for never. */
int64_t scrape_due(const struct scrape *scrape);

void scrape_end(const struct scrape *scrape);
