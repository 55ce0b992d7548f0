/* Kills a process that serves, and measures how long its clients wait for the next good answer.
 *
 *   gap PID PORT [any]
 *
 * Sends SIGKILL to PID, then asks 127.0.0.1:PORT until there is a good answer: of another process than the one that
 * answered last before ("any": of whichever one, since a pool has others). Prints "KILLED GAP REFUSED BROKEN STARTED":
 * when it killed, the time from then to the end of the good answer, connections that failed and that broke meanwhile,
 * and when the process that answered had started. Times are nanoseconds of CLOCK_MONOTONIC. It gives up after 20 s.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const long long GIVE_UP_NS = 20LL * 1000000000;
/* Between two attempts: short against what is measured, long enough to leave the processor to whoever starts. */
static const struct timespec PAUSE = {.tv_nsec = 200000};

enum outcome { GOOD, REFUSED, BROKEN };

static long long now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static enum outcome ask(const struct sockaddr_in *address, long long *who) {
  static const char request[] = "GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n";
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof *address)) {
    close(fd);
    return REFUSED;
  }
  struct timeval limit = {.tv_sec = 10};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  char answer[1024] = "";
  size_t length = 0;
  ssize_t count = send(fd, request, sizeof request - 1, MSG_NOSIGNAL);
  while (count > 0 && length < sizeof answer - 1 && (count = recv(fd, answer + length, sizeof answer - 1 - length, 0)) > 0)
    answer[length += (size_t)count] = '\0';
  close(fd);
  const char *body = strstr(answer, "\r\n\r\n");
  if (strncmp(answer, "HTTP/1.1 200 ", 13) || !body || !strchr(body + 4, '\n'))
    return BROKEN;
  *who = strtoll(body + 4, NULL, 10);
  return GOOD;
}

int main(int argc, char **argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: gap PID PORT [any]\n");
    return 2;
  }
  pid_t pid = (pid_t)atoi(argv[1]);
  int any = argc > 3 && !strcmp(argv[3], "any");
  struct sockaddr_in address = {
    .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[2])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  long long before = 0, who = 0;
  if (pid <= 1 || ask(&address, &before) != GOOD) {
    fprintf(stderr, "gap: nobody answers on port %s before the kill\n", argv[2]);
    return 1;
  }
  unsigned refused = 0, broken = 0;
  long long killed = now_ns();
  if (kill(pid, SIGKILL)) {
    perror("gap: kill");
    return 1;
  }
  for (;;) {
    enum outcome outcome = ask(&address, &who);
    long long now = now_ns();
    if (outcome == GOOD && (any || who != before)) {
      printf("%lld %lld %u %u %lld\n", killed, now - killed, refused, broken, who);
      return 0;
    }
    refused += outcome == REFUSED;
    broken += outcome == BROKEN;
    if (now - killed > GIVE_UP_NS) {
      fprintf(stderr, "gap: no good answer on port %s within 20 s\n", argv[2]);
      return 1;
    }
    nanosleep(&PAUSE, NULL);
  }
}
