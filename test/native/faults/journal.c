/*
 * Linked with the C SDK for the tests alone: a journal whose writes fail when this program says so. It prints what its
 * calls return, and how long the journal is then, in bytes, a line for each step.
 */
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bulkhead.h"

static enum { NONE, WRITE, SYNC, CUT } failing;

#define STAND_IN(name, result, parameters, arguments, when) \
    result __real_##name parameters;                        \
    result __wrap_##name parameters;                        \
    result __wrap_##name parameters {                       \
        if (failing != (when)) return __real_##name arguments; \
        errno = EIO;                                        \
        return -1;                                          \
    }

STAND_IN(write, ssize_t, (int fd, const void *bytes, size_t length), (fd, bytes, length), WRITE)
STAND_IN(fdatasync, int, (int fd), (fd), SYNC)
STAND_IN(ftruncate, int, (int fd, off_t length), (fd, length), CUT)

static long length_of_journal(void) {
    char pattern[4096];
    glob_t found;
    struct stat status;
    (void)snprintf(pattern, sizeof(pattern), "%s/journal/*.log", getenv("STATE_DIRECTORY"));
    if (glob(pattern, 0, NULL, &found) != 0 || found.gl_pathc != 1 || stat(found.gl_pathv[0], &status) < 0) abort();
    globfree(&found);
    return (long)status.st_size;
}

static void tell(const char *step, int result) {
    failing = NONE;
    (void)printf("%s %d %ld\n", step, result, length_of_journal());
}

int main(void) {
    struct bulkhead_journal *journal;
    unsigned char one[BULKHEAD_ID_SIZE], other[BULKHEAD_ID_SIZE], refused[BULKHEAD_ID_SIZE];
    if (bulkhead_journal(&journal) < 0) return 1;
    tell("accept", bulkhead_accept(journal, "1", 1, one));
    failing = SYNC;
    tell("accept-without-sync", bulkhead_accept(journal, "2", 1, refused));
    tell("finish-refused", bulkhead_finish(journal, refused));
    failing = WRITE;
    tell("accept-without-write", bulkhead_accept(journal, "3", 1, refused));
    tell("accept", bulkhead_accept(journal, "4", 1, other));
    failing = WRITE;
    tell("finish-without-write", bulkhead_finish(journal, one));
    tell("finish", bulkhead_finish(journal, one));
    failing = CUT;
    tell("finish-without-cut", bulkhead_finish(journal, other));
    tell("finish", bulkhead_finish(journal, other));
    return 0;
}
