#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hostile.h"

long word_number(const char *word) { return strcmp(word, "fd") == 0 ? held : (long)strtoull(word, NULL, 0); }

size_t word_unescape(char *word) {
    char *out = word;
    for (const char *in = word; *in != '\0'; out++) {
        unsigned int byte;
        if (in[0] == '\\' && in[1] == 'x' && sscanf(in + 2, "%2x", &byte) == 1) {
            *out = (char)byte;
            in += 4;
        } else {
            *out = *in++;
        }
    }
    *out = '\0';
    return (size_t)(out - word);
}
