/* The two protocols: HTTP/1.1, just enough of it; and RAW, four bytes of length, most significant first, and so many
 * bytes, which come back the same. The first bit of an answer's length says that it is the last on its connection. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "load.h"

enum { PREFIX = 4 };
#define LAST_ANSWER 0x80000000u

static void write_raw(const struct options *options, struct connection *connection) {
  uint32_t size = (uint32_t)options->size;
  unsigned char *out = (unsigned char *)connection->out;
  for (int i = 0; i < PREFIX; i++)
    out[i] = (unsigned char)(size >> (24 - 8 * i));
  /* The payload tells which request it is, so that no answer can be taken for that of another. */
  for (uint32_t i = 0; i < size; i++)
    out[PREFIX + i] = (unsigned char)(i < 8 ? connection->number >> (8 * i) : i + connection->number);
  connection->out_length = PREFIX + size;
}

void write_request(const struct options *options, struct connection *connection) {
  connection->out_sent = connection->in_length = 0;
  connection->has_head = connection->last = false;
  connection->name = -1;
  if (options->protocol == RAW)
    write_raw(options, connection);
  else
    connection->out_length = (size_t)snprintf(
      connection->out, MOST_HEAD, "GET %s HTTP/1.1\r\nHost: load\r\n%s\r\n", options->path,
      options->keep ? "" : "Connection: close\r\n");
}

static enum progress read_raw(const struct options *options, struct connection *connection, const char *text, size_t count) {
  size_t whole = PREFIX + (size_t)options->size;
  if (connection->in_length + count > whole)
    return NONSENSE;
  memcpy(connection->in + connection->in_length, text, count);
  connection->in_length += count;
  if (connection->in_length < PREFIX)
    return MORE;
  connection->last = ((unsigned char)connection->in[0] & (LAST_ANSWER >> 24)) != 0;
  unsigned char first = (unsigned char)connection->in[0] & 0x7f;
  size_t rest = connection->in_length - 1;
  if (first != (unsigned char)connection->out[0] || memcmp(connection->in + 1, connection->out + 1, rest))
    return NONSENSE;
  return connection->in_length == whole ? WHOLE : MORE;
}

/* The value of a header in the head, which is a string, or NULL; it ends where its line ends. */
static const char *header(const char *head, const char *name) {
  size_t length = strlen(name);
  for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
    if (!strncasecmp(line + 2, name, length) && line[2 + length] == ':')
      return line + 2 + length + 1 + strspn(line + 2 + length + 1, " \t");
  return NULL;
}

static enum progress read_head(const struct options *options, struct connection *connection) {
  const char *head = connection->in, *length = header(head, "Content-Length"), *wish = header(head, "Connection");
  if (strncmp(head, "HTTP/1.", 7) || !length)
    return NONSENSE;
  connection->has_head = true;
  connection->body_left = strtoull(length, NULL, 10);
  connection->last = wish && !strncasecmp(wish, "close", 5);
  const char *told = options->tally ? header(head, options->tally) : NULL;
  if (told)
    connection->name = account_name(told, strcspn(told, "\r"));
  return strncmp(head + 8, " 200 ", 5) ? NONSENSE : MORE;
}

static enum progress read_http(const struct options *options, struct connection *connection, const char *text, size_t count) {
  if (!connection->has_head) {
    size_t room = connection->in_size - 1 - connection->in_length, take = count < room ? count : room;
    size_t before = connection->in_length;
    memcpy(connection->in + before, text, take);
    connection->in_length += take;
    char *end = memmem(connection->in, connection->in_length, "\r\n\r\n", 4);
    if (!end)
      return take < count ? NONSENSE : MORE;
    end[2] = '\0'; /* the head is a string of whole lines */
    if (read_head(options, connection) == NONSENSE)
      return NONSENSE;
    size_t used = (size_t)(end + 4 - connection->in) - before;
    count -= used;
  }
  if (count > connection->body_left)
    return NONSENSE;
  connection->body_left -= count;
  return connection->body_left == 0 ? WHOLE : MORE;
}

enum progress read_answer(const struct options *options, struct connection *connection, const char *text, size_t count) {
  return (options->protocol == RAW ? read_raw : read_http)(options, connection, text, count);
}
