/* What the SDK of plugins needs of the kernel: locks that end with their process, and its activity page in memory. */
#include "addon.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* lockFile(fd): 0, or -EWOULDBLOCK when somebody else holds it (flock(2)) */
napi_value lock_file(napi_env env, napi_callback_info info) {
    napi_value values[1];
    int fd;
    if (!arguments(env, info, 1, values) || !to_int(env, values[0], "fd", &fd)) return NULL;
    return from_int(env, flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0);
}

static void unmap(napi_env env, void *memory, void *hint) {
    (void)env;
    size_t *length = hint;
    (void)munmap(memory, *length);
    free(length);
}

/*
 * mapShared(fd, length): an ArrayBuffer that is the beginning of the file. -EINVAL: the file is shorter, and reading
 * behind its end would end the process.
 */
napi_value map_shared(napi_env env, napi_callback_info info) {
    napi_value values[2], result;
    int fd, length;
    if (!arguments(env, info, 2, values) || !to_int(env, values[0], "fd", &fd) || !to_int(env, values[1], "length", &length))
        return NULL;
    struct stat status;
    if (fstat(fd, &status) < 0) return from_int(env, -errno);
    if (length < 1 || status.st_size < length) return from_int(env, -EINVAL);
    size_t *size = malloc(sizeof(*size));
    if (size == NULL) return from_int(env, -ENOMEM);
    *size = (size_t)length;
    void *memory = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) {
        int error = -errno;
        free(size);
        return from_int(env, error);
    }
    if (napi_create_external_arraybuffer(env, memory, *size, unmap, size, &result) == napi_ok) return result;
    unmap(env, memory, size);
    return from_int(env, -ENOTSUP);
}
