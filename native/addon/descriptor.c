/* Pipes, copies and flags of descriptors. */
#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* pipe(): {read, write}, neither of which blocks */
napi_value make_pipe(napi_env env, napi_callback_info info) {
    (void)info;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) return from_int(env, -errno);
    napi_value object = new_object(env);
    set(env, object, "read", from_int(env, ends[0]));
    set(env, object, "write", from_int(env, ends[1]));
    return object;
}

/* setCloexec(fd, on): 0 */
napi_value set_cloexec(napi_env env, napi_callback_info info) {
    napi_value values[2];
    int fd;
    bool on;
    if (!arguments(env, info, 2, values) || !to_int(env, values[0], "fd", &fd) || !to_bool(env, values[1], "on", &on))
        return NULL;
    int flags = fcntl(fd, F_GETFD);
    if (flags < 0) return from_int(env, -errno);
    flags = on ? flags | FD_CLOEXEC : flags & ~FD_CLOEXEC;
    return from_int(env, fcntl(fd, F_SETFD, flags) < 0 ? -errno : 0);
}

/* duplicate(fd): a copy, never 0, 1 or 2 */
napi_value duplicate(napi_env env, napi_callback_info info) {
    napi_value values[1];
    int fd;
    if (!arguments(env, info, 1, values) || !to_int(env, values[0], "fd", &fd)) return NULL;
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    return from_int(env, copy < 0 ? -errno : copy);
}

/* setBlocking(fd): 0; the flag belongs to the open file, so to all copies of the descriptor */
napi_value set_blocking(napi_env env, napi_callback_info info) {
    napi_value values[1];
    int fd;
    if (!arguments(env, info, 1, values) || !to_int(env, values[0], "fd", &fd)) return NULL;
    int flags = fcntl(fd, F_GETFL);
    return from_int(env, flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0 ? -errno : 0);
}
