/* Asks an HTTP server as fast as it answers.
 *
 *   rate PORT CONNECTIONS MILLISECONDS
 *
 * Keeps CONNECTIONS connections to 127.0.0.1:PORT, each with one GET under way, for so long. Prints "ANSWERS NS": good
 * answers, and the time that they took. An answer that is not 200, or a connection that ends, is an error: nothing of
 * the kind may be in a figure.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 64, MAX_ANSWER = 8192, SILENCE_MS = 5000 };

static const char request[] = "GET / HTTP/1.1\r\nHost: bench\r\n\r\n";

static struct {
  char text[MAX_ANSWER + 1];
  size_t length;
} answers[MAX_CONNECTIONS];

static long long now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void fail(const char *what) {
  fprintf(stderr, "rate: %s\n", what);
  exit(1);
}

static int open_connection(const char *port) {
  struct sockaddr_in address = {
    .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address))
    fail("cannot connect");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
  return fd;
}

static void ask(int fd) {
  if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) != (ssize_t)sizeof request - 1)
    fail("cannot send");
}

/* Whether the answer of this connection is whole. */
static int is_whole(const char *text, size_t length) {
  const char *end = strstr(text, "\r\n\r\n");
  if (!end)
    return 0;
  if (strncmp(text, "HTTP/1.1 200 ", 13))
    fail("an answer is not 200");
  const char *field = strcasestr(text, "\r\nContent-Length:");
  if (!field || field > end)
    fail("an answer has no length");
  return length >= (size_t)(end + 4 - text) + strtoul(field + 17, NULL, 10);
}

int main(int argc, char **argv) {
  int count = argc == 4 ? atoi(argv[2]) : 0;
  if (count < 1 || count > MAX_CONNECTIONS) {
    fprintf(stderr, "usage: rate PORT CONNECTIONS MILLISECONDS\n");
    return 2;
  }
  struct pollfd polled[MAX_CONNECTIONS];
  for (int i = 0; i < count; i++)
    polled[i] = (struct pollfd){.fd = open_connection(argv[1]), .events = POLLIN};
  long long begun = now_ns(), until = begun + atoll(argv[3]) * 1000000, good = 0;
  for (int i = 0; i < count; i++)
    ask(polled[i].fd);
  while (now_ns() < until) {
    if (poll(polled, (nfds_t)count, SILENCE_MS) <= 0)
      fail("no answer");
    for (int i = 0; i < count; i++) {
      if (!polled[i].revents)
        continue;
      ssize_t got = recv(polled[i].fd, answers[i].text + answers[i].length, MAX_ANSWER - answers[i].length, 0);
      if (got <= 0)
        fail("a connection ended");
      answers[i].length += (size_t)got;
      answers[i].text[answers[i].length] = '\0';
      if (!is_whole(answers[i].text, answers[i].length))
        continue;
      answers[i].length = 0;
      good++;
      ask(polled[i].fd);
    }
  }
  printf("%lld %lld\n", good, now_ns() - begun);
  return 0;
}
