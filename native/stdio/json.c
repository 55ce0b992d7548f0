/*
 * As much of JSON as it takes to see whether a text is well formed, and to find a few members of it. Nothing is unpacked:
 * what is passed on is the text itself.
 */
#include "stdio/json.h"

#include <stdint.h>
#include <string.h>

enum { MOST_LEVELS = 64, MOST_DIGITS = 16 };

struct scan {
    const char *at, *end;
    unsigned int level;
};

static bool scan_value(struct scan *scan);

static bool next_is(const struct scan *scan, char wanted) { return scan->at < scan->end && *scan->at == wanted; }

static bool skip(struct scan *scan, char wanted) {
    if (!next_is(scan, wanted)) return false;
    scan->at++;
    return true;
}

static void skip_space(struct scan *scan) {
    while (scan->at < scan->end && strchr(" \t\r\n", *scan->at) != NULL && *scan->at != '\0') scan->at++;
}

static bool is_digit(const struct scan *scan) { return scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9'; }

static bool skip_digits(struct scan *scan) {
    if (!is_digit(scan)) return false;
    while (is_digit(scan)) scan->at++;
    return true;
}

/* One character of UTF-8 beyond ASCII; its length, or 0. */
static size_t wide_character(const unsigned char *byte, size_t left) {
    size_t need = byte[0] >= 0xc2 && byte[0] <= 0xdf ? 2 : (byte[0] & 0xf0) == 0xe0 ? 3 : byte[0] >= 0xf0 && byte[0] <= 0xf4 ? 4 : 0;
    if (need == 0 || left < need) return 0;
    for (size_t i = 1; i < need; i++)
        if ((byte[i] & 0xc0) != 0x80) return 0;
    /* Overlong ones, surrogates, and what is beyond U+10FFFF. */
    if ((byte[0] == 0xe0 && byte[1] < 0xa0) || (byte[0] == 0xed && byte[1] > 0x9f)) return 0;
    if ((byte[0] == 0xf0 && byte[1] < 0x90) || (byte[0] == 0xf4 && byte[1] > 0x8f)) return 0;
    return need;
}

static bool scan_escape(struct scan *scan) {
    if (scan->at >= scan->end) return false;
    char what = *scan->at++;
    if (what != 'u') return what != '\0' && strchr("\"\\/bfnrt", what) != NULL;
    for (int i = 0; i < 4; i++, scan->at++)
        if (scan->at >= scan->end || *scan->at == '\0' || strchr("0123456789abcdefABCDEF", *scan->at) == NULL) return false;
    return true;
}

static bool scan_string(struct scan *scan) {
    if (!skip(scan, '"')) return false;
    while (scan->at < scan->end) {
        unsigned char byte = (unsigned char)*scan->at;
        if (byte == '"') {
            scan->at++;
            return true;
        }
        if (byte < 0x20) return false;
        if (byte == '\\') {
            scan->at++;
            if (!scan_escape(scan)) return false;
        } else if (byte < 0x80) {
            scan->at++;
        } else {
            size_t length = wide_character((const unsigned char *)scan->at, (size_t)(scan->end - scan->at));
            if (length == 0) return false;
            scan->at += length;
        }
    }
    return false;
}

static bool scan_number(struct scan *scan) {
    (void)skip(scan, '-');
    if (!skip(scan, '0') && !skip_digits(scan)) return false;
    if (skip(scan, '.') && !skip_digits(scan)) return false;
    if (next_is(scan, 'e') || next_is(scan, 'E')) {
        scan->at++;
        if (!skip(scan, '+')) (void)skip(scan, '-');
        return skip_digits(scan);
    }
    return true;
}

static bool scan_word(struct scan *scan, const char *word) {
    size_t length = strlen(word);
    if ((size_t)(scan->end - scan->at) < length || memcmp(scan->at, word, length) != 0) return false;
    scan->at += length;
    return true;
}

static bool scan_array(struct scan *scan) {
    scan->at++;
    skip_space(scan);
    if (skip(scan, ']')) return true;
    do {
        if (!scan_value(scan)) return false;
    } while (skip(scan, ','));
    return skip(scan, ']');
}

/* The key, without its quotes, and then the value. */
static bool scan_member(struct scan *scan, struct span *key, struct span *value) {
    skip_space(scan);
    key->at = scan->at + 1;
    if (!scan_string(scan)) return false;
    key->length = (size_t)(scan->at - key->at) - 1;
    skip_space(scan);
    if (!skip(scan, ':')) return false;
    skip_space(scan);
    value->at = scan->at;
    if (!scan_value(scan)) return false;
    value->length = (size_t)(scan->at - value->at);
    while (value->length > 0 && strchr(" \t\r\n", value->at[value->length - 1]) != NULL) value->length--;
    return true;
}

static bool scan_object(struct scan *scan) {
    struct span key, value;
    scan->at++;
    skip_space(scan);
    if (skip(scan, '}')) return true;
    do {
        if (!scan_member(scan, &key, &value)) return false;
    } while (skip(scan, ','));
    return skip(scan, '}');
}

/* With the space around it. */
static bool scan_value(struct scan *scan) {
    skip_space(scan);
    if (scan->at >= scan->end || ++scan->level > MOST_LEVELS) return false;
    bool good;
    switch (*scan->at) {
        case '{': good = scan_object(scan); break;
        case '[': good = scan_array(scan); break;
        case '"': good = scan_string(scan); break;
        case 't': good = scan_word(scan, "true"); break;
        case 'f': good = scan_word(scan, "false"); break;
        case 'n': good = scan_word(scan, "null"); break;
        default: good = scan_number(scan);
    }
    scan->level--;
    if (good) skip_space(scan);
    return good;
}

/* Remembers the value, if its key is one of those that are wanted. False for what could be read in two ways. */
static bool keep(struct span key, struct span value, const char *const *names, struct span *values, size_t count) {
    if (memchr(key.at, '\\', key.length) != NULL) return false;
    for (size_t i = 0; i < count; i++) {
        if (!span_is(key, names[i])) continue;
        if (values[i].at != NULL) return false;
        values[i] = value;
    }
    return true;
}

enum json_result json_members(struct span text, const char *const *names, struct span *values, size_t count) {
    struct scan scan = {.at = text.at, .end = text.at + text.length};
    for (size_t i = 0; i < count; i++) values[i] = (struct span){0};
    skip_space(&scan);
    if (!next_is(&scan, '{')) return scan_value(&scan) && scan.at == scan.end ? JSON_OTHER : JSON_MALFORMED;
    scan.at++;
    scan.level = 1;
    bool plain = true;
    skip_space(&scan);
    if (!skip(&scan, '}')) {
        do {
            struct span key, value;
            if (!scan_member(&scan, &key, &value)) return JSON_MALFORMED;
            plain = keep(key, value, names, values, count) && plain;
        } while (skip(&scan, ','));
        if (!skip(&scan, '}')) return JSON_MALFORMED;
    }
    skip_space(&scan);
    if (scan.at != scan.end) return JSON_MALFORMED;
    return plain ? JSON_OBJECT : JSON_AMBIGUOUS;
}

bool json_is_string(struct span value) { return value.length >= 2 && value.at[0] == '"'; }

bool json_is_object(struct span value) { return value.length >= 2 && value.at[0] == '{'; }

bool json_is_integer(struct span value) {
    struct scan scan = {.at = value.at, .end = value.at + value.length};
    (void)skip(&scan, '-');
    return skip_digits(&scan) && scan.at == scan.end;
}

bool json_number(struct span value, unsigned long *out) {
    if (value.length == 0 || value.length > MOST_DIGITS) return false;
    unsigned long number = 0;
    for (size_t i = 0; i < value.length; i++) {
        if (value.at[i] < '0' || value.at[i] > '9') return false;
        number = number * 10 + (unsigned long)(value.at[i] - '0');
    }
    *out = number;
    return number < (1UL << 53);
}

bool span_is(struct span span, const char *text) {
    return span.at != NULL && span.length == strlen(text) && memcmp(span.at, text, span.length) == 0;
}

bool span_equal(struct span one, struct span other) {
    return one.length == other.length && memcmp(one.at, other.at, one.length) == 0;
}
