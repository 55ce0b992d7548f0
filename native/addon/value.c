#include "addon.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

static bool wrong(napi_env env, const char *name, const char *expected) {
    char text[160];
    (void)snprintf(text, sizeof(text), "argument '%s' must be %s", name, expected);
    (void)napi_throw_type_error(env, NULL, text);
    return false;
}

bool arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values) {
    size_t given = count;
    if (napi_get_cb_info(env, info, &given, values, NULL, NULL) != napi_ok || given < count) {
        (void)napi_throw_type_error(env, NULL, "too few arguments");
        return false;
    }
    return true;
}

bool to_int(napi_env env, napi_value value, const char *name, int *out) {
    double number;
    if (napi_get_value_double(env, value, &number) != napi_ok || !(number >= INT_MIN && number <= INT_MAX) ||
        number != (int)number)
        return wrong(env, name, "a 32-bit integer");
    *out = (int)number;
    return true;
}

bool to_bool(napi_env env, napi_value value, const char *name, bool *out) {
    return napi_get_value_bool(env, value, out) == napi_ok || wrong(env, name, "a boolean");
}

bool to_text(napi_env env, napi_value value, const char *name, char out[TEXT_SIZE]) {
    size_t length;
    if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok) return wrong(env, name, "a string");
    if (length >= TEXT_SIZE) return wrong(env, name, "a string of at most 4095 bytes");
    if (napi_get_value_string_utf8(env, value, out, TEXT_SIZE, &length) != napi_ok) return wrong(env, name, "a string");
    return strlen(out) == length || wrong(env, name, "a string without NUL");
}

bool to_bytes(napi_env env, napi_value value, const char *name, const void **bytes, size_t *length) {
    bool typed = false;
    void *data = NULL;
    napi_typedarray_type type;
    if (napi_is_typedarray(env, value, &typed) != napi_ok || !typed ||
        napi_get_typedarray_info(env, value, &type, length, &data, NULL, NULL) != napi_ok || type != napi_uint8_array)
        return wrong(env, name, "a Uint8Array");
    /* An empty array may have no memory behind it. */
    *bytes = data == NULL ? "" : data;
    return true;
}

bool to_fds(napi_env env, napi_value value, const char *name, int fds[MAX_FDS], size_t *count) {
    bool is_array = false;
    uint32_t length = 0;
    if (napi_is_array(env, value, &is_array) != napi_ok || !is_array || napi_get_array_length(env, value, &length) != napi_ok)
        return wrong(env, name, "an array of descriptors");
    if (length > MAX_FDS) return wrong(env, name, "an array of at most 253 descriptors");
    for (uint32_t i = 0; i < length; i++) {
        napi_value element;
        if (napi_get_element(env, value, i, &element) != napi_ok) return wrong(env, name, "an array of descriptors");
        if (!to_int(env, element, name, &fds[i])) return false;
    }
    *count = length;
    return true;
}

bool property(napi_env env, napi_value object, const char *name, napi_value *out) {
    napi_valuetype type;
    if (napi_typeof(env, object, &type) != napi_ok || type != napi_object) return wrong(env, "options", "an object");
    return napi_get_named_property(env, object, name, out) == napi_ok || wrong(env, name, "given");
}

/* The functions below fail only when the engine is out of memory or ending; undefined is the answer then. */
napi_value from_int(napi_env env, int64_t number) {
    napi_value value = NULL;
    (void)napi_create_int64(env, number, &value);
    return value;
}

napi_value from_bool(napi_env env, bool boolean) {
    napi_value value = NULL;
    (void)napi_get_boolean(env, boolean, &value);
    return value;
}

napi_value from_text(napi_env env, const char *text, size_t length) {
    napi_value value = NULL;
    (void)napi_create_string_utf8(env, text, length, &value);
    return value;
}

napi_value new_object(napi_env env) {
    napi_value value = NULL;
    (void)napi_create_object(env, &value);
    return value;
}

void set(napi_env env, napi_value object, const char *name, napi_value value) {
    (void)napi_set_named_property(env, object, name, value);
}
