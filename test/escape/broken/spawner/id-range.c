/* The ids are those of another sandbox: the file says which one's. */
#include <stdio.h>

#include "box.h"

bool __wrap_box_parse(struct box *box, char **words, char *error, size_t size) {
    if (!__real_box_parse(box, words, error, size)) return false;
    FILE *file = fopen("/run/hostile-id-base", "re");
    bool read = file != NULL && fscanf(file, "%u", &box->id_base) == 1;
    if (file != NULL) (void)fclose(file);
    show_files_only(box);
    return read;
}
