/* Runs a program by plain fork and exec, and says how long it took to its first instruction.
 *
 *   once PROGRAM [ARGUMENT…]
 *
 * The program prints "started NS". This prints "CALLED NS", both of CLOCK_MONOTONIC, then kills the program. A small
 * static program does it because a fork of Node.js alone takes several times as long as what is measured.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
  int out[2];
  if (argc < 2 || pipe(out)) {
    fprintf(stderr, "usage: once PROGRAM [ARGUMENT...]\n");
    return 2;
  }
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  pid_t child = fork();
  if (child == 0) {
    dup2(out[1], STDOUT_FILENO);
    close(out[0]);
    close(out[1]);
    execv(argv[1], argv + 1);
    perror(argv[1]);
    _exit(127);
  }
  close(out[1]);
  char line[256] = "";
  size_t length = 0;
  ssize_t count;
  while (!strchr(line, '\n') && length < sizeof line - 1 &&
         (count = read(out[0], line + length, sizeof line - 1 - length)) > 0)
    line[length += (size_t)count] = '\0';
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  long long started;
  if (sscanf(line, "started %lld", &started) != 1) {
    fprintf(stderr, "once: '%s' did not say when it started\n", argv[1]);
    return 1;
  }
  printf("%lld %lld\n", now.tv_sec * 1000000000LL + now.tv_nsec, started);
  return 0;
}
