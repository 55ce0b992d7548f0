#include "box.h"

bool __wrap_box_parse(struct box *box, char **words, char *error, size_t size) {
    if (!__real_box_parse(box, words, error, size)) return false;
    box->own_network = false;
    return true;
}
