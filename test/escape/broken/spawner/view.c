/* Some more of the host is bound to where it is there. */
#include "box.h"

bool __wrap_box_parse(struct box *box, char **words, char *error, size_t size) {
    static const char *const more[] = {"/run/bulkhead/sandbox",  "/run/bulkhead/launch.sock", "/run/bulkhead/anchor.sock",
                                       "/run/systemd",           "/run/dbus",                 "/run/plugin",
                                       "/run/hostile-secret",    "/run/hostile-host.sock"};
    if (!__real_box_parse(box, words, error, size)) return false;
    for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++)
        box->mounts[box->mount_count++] = (struct box_mount){.kind = BIND_READ_ONLY, .source = more[i], .target = more[i]};
    return true;
}
