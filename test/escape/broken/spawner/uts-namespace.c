/* The host's name, which it cannot change. */
#include <stddef.h>

#include "namespace.h"

int __wrap_sethostname(const char *name, size_t length);

CLONE_WITHOUT(CLONE_NEWUTS)

int __wrap_sethostname(const char *name, size_t length) {
    (void)name, (void)length;
    return 0;
}
