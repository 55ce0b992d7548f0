#include "spawner/failure.h"

#define AS_TEXT(name, text) text,

const char *step_name(enum step step) {
    static const char *const names[] = {SPAWNER_STEPS(AS_TEXT)};
    return (unsigned int)step < STEP_COUNT ? names[step] : "unknown";
}
