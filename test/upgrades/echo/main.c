/* A plugin that sends back what it gets; the protocol is that of main.py beside it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FIRST_FD = 3, MOST_LISTENERS = 16, MOST_CLIENTS = 512, PREFIX = 4, MOST = 65536, LAST_ANSWER = 0x80 };

struct client {
  int fd; /* -1: this place is free */
  bool last;
  size_t received, sent, to_send;
  unsigned char text[MOST];
};

static struct client clients[MOST_CLIENTS];
static volatile sig_atomic_t asked_to_stop;
static bool stopping;

static void on_sigterm(int number) {
  (void)number;
  asked_to_stop = 1;
}

static void drop(struct client *client) {
  close(client->fd);
  client->fd = -1;
}

static bool take(int listener) {
  struct client *client = clients;
  while (client < clients + MOST_CLIENTS && client->fd >= 0)
    client++;
  if (client == clients + MOST_CLIENTS)
    return false;
  int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0)
    return false;
  client->fd = fd;
  client->last = false;
  client->received = client->sent = client->to_send = 0;
  return true;
}

/* Sends what is there to send, then looks for the next request. */
static void advance(struct client *client) {
  for (;;) {
    while (client->sent < client->to_send) {
      ssize_t sent = send(client->fd, client->text + client->sent, client->to_send - client->sent, MSG_NOSIGNAL);
      if (sent < 0 && errno == EAGAIN)
        return;
      if (sent < 0 || (client->sent += (size_t)sent) == client->to_send) {
        if (sent < 0 || client->last) {
          drop(client);
          return;
        }
        client->received -= client->to_send;
        memmove(client->text, client->text + client->to_send, client->received);
        client->sent = client->to_send = 0;
        break;
      }
    }
    if (client->received < PREFIX)
      return;
    const unsigned char *text = client->text;
    uint32_t length = (uint32_t)text[0] << 24 | (uint32_t)text[1] << 16 | (uint32_t)text[2] << 8 | text[3];
    if (length > MOST - PREFIX) {
      drop(client);
      return;
    }
    if (client->received < PREFIX + length)
      return;
    client->to_send = PREFIX + length;
    client->last = stopping;
    if (stopping)
      client->text[0] |= LAST_ANSWER;
  }
}

static void receive(struct client *client) {
  ssize_t count = recv(client->fd, client->text + client->received, MOST - client->received, 0);
  if (count < 0 && errno == EAGAIN)
    return;
  if (count <= 0) {
    drop(client);
    return;
  }
  client->received += (size_t)count;
  advance(client);
}

static void stop_accepting(int listeners) {
  stopping = true;
  for (int fd = FIRST_FD; fd < FIRST_FD + listeners; fd++) {
    while (take(fd))
      ;
    close(fd);
  }
}

int main(void) {
  const char *given = getenv("LISTEN_FDS");
  int listeners = given ? atoi(given) : 0;
  if (listeners < 1 || listeners > MOST_LISTENERS)
    return 1;
  for (int i = 0; i < listeners; i++)
    fcntl(FIRST_FD + i, F_SETFL, fcntl(FIRST_FD + i, F_GETFL) | O_NONBLOCK);
  for (int i = 0; i < MOST_CLIENTS; i++)
    clients[i].fd = -1;
  /* SIGTERM is let in only while ppoll waits. */
  sigset_t blocked, waiting;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  sigprocmask(SIG_BLOCK, &blocked, &waiting);
  sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_sigterm}, NULL);
  static struct pollfd polled[MOST_LISTENERS + MOST_CLIENTS];
  static struct client *who[MOST_LISTENERS + MOST_CLIENTS];
  for (;;) {
    nfds_t count = 0, open = 0;
    for (int i = 0; i < MOST_CLIENTS; i++) {
      if (clients[i].fd < 0)
        continue;
      open++;
      who[count] = &clients[i];
      polled[count++] = (struct pollfd){.fd = clients[i].fd, .events = clients[i].sent < clients[i].to_send ? POLLOUT : POLLIN};
    }
    if (stopping && open == 0)
      return 0;
    for (int i = 0; !stopping && open < MOST_CLIENTS && i < listeners; i++) {
      who[count] = NULL;
      polled[count++] = (struct pollfd){.fd = FIRST_FD + i, .events = POLLIN};
    }
    int ready = ppoll(polled, count, NULL, &waiting);
    if (asked_to_stop && !stopping) {
      stop_accepting(listeners);
      continue;
    }
    for (nfds_t i = 0; ready > 0 && i < count; i++) {
      if (!polled[i].revents)
        continue;
      if (!who[i])
        take(polled[i].fd);
      else if (polled[i].events == POLLOUT)
        advance(who[i]);
      else
        receive(who[i]);
    }
  }
}
