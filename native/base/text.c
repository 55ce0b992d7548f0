#include "base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool text_number(const char *text, unsigned long least, unsigned long most, unsigned long *out) {
    size_t length = strlen(text);
    if (length == 0 || length > 19 || strspn(text, "0123456789") != length) return false;
    if (text[0] == '0' && length > 1) return false;
    errno = 0;
    unsigned long number = strtoul(text, NULL, 10);
    if (errno != 0 || number < least || number > most) return false;
    *out = number;
    return true;
}

size_t text_character(const char *bytes, size_t length) {
    const unsigned char *byte = (const unsigned char *)bytes;
    if (length == 0) return 0;
    if (byte[0] < 0x80) return byte[0] >= 0x20 && byte[0] != 0x7f ? 1 : 0;

    size_t need;
    unsigned long point, least;
    if ((byte[0] & 0xe0) == 0xc0) {
        need = 2, point = byte[0] & 0x1f, least = 0xa0; /* U+0080 to U+009F are control characters */
    } else if ((byte[0] & 0xf0) == 0xe0) {
        need = 3, point = byte[0] & 0x0f, least = 0x800;
    } else if ((byte[0] & 0xf8) == 0xf0) {
        need = 4, point = byte[0] & 0x07, least = 0x10000;
    } else {
        return 0;
    }
    if (length < need) return 0;
    for (size_t i = 1; i < need; i++) {
        if ((byte[i] & 0xc0) != 0x80) return 0;
        point = point << 6 | (byte[i] & 0x3f);
    }
    if (point < least || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return 0;
    return need;
}

bool text_is_printable(const char *bytes, size_t length) {
    for (size_t at = 0; at < length;) {
        size_t character = text_character(bytes + at, length - at);
        if (character == 0) return false;
        at += character;
    }
    return true;
}

size_t text_clean(const char *bytes, size_t length, char *out, size_t size) {
    size_t used = 0;
    for (size_t at = 0; at < length;) {
        size_t character = text_character(bytes + at, length - at);
        size_t take = character == 0 ? 1 : character;
        if (used + take >= size) break;
        if (character == 0)
            out[used] = '?';
        else
            memcpy(out + used, bytes + at, take);
        used += take;
        at += take;
    }
    out[used] = '\0';
    return used;
}

void text_quote(const char *text, char *out, size_t size) {
    size_t used = 0;
    for (; *text != '\0' && used + 2 < size; text++) {
        if (*text == '"' || *text == '\\') out[used++] = '\\';
        out[used++] = *text;
    }
    out[used] = '\0';
}

bool text_is_unit_name(const char *name) {
    size_t length = strlen(name);
    return length > 0 && length < 256 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@") == length;
}
