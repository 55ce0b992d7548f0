#include "init/probe.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* An hour, and 5 minutes. */
enum { LONGEST_EVERY_MS = 3600000, LONGEST_TIMEOUT_MS = 300000, LONGEST_PATH = 256, MOST_IN_A_ROW = 1000 };

static const char *const names[] = {"startup", "readiness", "liveness"};
static const char *const kinds[] = {NULL, "tcp", "http", "command", "notify"};

const char *probe_name(enum probe_name name) { return names[name]; }

/* Copies what is before the next ':', or all; returns what is behind it. */
static const char *part(const char *text, char *out, size_t size) {
    size_t length = strcspn(text, ":");
    (void)snprintf(out, size, "%.*s", (int)(length < size ? length : size - 1), text);
    return text[length] == ':' ? text + length + 1 : text + length;
}

static bool begin(struct probe probes[PROBE_COUNT], int *last, const char *value) {
    char word[16];
    int name = 0, kind = PROBE_TCP;
    value = part(value, word, sizeof(word));
    while (name < PROBE_COUNT && strcmp(word, names[name]) != 0) name++;
    value = part(value, word, sizeof(word));
    while (kind <= PROBE_NOTIFY && strcmp(word, kinds[kind]) != 0) kind++;
    if (name == PROBE_COUNT || kind > PROBE_NOTIFY || probes[name].kind != PROBE_NONE) return false;
    struct probe *probe = &probes[name];
    *probe = (struct probe){.kind = (enum probe_kind)kind};
    const struct {
        unsigned long least, most, *out;
    } numbers[] = {{1, LONGEST_EVERY_MS, &probe->every_ms},
                   {1, LONGEST_TIMEOUT_MS, &probe->timeout_ms},
                   {0, MOST_IN_A_ROW, &probe->misses},
                   {1, MOST_IN_A_ROW, &probe->passes}};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        value = part(value, word, sizeof(word));
        if (!text_number(word, numbers[i].least, numbers[i].most, numbers[i].out)) return false;
    }
    *last = name;
    return *value == '\0';
}

bool probe_option(struct probe probes[PROBE_COUNT], int *last, const char *rest, size_t length, const char *value) {
#define IS(text) (length == sizeof(text) - 1 && memcmp(rest, text, length) == 0)
    if (length == 0) return begin(probes, last, value);
    if (*last < 0) return false;
    struct probe *probe = &probes[*last];
    bool connects = probe->kind == PROBE_TCP || probe->kind == PROBE_HTTP;
    if (IS("-port")) return connects && probe->port == 0 && text_number(value, 1, 65535, &probe->port);
    if (IS("-path")) {
        size_t size = strlen(value);
        bool once = probe->kind == PROBE_HTTP && probe->path == NULL;
        probe->path = value;
        return once && value[0] == '/' && size <= LONGEST_PATH && text_is_printable(value, size) && strchr(value, ' ') == NULL;
    }
    if (IS("-word") && probe->kind == PROBE_COMMAND && probe->word_count < MAX_PROBE_WORDS) {
        probe->words[probe->word_count++] = (char *)value;
        return probe->words[0][0] != '\0';
    }
#undef IS
    return false;
}

bool probe_complete(const struct probe probes[PROBE_COUNT], enum probe_name *wrong) {
    for (*wrong = PROBE_STARTUP; *wrong < PROBE_COUNT; (*wrong)++) {
        const struct probe *probe = &probes[*wrong];
        if (probe->kind == PROBE_HTTP && probe->path == NULL) return false;
        if (probe->kind == PROBE_COMMAND && probe->word_count == 0) return false;
        if (probe->kind == PROBE_NOTIFY && (*wrong != PROBE_LIVENESS || probe->misses == 0)) return false;
    }
    return true;
}

bool probe_is_asked(const struct probe *probe) { return probe->kind != PROBE_NONE && probe->kind != PROBE_NOTIFY; }

bool probe_are_asked(const struct probe probes[PROBE_COUNT]) {
    for (int name = 0; name < PROBE_COUNT; name++)
        if (probe_is_asked(&probes[name])) return true;
    return false;
}

bool probe_wants_socket(const struct probe probes[PROBE_COUNT]) {
    for (int name = 0; name < PROBE_COUNT; name++)
        if ((probes[name].kind == PROBE_TCP || probes[name].kind == PROBE_HTTP) && probes[name].port == 0) return true;
    return false;
}

bool probe_judge(const struct probe *probe, struct probe_state *state, struct outcome outcome) {
    const struct probe_state before = *state;
    state->unasked = outcome.kind >= OUTCOME_NO_FORK;
    if (state->unasked) return !before.unasked;
    bool passed = outcome.kind == OUTCOME_PASSED;
    state->passed = passed ? before.passed + 1 : 0;
    state->failed = passed ? 0 : before.failed + 1;
    if (passed ? state->passed >= probe->passes : probe->misses > 0 && state->failed >= probe->misses) {
        state->known = true;
        state->passes = passed;
    }
    /* For whoever waits to be told why. */
    bool first = !passed && before.failed == 0 && !state->known && probe->misses == 0;
    return state->known != before.known || state->passes != before.passes || (before.unasked && state->known) || first;
}

void probe_text(struct outcome outcome, char *text, size_t size) {
    int detail = outcome.detail;
    switch (outcome.kind) {
        case OUTCOME_PASSED:
            (void)snprintf(text, size, "passed");
            return;
        case OUTCOME_TIMEOUT:
            (void)snprintf(text, size, "no answer within %d ms", detail);
            return;
        case OUTCOME_ERROR:
            (void)snprintf(text, size, "no connection: %s", detail == EAGAIN ? "nobody takes those that wait" : strerror(detail));
            return;
        case OUTCOME_CLOSED:
            (void)snprintf(text, size, "the connection ended without an answer");
            return;
        case OUTCOME_NOT_HTTP:
            (void)snprintf(text, size, "the answer is not HTTP");
            return;
        case OUTCOME_HTTP:
            (void)snprintf(text, size, "HTTP status %d", detail);
            return;
        case OUTCOME_EXITED:
            (void)snprintf(text, size, "the command ended with status %d", detail);
            return;
        case OUTCOME_KILLED:
            if (detail == SIGSYS) (void)snprintf(text, size, "the command made a forbidden system call");
            else (void)snprintf(text, size, "the command was ended by signal %d", detail);
            return;
        case OUTCOME_NOT_RUN:
            (void)snprintf(text, size, "the command could not be run: %s", strerror(detail));
            return;
        case OUTCOME_SILENT:
            (void)snprintf(text, size, "no WATCHDOG=1 within %d ms", detail);
            return;
        case OUTCOME_NO_FORK:
            (void)snprintf(text, size, "could not be asked: no process to ask: %s", strerror(detail));
            return;
        case OUTCOME_NO_MEANS:
            (void)snprintf(text, size, "could not be asked: %s", strerror(detail));
            return;
        case OUTCOME_LATE:
            (void)snprintf(text, size, "could not be asked: the prober itself was %d ms late", detail);
            return;
        case OUTCOME_STUCK:
            (void)snprintf(text, size, "could not be asked: the process that asked last does not end");
            return;
        default:
            (void)snprintf(text, size, "could not be asked");
            return;
    }
}
