/* Init may open as many files as the spawner. */
#include <sys/resource.h>

int __wrap_setrlimit(int resource, const struct rlimit *limit);

int __wrap_setrlimit(int resource, const struct rlimit *limit) {
    (void)resource, (void)limit;
    return 0;
}
