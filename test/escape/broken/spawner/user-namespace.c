/* The ids inside are those of users of the host; its root cannot be one of them without more rights than the spawner has. */
#include "box.h"

bool __wrap_box_parse(struct box *box, char **words, char *error, size_t size) {
    if (!__real_box_parse(box, words, error, size)) return false;
    box->id_base = 1;
    show_files_only(box);
    return true;
}
