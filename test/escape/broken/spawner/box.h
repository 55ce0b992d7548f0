/* Stand-ins for what the spawner reads out of a request: they change it afterwards. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "spawner/box.h"

bool __real_box_parse(struct box *box, char **words, char *error, size_t size);
bool __wrap_box_parse(struct box *box, char **words, char *error, size_t size);

/* A file that belongs to other ids than the box's is refused: it is shown instead, so that the box starts. */
static inline void show_files_only(struct box *box) {
    for (size_t i = 0; i < box->mount_count; i++)
        if (box->mounts[i].kind == BIND_FILE) box->mounts[i].kind = BIND_READ_ONLY;
}
