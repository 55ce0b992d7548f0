#pragma once
/* What checkpoints and journals share: the format is that of docs/checkpoints.md, whatever the language. */
#include "sdk/values.h"

/* zlib's CRC-32 of more bytes; begins with 0. */
static uint32_t crc32_of(uint32_t crc, const void *bytes, size_t length);
/* A directory in the plugin's state directory, made when it is missing; or a negative errno. */
static int state_directory(const char *name);
static int write_all(int fd, const void *bytes, size_t length);
/* Reads so many bytes, or to the end. Returns how many, or a negative errno. */
static ssize_t read_all(int fd, void *bytes, size_t length);
static int random_bytes(void *bytes, size_t length);
static void put_number(unsigned char *at, uint64_t number, size_t size);
static uint64_t get_number(const unsigned char *at, size_t size);
