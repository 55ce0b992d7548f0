#include "box.h"

bool __wrap_box_parse(struct box *box, char **words, char *error, size_t size) {
    if (!__real_box_parse(box, words, error, size)) return false;
    for (size_t i = 0; i < box->mount_count; i++) box->mounts[i].size *= 16;
    return true;
}
