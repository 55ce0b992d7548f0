/* Asks a server, and says of each request what became of it.
 *
 *   load --to HOST:PORT | unix:PATH [OPTION...]
 *
 *   --raw            length-prefixed bytes that are to come back (protocol.c); without it HTTP/1.1, GET
 *   --keep           a connection has one request after the other, until the server says that it is the last, or is
 *                    --each of them; without it, a connection has one
 *   --connections N  at once (1)
 *   --each N         requests of a connection at most
 *   --think MS[-MS]  pause of a connection after an answer; of two, anything between
 *   --rate N         requests a second, whatever the answers (open loop): a request that has to wait for a connection
 *                    counts from when it was to be asked. Without it, each connection asks when it was answered
 *   --requests N     in all; --for MS: so long; without either, until SIGTERM. What is under way is let end
 *   --timeout MS     a request that is not answered for so long is lost (20000)
 *   --path, --size   what is asked for (/load), how many bytes are sent (64)
 *   --tally HEADER   counts answers by what this header says
 *   --progress MS    a line of JSON so often;  --buckets MS: good, lost, longest time (us) of each such span
 *
 * Prints a line of JSON at the end. It never asks again: a request that was sent and not answered well is lost, for
 * whatever reason. The end of a connection is a loss only when a request is in it; one that is ended while it rests is
 * noticed, also at the last moment before it would be used, and another one is opened, as any client does. What the
 * server has in its hands when it ends a connection that rests is the race that this is to find.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

/* After a lost request: a server that is gone is not to be asked in a busy loop. */
#define AFTER_LOSS (5 * MS)
/* Until a full queue of a Unix socket, for which connect(2) does not wait without blocking, is tried again. */
#define FULL_QUEUE (1 * MS)

static struct options options;
static struct connection connections[MOST_CONNECTIONS];
static int epoll;
static uint64_t begun, under_way, random_state = 88172645463325252ULL;
static double planned; /* --rate: when the next request is to be asked */
static volatile sig_atomic_t asked_to_stop;

long long now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * SECOND + now.tv_nsec;
}

static void on_signal(int number) {
  (void)number;
  asked_to_stop = 1;
}

static long long think(void) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  long long width = options.think_most - options.think_least;
  return options.think_least + (width > 0 ? (long long)(random_state % (uint64_t)width) : 0);
}

static void hang_up(struct connection *connection) {
  if (connection->fd >= 0)
    close(connection->fd); /* the only copy: leaves the epoll, too */
  connection->fd = -1;
}

static void end_request(struct connection *connection, enum outcome outcome, int error) {
  long long now = now_ns();
  bool good = outcome == GOOD;
  account(connection, outcome, error, now);
  connection->served++;
  under_way--;
  bool over = !good || !options.keep || connection->last || (options.each > 0 && connection->served >= options.each);
  if (over)
    hang_up(connection);
  connection->state = RESTING;
  connection->due = now + (good ? think() : AFTER_LOSS);
}

static void lose(struct connection *connection, int error) {
  bool within = connection->in_length > 0;
  if (error == 0)
    end_request(connection, within ? CLOSED_WITHIN : CLOSED_BEFORE, 0);
  else
    end_request(connection, within ? RESET_WITHIN : RESET_BEFORE, error);
}

static void watch(struct connection *connection, int operation, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = connection};
  if (epoll_ctl(epoll, operation, connection->fd, &event))
    abort();
}

static void send_rest(struct connection *connection) {
  while (connection->out_sent < connection->out_length) {
    ssize_t sent = send(connection->fd, connection->out + connection->out_sent, connection->out_length - connection->out_sent,
                        MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) {
      watch(connection, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
      return;
    }
    if (sent < 0) {
      /* A server that refuses what it is sent may have said why before; but not to a request of ours. */
      lose(connection, errno);
      return;
    }
    connection->out_sent += (size_t)sent;
  }
  watch(connection, EPOLL_CTL_MOD, EPOLLIN);
}

/* False: no socket or no port of ours is left, or a queue is full; it is tried again, and is nobody's loss. */
static bool connect_it(struct connection *connection) {
  int domain = ((struct sockaddr *)&options.address)->sa_family;
  connection->fd = socket(domain, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (connection->fd < 0) {
    perror("load: socket");
    exit(1);
  }
  if (domain == AF_INET)
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
  if (connect(connection->fd, (struct sockaddr *)&options.address, options.address_length) && errno != EINPROGRESS) {
    int error = errno;
    hang_up(connection);
    if (error == EAGAIN || error == EADDRNOTAVAIL)
      return false;
    account_opened();
    end_request(connection, REFUSED, error);
    return true;
  }
  account_opened();
  connection->state = CONNECTING;
  watch(connection, EPOLL_CTL_ADD, EPOLLOUT);
  return true;
}

/* Whether the connection that rested is still there. */
static bool is_there(struct connection *connection) {
  char byte;
  ssize_t got = recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (got < 0 && errno == EAGAIN)
    return true;
  account_idle_end();
  hang_up(connection);
  return false;
}

static void ask(struct connection *connection, long long planned_at) {
  long long now = now_ns();
  bool is_new = connection->fd < 0 || !is_there(connection);
  if (is_new) {
    connection->opened = now;
    connection->served = 0;
  }
  connection->asked = now;
  connection->began = planned_at;
  connection->number = begun;
  write_request(&options, connection);
  begun++;
  under_way++;
  if (!is_new) {
    connection->state = ASKING;
    send_rest(connection);
  } else if (!connect_it(connection)) {
    begun--;
    under_way--;
    connection->state = RESTING;
    connection->due = now + FULL_QUEUE;
  }
}

static void connected(struct connection *connection) {
  int error = 0;
  getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof error});
  if (error) {
    end_request(connection, error == ECONNRESET ? RESET_BEFORE : REFUSED, error);
    return;
  }
  connection->state = ASKING;
  send_rest(connection);
}

static void receive(struct connection *connection) {
  static char text[65536];
  ssize_t got = recv(connection->fd, text, sizeof text, 0);
  if (got < 0 && errno == EAGAIN)
    return;
  if (got <= 0) {
    lose(connection, got < 0 ? errno : 0);
    return;
  }
  switch (read_answer(&options, connection, text, (size_t)got)) {
    case MORE:
      return;
    case WHOLE:
      end_request(connection, GOOD, 0);
      return;
    case NONSENSE:
      end_request(connection, WRONG, 0);
  }
}

static void rested_ended(struct connection *connection) {
  account_idle_end();
  hang_up(connection);
}

static void advance(struct connection *connection, uint32_t events) {
  if (connection->state == CONNECTING)
    connected(connection);
  else if (connection->state == RESTING)
    rested_ended(connection);
  else if (events & EPOLLOUT)
    send_rest(connection);
  else
    receive(connection);
}

static bool may_ask(bool open_for_more) {
  return open_for_more && (options.requests == 0 || begun < (uint64_t)options.requests);
}

/* Asks what is due; returns when something will be due next. The connections take turns: none rests for ever. */
static long long ask_due(bool open_for_more, long long now) {
  static long long turn;
  long long next = now + 100 * MS, from = turn;
  for (long long i = 0; i < options.connections && may_ask(open_for_more); i++) {
    long long index = (from + i) % options.connections;
    struct connection *connection = &connections[index];
    if (connection->state != RESTING)
      continue;
    long long due = connection->due;
    if (options.rate > 0 && (long long)planned > due)
      due = (long long)planned;
    if (due > now) {
      next = due < next ? due : next;
      continue;
    }
    uint64_t before = begun;
    turn = index + 1;
    ask(connection, options.rate > 0 ? (long long)planned : now);
    if (options.rate > 0 && begun > before)
      planned += (double)SECOND / options.rate;
  }
  return next;
}

static void find_late(long long now) {
  for (long long i = 0; i < options.connections; i++)
    if (connections[i].state != RESTING && now - connections[i].asked > options.timeout)
      end_request(&connections[i], LATE, 0);
}

int main(int argc, char **argv) {
  read_options(argc, argv, &options);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_signal}, NULL);
  sigaction(SIGINT, &(struct sigaction){.sa_handler = on_signal}, NULL);
  epoll = epoll_create1(EPOLL_CLOEXEC);
  size_t room = options.protocol == RAW ? MOST_PAYLOAD : MOST_HEAD;
  for (long long i = 0; i < options.connections; i++) {
    connections[i] = (struct connection){.fd = -1, .in_size = room, .in = malloc(room), .out = malloc(room)};
    if (!connections[i].in || !connections[i].out)
      abort();
  }
  long long began = now_ns(), told = began, looked = began, next = began, asked_until = 0;
  planned = (double)began;
  account_begin(&options, began);
  for (;;) {
    long long now = now_ns();
    bool open_for_more = !asked_to_stop && (options.lasts == 0 || now - began < options.lasts);
    if (!may_ask(open_for_more) && asked_until == 0)
      asked_until = now;
    if (asked_until > 0 && under_way == 0)
      break;
    if (now >= next)
      next = ask_due(open_for_more, now);
    if (now - looked > 100 * MS) {
      find_late(now);
      looked = now;
    }
    if (options.progress > 0 && now - told >= options.progress) {
      print_progress(now);
      told = now;
    }
    long long wait = next - now_ns();
    struct timespec left = {.tv_sec = 0, .tv_nsec = wait < 0 ? 0 : wait > 10 * MS ? 10 * MS : wait};
    struct epoll_event events[256];
    int count = epoll_pwait2(epoll, events, 256, &left, NULL);
    for (int i = 0; i < count; i++)
      advance(events[i].data.ptr, events[i].events);
    if (count > 0)
      next = 0; /* one of them may have become free for what is due */
  }
  print_account(&options, begun, asked_until, now_ns());
  return 0;
}
