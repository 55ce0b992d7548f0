/* The hostile program's verbs: each is one thing that can be tried, and does it once. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* What a verb found, as one line of text: bytes that are not printable become \xHH. */
void detail(const char *format, ...) __attribute__((format(printf, 1, 2)));
void detail_bytes(const void *bytes, size_t length);

/* 0, or a negative errno. The words are what came after the verb. */
typedef int verb(int count, char **words);

/* The descriptor that the last open, socket or connect left; -1 for none. */
extern int held;
int hold(int fd);

/* A word as a number. `fd` is the held descriptor; anything else is for strtol(3). */
long word_number(const char *word);
/* \xHH becomes the byte, in place; the length. */
size_t word_unescape(char *word);

verb try_call;
verb try_compat_call;
verb try_open, try_reopen, try_read, try_write, try_list, try_read_link, try_stat;
verb try_writable, try_sockets, try_devices;
verb try_socket, try_connect, try_bind, try_send, try_pass;
verb try_status, try_environment, try_descriptors, try_exec, try_ids, try_rename_self, try_title, try_alive;
verb try_forks, try_memory, try_fill, try_inodes, try_open_many;
verb try_notify, try_notify_flood, try_print, try_print_flood;
verb try_crash, try_linger;
