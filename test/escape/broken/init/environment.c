/* The payload gets one more variable than was declared. */
#include <stdlib.h>
#include <sys/syscall.h>

#include "../broken.h"

long __wrap_syscall(long number, ...) {
    static char *more[4096] = {(char *)"LEFT_OVER=by init"};
    TAKE_WORDS(words, number);
    if (number == SYS_execve) {
        char **given = (char **)words[2];
        for (size_t i = 0; given[i] != NULL && i + 2 < sizeof(more) / sizeof(more[0]); i++) more[i + 1] = given[i];
        words[2] = (long)more;
    }
    return CALL_REALLY(number, words);
}
