/* Answers that come late, or are no good, from now on: what only who counts them all can see. */
#include <stddef.h>

#include "acts.h"

static void answers_slowly(int milliseconds, int slot) {
    (void)slot;
    manners.slowed = milliseconds;
}

static void answers_badly(int percent, int slot) {
    (void)slot;
    manners.bad_percent = percent == 0 ? 100 : percent;
}

const struct act ANSWERS[] = {
    {"answer-slowly", answers_slowly},
    {"answer-badly", answers_badly},
    {NULL, NULL},
};
