#include <string.h>

#include "base/mounting.h"

int __real_mounting_new(const char *type, const char *const *options, unsigned int attributes);
int __wrap_mounting_new(const char *type, const char *const *options, unsigned int attributes);

int __wrap_mounting_new(const char *type, const char *const *options, unsigned int attributes) {
    unsigned int changed = attributes & ~(unsigned int)MOUNT_ATTR_RDONLY;
    return __real_mounting_new(type, options, strcmp(type, "cgroup2") == 0 ? changed : attributes);
}
