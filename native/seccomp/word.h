#pragma once
#include <stdbool.h>
#include <stdint.h>

/* What the words of a list stand for. */

/* Number of a call: negative if this architecture lacks it. False: no such name. */
bool word_call(const char *name, int *number);

/* Index of an argument by its name in that call, or `arg0` to `arg5` in any. `narrow`: an int in the kernel. */
bool word_argument(const char *call, const char *name, unsigned int *index, bool *narrow);

/* A constant by name, or a number: decimal or 0x hexadecimal. */
bool word_value(const char *name, uint64_t *value);

/* An error by name (ENOSYS), as a positive number. */
bool word_error(const char *name, int *number);
