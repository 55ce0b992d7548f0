/* The payload is in a group. */
#include <grp.h>

int __wrap_setgroups(size_t count, const gid_t *groups);
int __real_setgroups(size_t count, const gid_t *groups);

int __wrap_setgroups(size_t count, const gid_t *groups) {
    static const gid_t root[] = {0};
    (void)count, (void)groups;
    return __real_setgroups(1, root);
}
