/* The score is what it was. */
#include <fcntl.h>
#include <string.h>

#include "../broken.h"

int __wrap_open(const char *path, int flags, ...);
int __real_open(const char *path, int flags, ...);

int __wrap_open(const char *path, int flags, ...) {
    TAKE_WORDS(words, flags);
    return __real_open(strcmp(path, "/proc/self/oom_score_adj") == 0 ? "/dev/null" : path, flags, words[0]);
}
