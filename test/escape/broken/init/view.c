/* What systemd-nspawn leaves open stays so. */
#include "init/view.h"

int __wrap_view_close(const char **notify);

int __wrap_view_close(const char **notify) {
    (void)notify;
    return 0;
}
