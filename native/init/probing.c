#include "init/probing.h"

#include <errno.h>
#include <sys/socket.h>

#include "init/report.h"

/* Messages are told apart by their sizes. */
_Static_assert(sizeof(struct metrics) != sizeof(struct probe_news), "they are of one size");

/* Least time between two reports about one probe: one that changes all the time must not fill the pipe. */
enum { REPORT_INTERVAL_MS = 1000 };
/* As the prober has it: after such a delay of our own, nobody is blamed. */
enum { LATE_MS = 250 };

void probing_open(struct probing *probing, const struct options *options, int prober) {
    *probing = (struct probing){.options = options, .prober = prober};
    for (int name = 0; name < PROBE_COUNT; name++) probing->of[name].told = -REPORT_INTERVAL_MS;
}

/* One that ends just now is found by its end. */
static void say(const struct probing *probing, char word) {
    if (probing->prober >= 0) (void)send(probing->prober, &word, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void probing_executed(struct probing *probing) { say(probing, PROBER_EXECUTED); }

void probing_ready(struct probing *probing, int64_t now) {
    say(probing, PROBER_READY);
    if (probing->options->probes[PROBE_LIVENESS].kind == PROBE_NOTIFY) probing->heard = now;
}

void probing_stop(struct probing *probing) {
    if (probing->prober >= 0) (void)shutdown(probing->prober, SHUT_WR);
    probing->heard = 0;
}

void probing_ask_metrics(const struct probing *probing) {
    if (probing->options->metrics.port > 0) say(probing, PROBER_METRICS);
}

bool probing_read(struct probing *probing) {
    for (int turn = 0; turn < PROBE_COUNT + 1; turn++) {
        union {
            struct probe_news news;
            struct metrics metrics;
        } said;
        ssize_t got = recv(probing->prober, &said, sizeof(said), MSG_DONTWAIT);
        if (got < 0) return errno == EAGAIN || errno == EINTR;
        if (got == sizeof(said.metrics) && metrics_valid(&said.metrics)) {
            probing->metrics = said.metrics;
            probing->metrics_news = true;
            continue;
        }
        const struct probe_news news = said.news;
        if (got != sizeof(news) || news.name < 0 || news.name >= PROBE_COUNT) return false;
        probing->of[news.name].state = news.state;
        probing->of[news.name].outcome = news.outcome;
        probing->of[news.name].news = true;
    }
    return true;
}

bool probing_is_started(const struct probing *probing) {
    return probing->options->probes[PROBE_STARTUP].kind == PROBE_NONE || probing->of[PROBE_STARTUP].state.passes;
}

bool probing_start_failed(const struct probing *probing, char *text, size_t size) {
    const struct probe_state *state = &probing->of[PROBE_STARTUP].state;
    if (!state->known || state->passes) return false;
    probe_text(probing->of[PROBE_STARTUP].outcome, text, size);
    return true;
}

static int64_t patience(const struct probing *probing) {
    const struct probe *probe = &probing->options->probes[PROBE_LIVENESS];
    return (int64_t)(probe->every_ms * probe->misses);
}

/* What counts in a row is in the time already. */
static void judge_watchdog(struct probing *probing, bool heard, int64_t now) {
    const struct probe once = {.misses = 1, .passes = 1};
    struct outcome outcome = {OUTCOME_PASSED, 0};
    int64_t silent = now - probing->heard;
    if (heard || silent < patience(probing)) {
        if (!heard) return;
    } else {
        bool late = silent > patience(probing) + LATE_MS;
        outcome = late ? (struct outcome){OUTCOME_LATE, (int)(silent - patience(probing))}
                       : (struct outcome){OUTCOME_SILENT, (int)patience(probing)};
    }
    probing->heard = now;
    if (!probe_judge(&once, &probing->of[PROBE_LIVENESS].state, outcome)) return;
    probing->of[PROBE_LIVENESS].outcome = outcome;
    probing->of[PROBE_LIVENESS].news = true;
}

void probing_turn(struct probing *probing, bool heard, int64_t now) {
    if (probing->heard > 0) judge_watchdog(probing, heard, now);
    if (probing->metrics_news) report_metrics(&probing->metrics);
    probing->metrics_news = false;
    for (int name = 0; name < PROBE_COUNT; name++) {
        if (!probing->of[name].news || probing->of[name].told + REPORT_INTERVAL_MS > now) continue;
        probing->of[name].news = false;
        probing->of[name].told = now;
        report_probe((enum probe_name)name, &probing->of[name].state, probing->of[name].outcome);
    }
}

int64_t probing_due(const struct probing *probing) {
    int64_t due = probing->heard > 0 ? probing->heard + patience(probing) : INT64_MAX;
    for (int name = 0; name < PROBE_COUNT; name++)
        if (probing->of[name].news && probing->of[name].told + REPORT_INTERVAL_MS < due) due = probing->of[name].told + REPORT_INTERVAL_MS;
    return due;
}

void probing_repeat(struct probing *probing) {
    for (int name = 0; name < PROBE_COUNT; name++) {
        const struct probe_state *state = &probing->of[name].state;
        probing->of[name].news |= state->known || state->unasked;
        probing->of[name].told = -REPORT_INTERVAL_MS;
    }
}
