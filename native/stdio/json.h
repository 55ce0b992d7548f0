#pragma once
#include <stdbool.h>
#include <stddef.h>

/* A part of a text, not ended by a NUL. `at` is NULL for what is not there. */
struct span {
    const char *at;
    size_t length;
};

enum json_result {
    JSON_OBJECT,
    /* An array, a string and so on; well formed. */
    JSON_OTHER,
    /* It is not JSON (RFC 8259), not UTF-8, or deeper than 64 levels. */
    JSON_MALFORMED,
    /* A wanted key that is there twice, or any key with an escape in it: two readers could understand two things. */
    JSON_AMBIGUOUS,
};

/*
 * Reads the whole of a text, and finds members of the object that it is: values[N] becomes the text of the value of
 * names[N]. What is inside of the values was read, too.
 */
enum json_result json_members(struct span text, const char *const *names, struct span *values, size_t count);

bool json_is_string(struct span value);
bool json_is_object(struct span value);

/* Whether it is a number without fraction and exponent. */
bool json_is_integer(struct span value);

/* A number without sign, fraction and exponent that is below 2^53. */
bool json_number(struct span value, unsigned long *out);

bool span_is(struct span span, const char *text);
bool span_equal(struct span one, struct span other);
