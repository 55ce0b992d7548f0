#pragma once
/*
 * The addon gives the supervisor, and plugins in JavaScript, the few system calls that Node lacks. No function
 * here blocks, keeps state or knows of Node's event loop, but for those of watch.c. Each returns its value, or a negative errno; only
 * arguments of a wrong type throw. Descriptors that are made are close-on-exec.
 */
#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

napi_value send_datagram(napi_env env, napi_callback_info info);
napi_value send_with_fds(napi_env env, napi_callback_info info);
napi_value peer_credentials(napi_env env, napi_callback_info info);
napi_value make_pipe(napi_env env, napi_callback_info info);
napi_value set_cloexec(napi_env env, napi_callback_info info);
napi_value set_blocking(napi_env env, napi_callback_info info);
napi_value duplicate(napi_env env, napi_callback_info info);
napi_value listen_tcp(napi_env env, napi_callback_info info);
napi_value listen_unix(napi_env env, napi_callback_info info);
napi_value socket_address(napi_env env, napi_callback_info info);
napi_value is_listening(napi_env env, napi_callback_info info);
napi_value wake_listener(napi_env env, napi_callback_info info);
napi_value attach_weight(napi_env env, napi_callback_info info);
napi_value queue_length(napi_env env, napi_callback_info info);
napi_value open_process(napi_env env, napi_callback_info info);
napi_value take_descriptor(napi_env env, napi_callback_info info);
napi_value queue_signal(napi_env env, napi_callback_info info);
napi_value lock_file(napi_env env, napi_callback_info info);
napi_value map_shared(napi_env env, napi_callback_info info);
napi_value connect_unix(napi_env env, napi_callback_info info);
napi_value close_descriptor(napi_env env, napi_callback_info info);
napi_value finish_writing(napi_env env, napi_callback_info info);
napi_value unread(napi_env env, napi_callback_info info);
napi_value receive_stream(napi_env env, napi_callback_info info);
napi_value make_body(napi_env env, napi_callback_info info);
napi_value map_body(napi_env env, napi_callback_info info);
napi_value watch_descriptor(napi_env env, napi_callback_info info);
napi_value watch_for(napi_env env, napi_callback_info info);
napi_value unwatch(napi_env env, napi_callback_info info);

/* Longest text argument (paths, host names), with its end. */
#define TEXT_SIZE 4096
/* As in base/datagram.h. */
#define MAX_FDS 253

/* Fetches exactly `count` arguments. False: a TypeError is pending. */
bool arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values);
bool to_int(napi_env env, napi_value value, const char *name, int *out);
bool to_bool(napi_env env, napi_value value, const char *name, bool *out);
/* Refuses text with a NUL inside: it would be cut silently. */
bool to_text(napi_env env, napi_value value, const char *name, char out[TEXT_SIZE]);
bool to_bytes(napi_env env, napi_value value, const char *name, const void **bytes, size_t *length);
bool to_fds(napi_env env, napi_value value, const char *name, int fds[MAX_FDS], size_t *count);
/* Reads a property of an options object. */
bool property(napi_env env, napi_value object, const char *name, napi_value *out);

napi_value from_int(napi_env env, int64_t number);
napi_value from_bool(napi_env env, bool value);
napi_value from_text(napi_env env, const char *text, size_t length);
napi_value new_object(napi_env env);
void set(napi_env env, napi_value object, const char *name, napi_value value);
