/* Programs may give privileges, and init keeps what it needs to load a filter then. */
#include <linux/capability.h>
#include <sys/prctl.h>

#include "../broken.h"
#include "box.h"

int __wrap_prctl(int option, ...);
int __real_prctl(int option, ...);

int __wrap_prctl(int option, ...) {
    TAKE_WORDS(words, option);
    return option == PR_SET_NO_NEW_PRIVS ? 0 : __real_prctl(option, words[0], words[1], words[2], words[3]);
}

bool __wrap_box_parse(struct box *box, char **words, char *error, size_t size) {
    if (!__real_box_parse(box, words, error, size)) return false;
    box->capabilities |= UINT64_C(1) << CAP_SYS_ADMIN;
    return true;
}
