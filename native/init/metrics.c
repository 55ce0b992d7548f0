/*
 * Reads what a payload tells of itself. The text may be hostile: this is done in a process that has nothing but a
 * connection to the payload, and what leaves it is numbers, in a structure of fixed size.
 */
#include "init/metrics.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

enum { LONGEST_NAME = 128, LONGEST_NUMBER = 40, MOST_PATH = 256 };
/* Above it a double does not count one by one any more. */
#define MOST_COUNT 9007199254740992.0

/* What is still to be read of one line. */
struct cursor {
    const char *at, *end;
};

static bool is_name_start(char c) { return isalpha((unsigned char)c) || c == '_' || c == ':'; }
static bool is_name(char c) { return is_name_start(c) || isdigit((unsigned char)c); }

static bool is_metric_name(const char *value) {
    size_t length = strnlen(value, LONGEST_NAME + 1);
    if (length == 0 || length > LONGEST_NAME || !is_name_start(value[0])) return false;
    for (size_t i = 1; i < length; i++)
        if (!is_name(value[i])) return false;
    return true;
}

static bool name_option(const char **out, const char *value) {
    bool once = *out == NULL;
    *out = value;
    return once && is_metric_name(value);
}

bool metrics_option(struct metrics_source *source, const char *rest, size_t length, const char *value) {
#define IS(text) (length == sizeof(text) - 1 && memcmp(rest, text, length) == 0)
    if (IS("-port")) return source->port == 0 && text_number(value, 1, 65535, &source->port);
    if (IS("-requests")) return name_option(&source->requests, value);
    if (IS("-errors")) return name_option(&source->errors, value);
    if (IS("-latency")) return name_option(&source->latency, value);
    if (IS("-path")) {
        size_t size = strlen(value);
        bool once = source->path == NULL;
        source->path = value;
        return once && value[0] == '/' && size <= MOST_PATH && text_is_printable(value, size) && strchr(value, ' ') == NULL;
    }
#undef IS
    return false;
}

bool metrics_complete(const struct metrics_source *source) {
    bool names = source->requests != NULL || source->errors != NULL || source->latency != NULL;
    return source->port > 0 ? source->path != NULL && names : source->path == NULL && !names;
}

static void skip_blanks(struct cursor *line) {
    while (line->at < line->end && (*line->at == ' ' || *line->at == '\t')) line->at++;
}

static bool take(struct cursor *line, char c) {
    if (line->at == line->end || *line->at != c) return false;
    line->at++;
    return true;
}

static bool take_name(struct cursor *line, const char **name, size_t *length) {
    *name = line->at;
    if (line->at == line->end || !is_name_start(*line->at)) return false;
    while (line->at < line->end && is_name(*line->at)) line->at++;
    *length = (size_t)(line->at - *name);
    return *length <= LONGEST_NAME;
}

/* What is between quotes, with the three escapes that there are; `out` may be NULL for what nobody needs. */
static bool take_quoted(struct cursor *line, char *out, size_t size) {
    size_t used = 0;
    if (!take(line, '"')) return false;
    while (line->at < line->end && *line->at != '"') {
        char c = *line->at++;
        if (c == '\\') {
            if (line->at == line->end) return false;
            c = *line->at++;
            if (c == 'n') c = '\n';
            else if (c != '\\' && c != '"') return false;
        }
        if (out == NULL) continue;
        if (used + 1 >= size) return false;
        out[used++] = c;
    }
    if (out != NULL) out[used] = '\0';
    return take(line, '"');
}

/* A decimal number, or one of the words of the format. strtod(3) would read hexadecimal ones and names of its own, too. */
static bool read_number(const char *text, size_t length, double *out) {
    char copy[LONGEST_NUMBER + 1];
    if (length == 0 || length > LONGEST_NUMBER) return false;
    (void)memcpy(copy, text, length);
    copy[length] = '\0';
    const char *unsigned_text = copy[0] == '+' || copy[0] == '-' ? copy + 1 : copy;
    double sign = copy[0] == '-' ? -1 : 1;
    if (strcasecmp(unsigned_text, "inf") == 0) *out = sign * (double)INFINITY;
    else if (strcmp(copy, "NaN") == 0) *out = (double)NAN;
    else {
        char *end;
        if (strspn(copy, "0123456789+-.eE") != length || memchr(copy, '\0', length) != NULL) return false;
        *out = strtod(copy, &end);
        return end == copy + length && isfinite(*out);
    }
    return true;
}

static bool take_number(struct cursor *line, double *out) {
    const char *from = line->at;
    while (line->at < line->end && *line->at != ' ' && *line->at != '\t') line->at++;
    return read_number(from, (size_t)(line->at - from), out);
}

/* Of all labels the bound of a bucket alone is looked at. */
static bool take_labels(struct cursor *line, char le[LONGEST_NUMBER + 1]) {
    le[0] = '\0';
    if (!take(line, '{')) return true;
    for (;;) {
        const char *name;
        size_t length;
        skip_blanks(line);
        if (take(line, '}')) return true;
        if (!take_name(line, &name, &length)) return false;
        skip_blanks(line);
        if (!take(line, '=')) return false;
        skip_blanks(line);
        bool is_le = length == 2 && memcmp(name, "le", 2) == 0;
        if (!take_quoted(line, is_le ? le : NULL, LONGEST_NUMBER + 1)) return false;
        skip_blanks(line);
        if (!take(line, ',')) return take(line, '}');
    }
}

static bool is_called(const char *name, size_t length, const char *wanted, const char *more) {
    if (wanted == NULL) return false;
    size_t first = strlen(wanted), second = strlen(more);
    return length == first + second && memcmp(name, wanted, first) == 0 && memcmp(name + first, more, second) == 0;
}

/* Counts that no counter can have are wrong, and so is what can only be a sum of such. */
static bool add(uint64_t *sum, double value) {
    if (!(value >= 0) || value > MOST_COUNT || (double)*sum + value > MOST_COUNT) return false;
    *sum += (uint64_t)value;
    return true;
}

static bool add_bucket(struct metrics *out, const char *le, double value) {
    double bound;
    if (!read_number(le, strlen(le), &bound) || isnan(bound)) return false;
    if (isinf(bound)) return bound > 0 && add(&out->all, value);
    uint32_t at = 0;
    while (at < out->buckets && out->bucket[at].bound < bound) at++;
    if (at == out->buckets || out->bucket[at].bound > bound) {
        if (out->buckets == MAX_BUCKETS) return false;
        (void)memmove(&out->bucket[at + 1], &out->bucket[at], (out->buckets - at) * sizeof(out->bucket[0]));
        out->bucket[at].bound = bound;
        out->bucket[at].count = 0;
        out->buckets++;
    }
    return add(&out->bucket[at].count, value);
}

/* A sample: name{label="value"} value [time]. */
static bool read_sample(struct cursor line, const struct metrics_source *source, struct metrics *out) {
    char le[LONGEST_NUMBER + 1];
    const char *name;
    size_t length;
    double value, time;
    if (!take_name(&line, &name, &length)) return false;
    skip_blanks(&line);
    if (!take_labels(&line, le)) return false;
    skip_blanks(&line);
    if (!take_number(&line, &value)) return false;
    skip_blanks(&line);
    if (line.at < line.end && !take_number(&line, &time)) return false;
    skip_blanks(&line);
    if (line.at < line.end) return false;
    if (is_called(name, length, source->requests, "")) {
        out->has_requests = true;
        if (!add(&out->requests, value)) return false;
    }
    if (is_called(name, length, source->errors, "")) {
        out->has_errors = true;
        if (!add(&out->errors, value)) return false;
    }
    if (!is_called(name, length, source->latency, "_bucket")) return true;
    out->has_latency = true;
    return add_bucket(out, le, value);
}

void metrics_parse(const char *text, size_t size, const struct metrics_source *source, struct metrics *out) {
    (void)memset(out, 0, sizeof(*out));
    const char *end = text + size;
    int number = 1;
    for (const char *at = text; at < end; number++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        struct cursor line = {at, stop == NULL ? end : stop};
        at = stop == NULL ? end : stop + 1;
        if (line.end > line.at && line.end[-1] == '\r') line.end--;
        skip_blanks(&line);
        if (line.at == line.end || *line.at == '#' || read_sample(line, source, out)) continue;
        (void)memset(out, 0, sizeof(*out));
        out->result = METRICS_NOT_TEXT;
        out->detail = number;
        return;
    }
}

static void failed(struct metrics *out, enum metrics_result result, int detail) {
    (void)memset(out, 0, sizeof(*out));
    out->result = (int)result;
    out->detail = detail;
}

/* Whether a line of the head says that the body comes in pieces, which nobody does who was asked with HTTP/1.0. */
static bool is_in_pieces(const char *head, const char *end) {
    static const char field[] = "\ntransfer-encoding:";
    for (const char *at = head; (size_t)(end - at) >= sizeof(field) - 1; at++)
        if (strncasecmp(at, field, sizeof(field) - 1) == 0) return true;
    return false;
}

void metrics_answer(const char *answer, size_t size, const struct metrics_source *source, struct metrics *out) {
    static const char begin[] = "HTTP/1.";
    enum { STATUS_AT = 9, STATUS_END = 12 };
    bool is_http = size > STATUS_END && memcmp(answer, begin, sizeof(begin) - 1) == 0 && answer[STATUS_AT - 1] == ' ';
    for (int i = STATUS_AT; is_http && i < STATUS_END; i++) is_http = isdigit((unsigned char)answer[i]);
    const char *head_end = is_http ? memmem(answer, size, "\r\n\r\n", 4) : NULL;
    if (head_end == NULL || is_in_pieces(answer, head_end)) {
        failed(out, METRICS_NOT_HTTP, 0);
        return;
    }
    int status = (answer[9] - '0') * 100 + (answer[10] - '0') * 10 + (answer[11] - '0');
    if (status != 200) {
        failed(out, METRICS_STATUS, status);
        return;
    }
    const char *body = head_end + 4;
    metrics_parse(body, size - (size_t)(body - answer), source, out);
}

bool metrics_valid(const struct metrics *metrics) {
    if (metrics->result < 0 || metrics->result >= METRICS_RESULTS || metrics->buckets > MAX_BUCKETS) return false;
    for (uint32_t i = 0; i < metrics->buckets; i++)
        if (!isfinite(metrics->bucket[i].bound) || (double)metrics->bucket[i].count > MOST_COUNT) return false;
    return (double)metrics->requests <= MOST_COUNT && (double)metrics->errors <= MOST_COUNT && (double)metrics->all <= MOST_COUNT;
}
