/* Whatever of the host is shown can be written where its modes let. */
#include "base/mounting.h"

int __real_mounting_change(int mount, bool recursive, uint64_t set, uint64_t clear);
int __wrap_mounting_change(int mount, bool recursive, uint64_t set, uint64_t clear);

int __wrap_mounting_change(int mount, bool recursive, uint64_t set, uint64_t clear) {
    return __real_mounting_change(mount, recursive, set & ~(uint64_t)MOUNT_ATTR_RDONLY, clear);
}
