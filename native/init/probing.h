#pragma once
#include <stdint.h>

#include "init/metrics.h"
#include "init/options.h"
#include "init/prober.h"

/* What init knows of the probes, and what is still to be reported. */
struct probing {
    const struct options *options;
    /* -1: nobody asks. */
    int prober;
    struct {
        struct probe_state state;
        struct outcome outcome;
        bool news;
        int64_t told;
    } of[PROBE_COUNT];
    /* What the payload told of itself last, and whether it is to be reported. */
    struct metrics metrics;
    bool metrics_news;
    /* Of --probe=liveness:notify: when WATCHDOG=1 came last; 0 while it is not waited for. */
    int64_t heard;
};

/* `prober` as prober_fork() gave it. */
void probing_open(struct probing *probing, const struct options *options, int prober);

/* The program was executed; it is ready; it was asked to stop. */
void probing_executed(struct probing *probing);
void probing_ready(struct probing *probing, int64_t now);
void probing_stop(struct probing *probing);

/* The payload's own figures are to be asked for once. */
void probing_ask_metrics(const struct probing *probing);

/* Reads what the prober says. False: it has ended. */
bool probing_read(struct probing *probing);

/* Whether nothing that is asked keeps the program from being ready. */
bool probing_is_started(const struct probing *probing);

/* Whether the startup probe has failed as often as it may; `text` says how. */
bool probing_start_failed(const struct probing *probing, char *text, size_t size);

/* Judges the time since the last WATCHDOG=1, of which there was one now if `heard`; reports what there is to report. */
void probing_turn(struct probing *probing, bool heard, int64_t now);

/* When probing_turn() is due next; INT64_MAX for never. */
int64_t probing_due(const struct probing *probing);

/* Whoever asks may not know: all that is known is to be reported again. */
void probing_repeat(struct probing *probing);
