/* Programs may give privileges. The filter can be loaded nevertheless, with CAP_SYS_ADMIN, which ends with execve. */
#include <linux/capability.h>
#include <stdint.h>
#include <sys/prctl.h>

#include "../broken.h"

int __wrap_prctl(int option, ...);
int __real_prctl(int option, ...);
int __wrap_capability_limit(uint64_t keep, uint64_t pass_on);
int __real_capability_limit(uint64_t keep, uint64_t pass_on);

int __wrap_prctl(int option, ...) {
    TAKE_WORDS(words, option);
    return option == PR_SET_NO_NEW_PRIVS ? 0 : __real_prctl(option, words[0], words[1], words[2], words[3]);
}

int __wrap_capability_limit(uint64_t keep, uint64_t pass_on) {
    return __real_capability_limit(keep | UINT64_C(1) << CAP_SYS_ADMIN, pass_on);
}
