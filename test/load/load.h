/* A load on a server that accounts for each request exactly. What it is for, and its options: main.c. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define MS 1000000LL /* times are ns of CLOCK_MONOTONIC */
#define SECOND (1000 * MS)

enum { MOST_CONNECTIONS = 4096, MOST_HEAD = 8192, MOST_PAYLOAD = 65536, MOST_NAMES = 16, MOST_TOLD = 32 };

enum protocol { HTTP, RAW };

/* What became of a request; each has one of these, once. */
enum outcome {
  GOOD,
  REFUSED, /* nobody took the connection */
  CLOSED_BEFORE, /* the connection was ended before the first byte of an answer... */
  RESET_BEFORE, /* ...or broken */
  CLOSED_WITHIN, /* the same after it, and before the last */
  RESET_WITHIN,
  LATE, /* not answered in time */
  WRONG, /* answered, but not so as it is to be */
  OUTCOMES
};

struct options {
  enum protocol protocol;
  struct sockaddr_storage address;
  socklen_t address_length;
  const char *path, *tally; /* of HTTP: what is asked for; the header that answers are told apart by */
  long long connections, requests, each, size; /* requests, each: 0 for no limit */
  long long think_least, think_most, timeout, lasts, progress, bucket;
  double rate; /* requests a second of all connections together; 0: each asks again when it was answered */
  bool keep;
};

enum state { RESTING, CONNECTING, ASKING };

struct connection {
  enum state state;
  int fd; /* -1: none */
  long long due; /* RESTING: when it asks again */
  long long began; /* when the request was to be asked: what it waited for a free connection counts */
  long long asked; /* when it was */
  long long opened;
  long long served; /* requests of this connection */
  uint64_t number; /* of the request */
  char *out;
  size_t out_length, out_sent;
  char *in; /* the head, and of RAW the payload */
  size_t in_length, in_size;
  uint64_t body_left; /* HTTP: bytes of the body yet to come, once the head is there */
  bool has_head, last; /* last: the server has said that it takes no more on this connection */
  int name; /* of the answer, by --tally; -1: none */
};

/* The clock */
long long now_ns(void);

/* options.c */
void read_options(int argc, char **argv, struct options *options);

/* protocol.c */
enum progress { MORE, WHOLE, NONSENSE };
void write_request(const struct options *options, struct connection *connection);
/* Takes in what has come; COUNT bytes of TEXT. */
enum progress read_answer(const struct options *options, struct connection *connection, const char *text, size_t count);

/* account.c */
void account_begin(const struct options *options, long long now);
int account_name(const char *text, size_t length);
void account(const struct connection *connection, enum outcome outcome, int error, long long now);
void account_opened(void);
void account_idle_end(void);
uint64_t account_good(void);
uint64_t account_lost(void);
void print_progress(long long now);
void print_account(const struct options *options, uint64_t begun, long long asked_until, long long now);

/* histogram.c: of times, with an error of at most 1/64 */
void histogram_add(long long ns);
long long histogram_at(double share); /* 0..1; ns */
long long histogram_mean(void);
long long histogram_most(void);
