#include "stdio/say.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { LINES = 20, WITHIN_S = 10 };

static void print(const char *format, va_list values) {
    char line[512];
    (void)vsnprintf(line, sizeof(line), format, values);
    (void)fprintf(stderr, "plugin-stdio: %s\n", line);
}

/* Clients and the program can make it say things; they are not to fill the journal. */
static bool may_say(void) {
    static time_t since;
    static unsigned int said;
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec - since >= WITHIN_S) {
        if (said > LINES) (void)fprintf(stderr, "plugin-stdio: %u more lines were left out\n", said - LINES);
        since = now.tv_sec;
        said = 0;
    }
    return ++said <= LINES;
}

void say(const char *format, ...) {
    if (!may_say()) return;
    va_list values;
    va_start(values, format);
    print(format, values);
    va_end(values);
}

void die(const char *format, ...) {
    va_list values;
    va_start(values, format);
    print(format, values);
    va_end(values);
    exit(EXIT_FAILURE);
}
