/* Hurts one process of a service under load, and measures how its clients get over it.
 *
 *   recover PORT SIZE SIGNAL PID GIVE-UP-MS
 *
 * Eight clients ask 127.0.0.1:PORT all the time, each on a new connection, with a pause of two milliseconds; a request
 * that is not answered within a second is lost. When SIZE processes have answered, PID gets the SIGNAL. The service is
 * whole again when SIZE processes have answered since, a new one among them (each answer is the start time of its
 * process). Then, or after GIVE-UP-MS, the clients let end what is under way, and this prints
 *
 *   INJURED GAP WHOLE GOOD REFUSED BROKEN LATE
 *
 * when the signal was sent (ns of CLOCK_MONOTONIC); the longest time between two good answers, from the last one before
 * it on; from the signal to whole, -1 for never; good answers and lost requests since the signal: connections that
 * nobody took, connections that broke, answers that did not come.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MS 1000000LL

enum { CLIENTS = 8, MOST_PROCESSES = 16, TURN_MS = 1 };

static const long long THINK_NS = 2 * MS, LATE_NS = 1000 * MS, WARM_NS = 200 * MS, WARM_LIMIT_NS = 20000 * MS;
static const char REQUEST[] = "GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n";

/* The processes that answered in some span of time. */
struct processes {
  long long started[MOST_PROCESSES];
  int count;
};

struct client {
  int fd; /* -1 while it pauses */
  long long since; /* asked then; or pauses until then */
  int asked;
  char answer[512];
  size_t length;
};

struct tally {
  long long good, refused, broken, late;
};

static struct sockaddr_in address;
static struct tally tally;
static struct processes before, after;
static long long injured, whole = -1, last_good, gap;

static long long now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static int knows(const struct processes *some, long long started) {
  for (int i = 0; i < some->count; i++)
    if (some->started[i] == started)
      return 1;
  return 0;
}

static void add(struct processes *some, long long started) {
  if (!knows(some, started) && some->count < MOST_PROCESSES)
    some->started[some->count++] = started;
}

static int has_new(void) {
  for (int i = 0; i < after.count; i++)
    if (!knows(&before, after.started[i]))
      return 1;
  return 0;
}

static void rest(struct client *client, long long now) {
  close(client->fd);
  client->fd = -1;
  client->since = now + THINK_NS;
}

static void lose(struct client *client, long long now, long long *how) {
  if (injured)
    ++*how;
  rest(client, now);
}

static void answered(struct client *client, long long now, int size) {
  const char *body = strstr(client->answer, "\r\n\r\n");
  if (strncmp(client->answer, "HTTP/1.1 200 ", 13) || !body || !strchr(body + 4, '\n')) {
    lose(client, now, &tally.broken);
    return;
  }
  long long started = strtoll(body + 4, NULL, 10);
  if (injured) {
    tally.good++;
    if (now - last_good > gap)
      gap = now - last_good;
    add(&after, started);
    if (whole < 0 && after.count >= size && has_new())
      whole = now - injured;
  } else {
    add(&before, started);
  }
  last_good = now;
  rest(client, now);
}

static void ask(struct client *client, long long now) {
  *client = (struct client){.since = now};
  client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (client->fd >= 0 && connect(client->fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS)
    lose(client, now, &tally.refused);
}

static void go_on(struct client *client, long long now, int size) {
  if (!client->asked) {
    int error = 0;
    getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof error});
    if (error) {
      lose(client, now, &tally.refused);
      return;
    }
    client->asked = 1;
    if (send(client->fd, REQUEST, sizeof REQUEST - 1, MSG_NOSIGNAL) < 0)
      lose(client, now, &tally.broken);
    return;
  }
  ssize_t count = recv(client->fd, client->answer + client->length, sizeof client->answer - 1 - client->length, 0);
  if (count < 0 && errno == EAGAIN)
    return;
  if (count < 0)
    lose(client, now, &tally.broken);
  else if (count == 0)
    answered(client, now, size);
  else
    client->length += (size_t)count;
}

/* One turn of all clients; returns how many requests are under way. */
static int turn(struct client *clients, int asking, int size) {
  struct pollfd polled[CLIENTS];
  long long now = now_ns();
  for (int i = 0; i < CLIENTS; i++) {
    if (clients[i].fd < 0 && asking && clients[i].since <= now)
      ask(&clients[i], now);
    polled[i] = (struct pollfd){.fd = clients[i].fd, .events = clients[i].asked ? POLLIN : POLLOUT};
  }
  poll(polled, CLIENTS, TURN_MS);
  now = now_ns();
  int under_way = 0;
  for (int i = 0; i < CLIENTS; i++) {
    if (clients[i].fd >= 0 && polled[i].revents)
      go_on(&clients[i], now, size);
    else if (clients[i].fd >= 0 && now - clients[i].since > LATE_NS)
      lose(&clients[i], now, &tally.late);
    under_way += clients[i].fd >= 0;
  }
  return under_way;
}

int main(int argc, char **argv) {
  if (argc != 6) {
    fprintf(stderr, "usage: recover PORT SIZE SIGNAL PID GIVE-UP-MS\n");
    return 2;
  }
  int size = atoi(argv[2]);
  pid_t pid = (pid_t)atoi(argv[4]);
  address = (struct sockaddr_in){
    .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct client clients[CLIENTS];
  for (int i = 0; i < CLIENTS; i++)
    clients[i] = (struct client){.fd = -1};
  long long begun = now_ns();
  while (before.count < size || now_ns() - begun < WARM_NS) {
    turn(clients, 1, size);
    if (now_ns() - begun > WARM_LIMIT_NS) {
      fprintf(stderr, "recover: %d of %d processes answered on port %s\n", before.count, size, argv[1]);
      return 1;
    }
  }
  injured = now_ns();
  if (pid <= 1 || kill(pid, atoi(argv[3]))) {
    perror("recover: kill");
    return 1;
  }
  while (whole < 0 && now_ns() - injured < atoll(argv[5]) * MS)
    turn(clients, 1, size);
  while (turn(clients, 0, size) > 0)
    ;
  if (whole < 0 && now_ns() - last_good > gap) /* it lasts */
    gap = now_ns() - last_good;
  printf("%lld %lld %lld %lld %lld %lld %lld\n", injured, gap, whole, tally.good, tally.refused, tally.broken, tally.late);
  return 0;
}
