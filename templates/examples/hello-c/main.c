/* A plugin in C: an HTTP/1.1 server on the sockets that bulkhead hands in. One thread, no library but libc.
 *
 *   cc -O2 -Wall -Wextra -static -o main main.c
 *
 * What makes it a good plugin, and is worth copying:
 *   - It serves on inherited sockets: descriptor 3 and up, LISTEN_FDS of them. It binds nothing itself.
 *   - It never waits in accept(). All sandboxes of the plugin take connections from the same socket, so
 *     the one that was announced may be gone already.
 *   - On SIGTERM it drains (docs/draining.md): it takes who is in the queue already and nobody after them, tells each
 *     client with its next answer that it is the last one, and exits with status 0 when all have left.
 *   - It tells what it is doing by its activity page, so that it is known of a hang what hangs.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "activity.h"

enum {
  FIRST_FD = 3,
  MAX_LISTENERS = 16,
  MAX_CLIENTS = 512,
  MAX_REQUEST = 16 * 1024, /* head and body */
  MAX_ANSWER = 1024,
  TICK_S = 1,
};

struct client {
  int fd; /* -1: this place is free */
  bool closing; /* no more requests; ends when the answer is out */
  size_t in_length, out_length, out_sent;
  char in[MAX_REQUEST + 1];
  char out[MAX_ANSWER];
};

struct request {
  char method[16], path[1024];
  size_t length; /* of head and body together */
  size_t body_length;
  bool keep;
};

static struct client clients[MAX_CLIENTS];
static volatile sig_atomic_t asked_to_stop;
static bool stopping;
static struct activity *activity;

/* The one function to change: what this plugin is for. Writes at most SIZE bytes, returns how many. */
static size_t answer(const struct request *request, char *text, size_t size) {
  int length = snprintf(text, size, "hello from c: %s %s, %zu bytes, pid %d\n", request->method, request->path,
                        request->body_length, (int)getpid());
  return (size_t)length < size ? (size_t)length : size - 1;
}

static void on_sigterm(int signal_number) {
  (void)signal_number;
  asked_to_stop = 1;
}

static void drop(struct client *client) {
  close(client->fd);
  client->fd = -1;
}

/* Puts an answer into the (empty) output of the client. */
static void respond(struct client *client, const char *status, const char *text, size_t length, bool keep, bool body) {
  int head = snprintf(client->out, sizeof client->out,
                      "HTTP/1.1 %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %zu\r\n"
                      "Connection: %s\r\n\r\n",
                      status, length, keep ? "keep-alive" : "close");
  if (body)
    memcpy(client->out + head, text, length);
  client->out_length = (size_t)head + (body ? length : 0);
  client->out_sent = 0;
  client->closing = !keep;
}

/* The value of a header in HEAD, or NULL; it ends where its line ends. */
static const char *header(const char *head, const char *name) {
  size_t length = strlen(name);
  for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
    if (!strncasecmp(line + 2, name, length) && line[2 + length] == ':')
      return line + 2 + length + 1 + strspn(line + 2 + length + 1, " \t");
  return NULL;
}

/* Reads the request at the beginning of TEXT. 1: it is whole; 0: something is missing; -1: STATUS says what is wrong. */
static int parse(char *text, size_t received, struct request *request, const char **status) {
  char *end = memmem(text, received, "\r\n\r\n", 4);
  *status = "431 Request Header Fields Too Large";
  if (!end)
    return received == MAX_REQUEST ? -1 : 0;
  end[2] = '\0'; /* the head is a string of whole lines; put back below */
  int minor = 0;
  bool understood = !memchr(text, '\0', (size_t)(end - text)) &&
                    sscanf(text, "%15[^ \r\n] %1023[^ \r\n] HTTP/1.%d", request->method, request->path, &minor) == 3;
  const char *length = header(text, "Content-Length"), *wish = header(text, "Connection");
  bool chunked = header(text, "Transfer-Encoding") != NULL;
  request->body_length = 0;
  if (length) {
    char *after;
    request->body_length = strtoul(length, &after, 10);
    understood = understood && *length >= '0' && *length <= '9' && *after == '\r';
  }
  request->keep = minor >= 1 ? !wish || strncasecmp(wish, "close", 5) : wish && !strncasecmp(wish, "keep-alive", 10);
  request->length = (size_t)(end + 4 - text) + request->body_length;
  end[2] = '\r';
  *status = !understood ? "400 Bad Request" : chunked ? "411 Length Required" : "413 Content Too Large";
  if (!understood || chunked || request->body_length > MAX_REQUEST || request->length > MAX_REQUEST)
    return -1;
  return received >= request->length;
}

/* Sends what is there to send, then takes the next request, until one of the two has to wait. */
static void advance(struct client *client) {
  for (;;) {
    while (client->out_sent < client->out_length) {
      ssize_t sent = send(client->fd, client->out + client->out_sent, client->out_length - client->out_sent, MSG_NOSIGNAL);
      if (sent < 0 && errno == EAGAIN)
        return;
      if (sent < 0) {
        drop(client);
        return;
      }
      client->out_sent += (size_t)sent;
    }
    client->out_length = client->out_sent = 0;
    if (client->closing) {
      drop(client);
      return;
    }
    struct request request;
    const char *status;
    char text[512];
    int whole = parse(client->in, client->in_length, &request, &status);
    if (whole == 0)
      return;
    if (whole < 0) {
      respond(client, status, "", 0, false, true);
      continue;
    }
    client->in_length -= request.length;
    memmove(client->in, client->in + request.length, client->in_length);
    activity_begin(activity, &activity->slot[0], request.path, 0, NULL);
    size_t length = answer(&request, text, sizeof text);
    respond(client, "200 OK", text, length, request.keep && !stopping, strcmp(request.method, "HEAD") != 0);
    activity_end(activity, &activity->slot[0], true);
  }
}

static void receive(struct client *client) {
  ssize_t count = recv(client->fd, client->in + client->in_length, MAX_REQUEST - client->in_length, 0);
  if (count < 0 && errno == EAGAIN)
    return;
  if (count <= 0) {
    drop(client);
    return;
  }
  client->in_length += (size_t)count;
  advance(client);
}

/* Takes a single connection at a time, which leaves the next to whoever is idle. False: there is none, or no place. */
static bool take(int listener) {
  struct client *client = clients;
  while (client < clients + MAX_CLIENTS && client->fd >= 0)
    client++;
  if (client == clients + MAX_CLIENTS)
    return false;
  int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0)
    return false; /* another sandbox was faster, or the client left */
  client->fd = fd;
  client->closing = false;
  client->in_length = client->out_length = client->out_sent = 0;
  return true;
}

/* Who waits in the queue has been told that the connection is made, so it is taken. Connections without a request stay
 * until their client asks or leaves: a request may be on its way into any that we would close. It is bulkhead that ends
 * what lasts too long. */
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
  if (listeners < 1 || listeners > MAX_LISTENERS) {
    fprintf(stderr, "no sockets were handed in (LISTEN_FDS); start this as a plugin\n");
    return 1;
  }
  activity = activity_open(1);
  if (!activity)
    return 1;
  for (int i = 0; i < listeners; i++)
    fcntl(FIRST_FD + i, F_SETFL, fcntl(FIRST_FD + i, F_GETFL) | O_NONBLOCK);
  for (int i = 0; i < MAX_CLIENTS; i++)
    clients[i].fd = -1;

  /* SIGTERM is let in only while ppoll waits, so that it cannot come just before and be missed. */
  sigset_t blocked, waiting;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  sigprocmask(SIG_BLOCK, &blocked, &waiting);
  sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_sigterm}, NULL);

  static struct pollfd polled[MAX_LISTENERS + MAX_CLIENTS];
  static struct client *who[MAX_LISTENERS + MAX_CLIENTS];
  for (;;) {
    nfds_t count = 0, open = 0;
    for (int i = 0; i < MAX_CLIENTS; i++)
      open += clients[i].fd >= 0;
    if (stopping && open == 0)
      return 0;
    for (int i = 0; !stopping && open < MAX_CLIENTS && i < listeners; i++) {
      who[count] = NULL;
      polled[count++] = (struct pollfd){.fd = FIRST_FD + i, .events = POLLIN};
    }
    for (int i = 0; i < MAX_CLIENTS; i++) {
      if (clients[i].fd < 0)
        continue;
      /* A client that sends but does not read is not listened to until it does. */
      short events = clients[i].out_sent < clients[i].out_length ? POLLOUT : POLLIN;
      who[count] = &clients[i];
      polled[count++] = (struct pollfd){.fd = clients[i].fd, .events = events};
    }
    activity_tick(activity);
    int ready = ppoll(polled, count, &(struct timespec){.tv_sec = TICK_S}, &waiting);
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
