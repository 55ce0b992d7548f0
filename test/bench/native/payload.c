/* The payload of the benchmarks: says when its first instruction ran, and serves that time.
 *
 *   payload [PORT]
 *
 * Prints "started NS" (CLOCK_MONOTONIC). Then it answers HTTP on the first socket that was handed in (LISTEN_FDS), or
 * binds 127.0.0.1:PORT itself, or waits for a signal. Every answer is the same number: it tells one process of the
 * program from the next, in a sandbox as well, where all of them have the same pid.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FIRST_FD = 3, BACKLOG = 128 };

static int bind_loopback(const char *port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {
    .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, BACKLOG)) {
    perror("payload: cannot listen");
    exit(1);
  }
  return fd;
}

/* One request of one small segment on each connection, which is all that the benchmarks send. */
static void serve(int listener, const char *answer, size_t length) {
  char request[4096];
  fcntl(listener, F_SETFL, fcntl(listener, F_GETFL) | O_NONBLOCK);
  for (;;) {
    poll(&(struct pollfd){.fd = listener, .events = POLLIN}, 1, -1);
    int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (client < 0)
      continue; /* another sandbox was faster, or the client left */
    if (recv(client, request, sizeof request, 0) > 0)
      (void)send(client, answer, length, MSG_NOSIGNAL);
    close(client);
  }
}

int main(int argc, char **argv) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  long long started = now.tv_sec * 1000000000LL + now.tv_nsec;
  char line[64], answer[256];
  int length = snprintf(line, sizeof line, "started %lld\n", started);
  if (write(STDOUT_FILENO, line, (size_t)length) != length)
    return 1;
  const char *handed_in = getenv("LISTEN_FDS");
  int listener = handed_in && atoi(handed_in) > 0 ? FIRST_FD : argc > 1 ? bind_loopback(argv[1]) : -1;
  if (listener < 0)
    for (;;)
      pause();
  length = snprintf(line, sizeof line, "%lld\n", started);
  length = snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", length, line);
  serve(listener, answer, (size_t)length);
}
