#include "init/report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "init/call-name.h"
#include "init/options.h"

static unsigned long lost;

bool report_open(void) {
    int status = fcntl(REPORT_FD, F_GETFL);
    return status >= 0 && (status & O_ACCMODE) != O_RDONLY && fcntl(REPORT_FD, F_SETFL, status | O_NONBLOCK) == 0 &&
           fcntl(REPORT_FD, F_SETFD, FD_CLOEXEC) == 0;
}

/* One write(2) of less than PIPE_BUF: whole or not at all (pipe(7)). */
__attribute__((format(printf, 1, 2))) static void line(const char *format, ...) {
    char text[1280];
    va_list values;
    va_start(values, format);
    int length = vsnprintf(text, sizeof(text), format, values);
    va_end(values);
    if (length < 0 || (size_t)length >= sizeof(text) || write(REPORT_FD, text, (size_t)length) != length) lost++;
}

void report_started(pid_t pid) { line("{\"event\":\"started\",\"pid\":%d}\n", pid); }

void report_ready(void) { line("{\"event\":\"ready\"}\n"); }

void report_status(const char *text) {
    char quoted[2 * STATUS_SIZE + 1];
    text_quote(text, quoted, sizeof(quoted));
    line("{\"event\":\"status\",\"text\":\"%s\"}\n", quoted);
}

void report_stopping(int signal_number) { line("{\"event\":\"stopping\",\"signal\":%d}\n", signal_number); }

void report_forbidden(const struct forbidden *call) {
    char name[64] = "unknown";
    if (!call->unknown) call_name(call->number, call->arch, name, sizeof(name));
    line("{\"event\":\"forbidden\",\"call\":\"%s\",\"number\":%d,\"pid\":%d,\"tid\":%d}\n", name,
         call->unknown ? -1 : call->number, call->pid, call->tid);
}

void report_call(const struct learned *call) {
    static const char *const answers[] = {
        [LEARNED_ALLOWED] = "allowed", [LEARNED_ANSWERED] = "answered", [LEARNED_REFUSED] = "refused"};
    char name[64];
    call_name(call->number, call->arch, name, sizeof(name));
    line("{\"event\":\"call\",\"call\":\"%s\",\"argument\":%d,\"value\":\"%llu\",\"more\":%s,\"answer\":\"%s\",\"errno\":%d}\n", name,
         call->argument, (unsigned long long)call->value, call->more ? "true" : "false", answers[call->answer], call->error);
}

void report_gate(enum gate_state state) { line("{\"event\":\"gate\",\"gate\":\"%s\"}\n", gate_state_name(state)); }

void report_helper_lost(const char *name) { line("{\"event\":\"helper-lost\",\"helper\":\"%s\"}\n", name); }

void report_setup_failed(const char *step, int error_number, const char *error) {
    char clean[200], quoted[2 * sizeof(clean) + 1];
    if (error == NULL) error = strerror(error_number);
    (void)text_clean(error, strlen(error), clean, sizeof(clean));
    text_quote(clean, quoted, sizeof(quoted));
    line("{\"event\":\"setup-failed\",\"step\":\"%s\",\"errno\":%d,\"error\":\"%s\"}\n", step, error_number, quoted);
    /* For whoever reads the journal. */
    (void)fprintf(stderr, "plugin-init: set-up failed at '%s': %s\n", step, clean);
}

static long long microseconds(struct timeval time) { return (long long)time.tv_sec * 1000000 + time.tv_usec; }

void report_probe(enum probe_name name, const struct probe_state *state, struct outcome outcome) {
    char text[160], quoted[2 * sizeof(text) + 1];
    probe_text(outcome, text, sizeof(text));
    text_quote(text, quoted, sizeof(quoted));
    line("{\"event\":\"probe\",\"probe\":\"%s\",\"passes\":%s,\"asked\":%s,\"text\":\"%s\"}\n", probe_name(name),
         state->passes ? "true" : "false", state->unasked ? "false" : "true", quoted);
}

static const char *why_no_metrics(const struct metrics *metrics, char *text, size_t size) {
    int detail = metrics->detail;
    switch (metrics->result) {
        case METRICS_NOT_ASKED:
            (void)snprintf(text, size, "could not be asked: %s", strerror(detail));
            return text;
        case METRICS_NO_ANSWER:
            (void)snprintf(text, size, "no answer: %s", detail == 0 ? "the connection ended" : strerror(detail));
            return text;
        case METRICS_STATUS:
            (void)snprintf(text, size, "HTTP status %d", detail);
            return text;
        case METRICS_TOO_LONG:
            (void)snprintf(text, size, "more than %d bytes", MOST_METRICS_BYTES);
            return text;
        case METRICS_NOT_HTTP:
            (void)snprintf(text, size, "the answer is not HTTP, or comes in pieces");
            return text;
        default:
            (void)snprintf(text, size, "line %d is not of the text format of Prometheus", detail);
            return text;
    }
}

/* At most MAX_BUCKETS of 14 and 16 digits with 5 other characters each: it fits into a line. */
static void buckets_text(const struct metrics *metrics, char *text, size_t size) {
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < metrics->buckets && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s[%.8g,%llu]", i == 0 ? "" : ",", metrics->bucket[i].bound,
                                 (unsigned long long)metrics->bucket[i].count);
}

void report_metrics(const struct metrics *metrics) {
    char text[900], quoted[400], requests[32] = "null", errors[32] = "null", all[32] = "null";
    if (metrics->result != METRICS_READ) {
        char why[160];
        text_quote(why_no_metrics(metrics, why, sizeof(why)), quoted, sizeof(quoted));
        line("{\"event\":\"metrics\",\"error\":\"%s\"}\n", quoted);
        return;
    }
    if (metrics->has_requests) (void)snprintf(requests, sizeof(requests), "%llu", (unsigned long long)metrics->requests);
    if (metrics->has_errors) (void)snprintf(errors, sizeof(errors), "%llu", (unsigned long long)metrics->errors);
    if (metrics->has_latency) (void)snprintf(all, sizeof(all), "%llu", (unsigned long long)metrics->all);
    buckets_text(metrics, text, sizeof(text));
    line("{\"event\":\"metrics\",\"requests\":%s,\"errors\":%s,\"all\":%s,\"buckets\":[%s]}\n", requests, errors, all, text);
}

void report_exit(int status, const struct rusage *usage, bool children_left) {
    const char *how = WIFEXITED(status) ? "exited" : WCOREDUMP(status) ? "dumped" : "killed";
    line("{\"event\":\"exit\",\"how\":\"%s\",\"status\":%d,\"maxrssKb\":%ld,\"userUsec\":%lld,\"systemUsec\":%lld,"
         "\"childrenLeft\":%s,\"lost\":%lu}\n",
         how, WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), usage->ru_maxrss,
         microseconds(usage->ru_utime), microseconds(usage->ru_stime), children_left ? "true" : "false", lost);
}
