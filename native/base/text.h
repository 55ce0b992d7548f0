#pragma once
#include <stdbool.h>
#include <stddef.h>

/* A decimal number without sign, spaces or leading zeros, from `least` to `most`. */
bool text_number(const char *text, unsigned long least, unsigned long most, unsigned long *out);

/*
 * Length of the printable UTF-8 character at the start of `bytes`, 1 to 4; 0 when there is none: a control
 * character (C0, DEL or C1), a surrogate, an overlong or cut sequence, or the end.
 */
size_t text_character(const char *bytes, size_t length);

/* Whether all of it is printable UTF-8. Tabs are not. */
bool text_is_printable(const char *bytes, size_t length);

/*
 * Copies what fits into `size` - 1 bytes, never half a character; each byte that is not part of a printable
 * one becomes '?'. Ends it with NUL and returns the length.
 */
size_t text_clean(const char *bytes, size_t length, char *out, size_t size);

/*
 * Escapes what JSON needs escaped in a text without control characters. What does not fit into `size` - 1 bytes is cut
 * off; twice the length and one more always do.
 */
void text_quote(const char *text, char *out, size_t size);

/* What a unit name is made of (systemd.unit(5)). */
bool text_is_unit_name(const char *name);
