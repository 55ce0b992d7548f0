/* The payload may open as many files as it was started with. */
#include <sys/resource.h>

int __wrap_setrlimit(int resource, const struct rlimit *limit);
int __real_setrlimit(int resource, const struct rlimit *limit);

int __wrap_setrlimit(int resource, const struct rlimit *limit) {
    return resource == RLIMIT_NOFILE ? 0 : __real_setrlimit(resource, limit);
}
