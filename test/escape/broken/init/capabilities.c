/* The payload keeps whatever init was left with. */
#include <stdint.h>
#include <sys/prctl.h>

int __wrap_capability_bound(uint64_t keep);
int __wrap_capability_limit(uint64_t keep, uint64_t pass_on);
int __real_capability_limit(uint64_t keep, uint64_t pass_on);

int __wrap_capability_bound(uint64_t keep) {
    (void)keep;
    return 0;
}

int __wrap_capability_limit(uint64_t keep, uint64_t pass_on) {
    /* Init itself passes nothing on. */
    if (keep != pass_on) return __real_capability_limit(keep, pass_on);
    uint64_t all = 0;
    for (unsigned long capability = 0; capability < 64; capability++) {
        int held = prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
        if (held < 0) break;
        all |= (uint64_t)held << capability;
    }
    return __real_capability_limit(all, all);
}
