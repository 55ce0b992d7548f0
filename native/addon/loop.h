#pragma once
/*
 * The little of libuv that is needed to be told when a descriptor is ready, which Node's own sockets cannot be without
 * reading. Node ships the header in its development package only; all of this is the same in every 1.x (docs.libuv.org,
 * "Versioning": no break of the ABI within a major version), and node exports it for addons.
 */
#include <stddef.h>

typedef struct uv_loop_s uv_loop_t;
typedef struct uv_handle_s uv_handle_t;
typedef struct uv_poll_s uv_poll_t;

enum { UV_READABLE = 1, UV_WRITABLE = 2 };
/* Its number among the kinds of handles (UV_HANDLE_TYPE_MAP of uv.h). */
enum { UV_POLL = 8 };

int uv_poll_init(uv_loop_t *loop, uv_poll_t *handle, int fd);
int uv_poll_start(uv_poll_t *handle, int events, void (*callback)(uv_poll_t *handle, int status, int events));
int uv_poll_stop(uv_poll_t *handle);
void uv_close(uv_handle_t *handle, void (*callback)(uv_handle_t *handle));
size_t uv_handle_size(int type);
void *uv_handle_get_data(const uv_handle_t *handle);
void uv_handle_set_data(uv_handle_t *handle, void *data);
