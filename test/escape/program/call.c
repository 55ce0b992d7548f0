/* Any system call, by name or number. */
#include <asm/unistd.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hostile.h"

/* One [__NR_read] = "read", a line: made by native/build out of asm/unistd.h. */
static const char *const names[] = {
#include "call-names.generated.h"
};

static long number_of(const char *word) {
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i] != NULL && strcmp(names[i], word) == 0) return (long)i;
    char *end;
    long number = strtol(word, &end, 0);
    return *word != '\0' && *end == '\0' ? number : -1;
}

static _Alignas(16) char memory[65536];
static size_t taken;

static char *take(size_t size) {
    char *place = memory + taken;
    if (size > sizeof(memory) - taken) return NULL;
    taken += (size + 15) & ~(size_t)15;
    return place;
}

/* s:TEXT a string, h:HEX bytes, z:COUNT zeros, each given as its address; else a number. */
static long argument(char *word) {
    if (word[0] == '\0' || word[1] != ':') return word_number(word);
    char *value = word + 2, *place = NULL;
    size_t length = strlen(value);
    if (word[0] == 's' && (place = take(length + 1)) != NULL) {
        (void)memcpy(place, value, length + 1);
        (void)word_unescape(place);
    }
    if (word[0] == 'h' && (place = take(length / 2)) != NULL)
        for (size_t i = 0; i < length / 2; i++) {
            char digits[3] = {value[2 * i], value[2 * i + 1], '\0'};
            place[i] = (char)strtol(digits, NULL, 16);
        }
    if (word[0] == 'z' && (place = take((size_t)word_number(value))) != NULL) (void)memset(place, 0, (size_t)word_number(value));
    return (long)(intptr_t)place;
}

int try_call(int count, char **words) {
    long number = count > 0 ? number_of(words[0]) : -1, values[6] = {0};
    if (number < 0 || count > 7) {
        detail("no such call here");
        return -ENOTSUP;
    }
    taken = 0;
    for (int i = 1; i < count; i++) values[i - 1] = argument(words[i]);
    long result = syscall(number, values[0], values[1], values[2], values[3], values[4], values[5]);
    if (result < 0) return -errno;
    detail("%ld", result);
    return 0;
}

/* The same number through the entry for 32-bit programs. */
int try_compat_call(int count, char **words) {
    if (count < 1) return -ENOTSUP;
#ifdef __x86_64__
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(word_number(words[0])), "b"(0L), "c"(0L), "d"(0L) : "memory");
    if ((int)result < 0) return (int)result;
    detail("%ld", result);
    return 0;
#else
    return -ENOTSUP;
#endif
}
