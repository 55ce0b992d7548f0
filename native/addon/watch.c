/* Tells JavaScript when a descriptor can be read or written. */
#include "addon.h"

#include <errno.h>
#include <stdlib.h>

#include "addon/loop.h"

/* A descriptor that is watched. It is freed when both libuv and the engine have let go of it. */
struct watch {
    napi_env env;
    uv_poll_t *handle;
    napi_ref callback;
    /* Has an environment that ends, as that of a worker, wait until libuv has let go. */
    napi_async_cleanup_hook_handle hook;
    bool closing, closed, forgotten;
};

static void let_go(struct watch *watch) {
    if (!watch->closed || !watch->forgotten) return;
    free(watch->handle);
    free(watch);
}

static void on_closed(uv_handle_t *handle) {
    struct watch *watch = uv_handle_get_data(handle);
    watch->closed = true;
    (void)napi_remove_async_cleanup_hook(watch->hook);
    let_go(watch);
}

static void close_watch(struct watch *watch) {
    if (watch->closing) return;
    watch->closing = true;
    uv_close((uv_handle_t *)watch->handle, on_closed);
}

/* The environment ends; its references go with it. */
static void on_end(napi_async_cleanup_hook_handle hook, void *data) {
    (void)hook;
    close_watch(data);
}

static void on_forgotten(napi_env env, void *data, void *hint) {
    struct watch *watch = data;
    (void)env;
    (void)hint;
    close_watch(watch);
    watch->forgotten = true;
    let_go(watch);
}

/* What a callback throws is thrown where nobody catches it, as of any other callback. */
static void call_back(struct watch *watch, int events) {
    napi_handle_scope scope;
    napi_value callback, receiver, argument, error;
    if (watch->closing || napi_open_handle_scope(watch->env, &scope) != napi_ok) return;
    if (napi_get_reference_value(watch->env, watch->callback, &callback) == napi_ok && callback != NULL &&
        napi_get_global(watch->env, &receiver) == napi_ok) {
        argument = from_int(watch->env, events);
        if (napi_make_callback(watch->env, NULL, receiver, callback, 1, &argument, NULL) == napi_pending_exception &&
            napi_get_and_clear_last_exception(watch->env, &error) == napi_ok)
            (void)napi_fatal_exception(watch->env, error);
    }
    (void)napi_close_handle_scope(watch->env, scope);
}

static void on_ready(uv_poll_t *handle, int status, int events) {
    struct watch *watch = uv_handle_get_data((uv_handle_t *)handle);
    /* An error of the socket is what the next read or write says. */
    call_back(watch, status < 0 ? UV_READABLE | UV_WRITABLE : events);
}

/*
 * watch(fd, callback): an object for watchFor() and unwatch(). The callback gets 1 for readable, 2 for writable, 3 for
 * both. The descriptor must not be closed before unwatch(). -EEXIST when the loop watches it already.
 */
napi_value watch_descriptor(napi_env env, napi_callback_info info) {
    napi_value values[2], object = NULL;
    napi_valuetype type;
    int fd;
    uv_loop_t *loop = NULL;
    if (!arguments(env, info, 2, values) || !to_int(env, values[0], "fd", &fd)) return NULL;
    if (napi_typeof(env, values[1], &type) != napi_ok || type != napi_function) {
        (void)napi_throw_type_error(env, NULL, "argument 'callback' must be a function");
        return NULL;
    }
    if (napi_get_uv_event_loop(env, (struct uv_loop_s **)&loop) != napi_ok) return from_int(env, -ENOSYS);
    struct watch *watch = calloc(1, sizeof(*watch));
    uv_poll_t *handle = calloc(1, uv_handle_size(UV_POLL));
    int error = watch == NULL || handle == NULL ? -ENOMEM : uv_poll_init(loop, handle, fd);
    if (error < 0) {
        free(watch);
        free(handle);
        return from_int(env, error);
    }
    *watch = (struct watch){.env = env, .handle = handle};
    uv_handle_set_data((uv_handle_t *)handle, watch);
    if (napi_add_async_cleanup_hook(env, on_end, watch, &watch->hook) == napi_ok &&
        napi_create_reference(env, values[1], 1, &watch->callback) == napi_ok &&
        napi_create_external(env, watch, on_forgotten, NULL, &object) == napi_ok)
        return object;
    watch->forgotten = true;
    close_watch(watch);
    return from_int(env, -ENOMEM);
}

static struct watch *to_watch(napi_env env, napi_value value) {
    void *data = NULL;
    napi_valuetype type;
    if (napi_typeof(env, value, &type) == napi_ok && type == napi_external && napi_get_value_external(env, value, &data) == napi_ok)
        return data;
    (void)napi_throw_type_error(env, NULL, "argument 'watch' must be what watch() returned");
    return NULL;
}

/* watchFor(watch, events): 0; as of watch()'s callback, 0 for nothing for now */
napi_value watch_for(napi_env env, napi_callback_info info) {
    napi_value values[2];
    int events;
    if (!arguments(env, info, 2, values)) return NULL;
    struct watch *watch = to_watch(env, values[0]);
    if (watch == NULL || !to_int(env, values[1], "events", &events)) return NULL;
    if (watch->closing) return from_int(env, -EBADF);
    events &= UV_READABLE | UV_WRITABLE;
    return from_int(env, events == 0 ? uv_poll_stop(watch->handle) : uv_poll_start(watch->handle, events, on_ready));
}

/* unwatch(watch): 0; nothing is called back any more, and the descriptor may be closed */
napi_value unwatch(napi_env env, napi_callback_info info) {
    napi_value values[1];
    if (!arguments(env, info, 1, values)) return NULL;
    struct watch *watch = to_watch(env, values[0]);
    if (watch == NULL) return NULL;
    if (!watch->closing) (void)napi_delete_reference(env, watch->callback);
    close_watch(watch);
    return from_int(env, 0);
}
