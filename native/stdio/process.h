#pragma once
#include <sys/types.h>

/*
 * Notes the working directory by its path. Each program is started in what is there then: an upgrade in place mounts
 * another version at it.
 */
void process_open(void);

/*
 * Executes a program in a process group of its own, with pipes as standard input and output. Returns its id, or -errno
 * of what failed, execve(2) included. The ends of the pipes that are ours do not block.
 */
pid_t process_start(char **command, int *input, int *output);

/* To the program and all of its group. */
void process_signal(pid_t pid, int number);

/* "ended with status 3", "was killed by SIGSEGV". Valid until the next call. */
const char *process_end_text(int status);
