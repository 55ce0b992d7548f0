/* The payload stays root of its user namespace. */
#include <sys/types.h>

int __wrap_setresuid(uid_t real, uid_t effective, uid_t saved);
int __wrap_setresgid(gid_t real, gid_t effective, gid_t saved);

int __wrap_setresuid(uid_t real, uid_t effective, uid_t saved) {
    (void)real, (void)effective, (void)saved;
    return 0;
}

int __wrap_setresgid(gid_t real, gid_t effective, gid_t saved) {
    (void)real, (void)effective, (void)saved;
    return 0;
}
