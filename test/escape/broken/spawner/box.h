/* Stand-ins for what the spawner reads out of a request: they change it afterwards. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "spawner/box.h"

bool __real_box_parse(struct box *box, char **words, char *error, size_t size);
bool __wrap_box_parse(struct box *box, char **words, char *error, size_t size);
