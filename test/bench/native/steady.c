/* The server of bench recover: a millisecond of work for each request, and it can be hurt from outside.
 *
 *   steady NAME [PORT | stdin]
 *
 * Serves HTTP on the first socket that was handed in (LISTEN_FDS), or on the one that is its standard input, or binds
 * 127.0.0.1:PORT itself. Every answer is the time at which the process started (nanoseconds of CLOCK_MONOTONIC), which
 * tells it from all others. NAME is for those who look for it in the process table.
 *
 * Where there is a NOTIFY_SOCKET (sd_notify(3)), it says READY=1, and from then on WATCHDOG=1 as long as its loop goes
 * round. A second socket that was handed in is a probe's, and served as the first. In a sandbox it has an activity page.
 * SIGUSR2 makes the loop go round in itself for ever; SIGHUP makes the program take memory until it is killed.
 *
 *   steady check PORT      asks the server, as a health check does: status 0 for a good answer within a second
 */
#define _GNU_SOURCE
#include "activity.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { FIRST_FD = 3, MOST_LISTENERS = 2, BACKLOG = 128, WATCHDOG_MS = 500, PIECE = 1 << 20 };

static const struct timespec WORK = {.tv_nsec = 1000000};

static long long now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static struct sockaddr_in loopback(const char *port) {
  return (struct sockaddr_in){
    .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int bind_loopback(const char *port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = loopback(port);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, BACKLOG)) {
    perror("steady: cannot listen");
    exit(1);
  }
  return fd;
}

static int check(const char *port) {
  char answer[256] = "";
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = loopback(port);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){.tv_sec = 1}, sizeof(struct timeval));
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) || send(fd, "GET /\r\n\r\n", 9, MSG_NOSIGNAL) != 9)
    return 1;
  return recv(fd, answer, sizeof answer - 1, 0) <= 0 || strncmp(answer, "HTTP/1.1 200 ", 13);
}

/* The socket on which a manager hears words of sd_notify; not open where there is no manager. */
struct manager {
  int fd;
  struct sockaddr_un address;
  socklen_t length;
};

static struct manager find_manager(void) {
  struct manager manager = {.fd = -1, .address.sun_family = AF_UNIX};
  const char *path = getenv("NOTIFY_SOCKET");
  if (!path || strlen(path) >= sizeof manager.address.sun_path)
    return manager;
  strcpy(manager.address.sun_path, path);
  manager.length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
  if (path[0] == '@') /* an abstract address */
    manager.address.sun_path[0] = '\0';
  manager.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  return manager;
}

static void tell(const struct manager *manager, const char *word) {
  if (manager->fd >= 0)
    (void)sendto(manager->fd, word, strlen(word), MSG_NOSIGNAL, (const struct sockaddr *)&manager->address, manager->length);
}

static void loop_for_ever(int number) {
  (void)number;
  for (volatile int turn = 0;; turn++)
    ;
}

static void take_memory(int number) {
  (void)number;
  for (;;) {
    char *piece = mmap(NULL, PIECE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (piece != MAP_FAILED)
      memset(piece, 1, PIECE);
  }
}

/* One request of one small segment on each connection, which is all that the benchmarks and probes send. */
static void serve_one(int listener, const char *answer, size_t length, struct activity *activity) {
  char request[4096];
  int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  if (client < 0)
    return; /* another process was faster, or the client left */
  if (recv(client, request, sizeof request, 0) > 0) {
    activity_begin(activity, &activity->slot[0], "GET", 0, NULL);
    nanosleep(&WORK, NULL);
    bool sent = send(client, answer, length, MSG_NOSIGNAL) == (ssize_t)length;
    activity_end(activity, &activity->slot[0], sent);
  }
  close(client);
}

static void serve(const int *listeners, nfds_t count, const char *answer, size_t length) {
  struct manager manager = find_manager();
  struct activity *activity = activity_open(1);
  struct pollfd polled[MOST_LISTENERS];
  if (!activity)
    exit(1);
  for (nfds_t i = 0; i < count; i++) {
    polled[i] = (struct pollfd){.fd = listeners[i], .events = POLLIN};
    fcntl(listeners[i], F_SETFL, fcntl(listeners[i], F_GETFL) | O_NONBLOCK);
  }
  tell(&manager, "READY=1");
  for (long long told = 0;;) {
    if (now_ns() - told >= WATCHDOG_MS * 1000000LL) {
      tell(&manager, "WATCHDOG=1");
      activity_tick(activity);
      told = now_ns();
    }
    if (poll(polled, count, WATCHDOG_MS) <= 0)
      continue;
    for (nfds_t i = 0; i < count; i++)
      if (polled[i].revents)
        serve_one(polled[i].fd, answer, length, activity);
  }
}

int main(int argc, char **argv) {
  long long started = now_ns();
  if (argc == 3 && !strcmp(argv[1], "check"))
    return check(argv[2]);
  signal(SIGUSR2, loop_for_ever);
  signal(SIGHUP, take_memory);
  const char *handed_in = getenv("LISTEN_FDS"), *where = argc > 2 ? argv[2] : NULL;
  int count = handed_in ? atoi(handed_in) : 0;
  if (!where && (count < 1 || count > MOST_LISTENERS)) {
    fprintf(stderr, "usage: steady NAME [PORT | stdin]\n");
    return 2;
  }
  int listeners[MOST_LISTENERS] = {FIRST_FD, FIRST_FD + 1};
  if (where) {
    listeners[0] = strcmp(where, "stdin") ? bind_loopback(where) : STDIN_FILENO;
    count = 1;
  }
  char body[32], answer[256];
  int length = snprintf(body, sizeof body, "%lld\n", started);
  length = snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", length, body);
  serve(listeners, (nfds_t)count, answer, (size_t)length);
}
