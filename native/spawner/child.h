#pragma once
#include "spawner/box.h"
#include "spawner/sources.h"

/* What the child has besides the box. All are descriptors. */
struct child {
    const struct box *box;
    const struct sources *sources;
    /* From the supervisor, for init: 3, 4, 5... */
    const int *fds;
    size_t fd_count;
    /* A byte when the ids are mapped, and one when it is in its unit; its end means that nobody wants it any more. */
    int gate;
    /* A struct failure, or its end when init was executed. */
    int status;
};

/* The life of the child, from clone3(2) to init. */
__attribute__((noreturn)) void child_run(const struct child *child);
