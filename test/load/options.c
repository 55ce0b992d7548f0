#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "load.h"

static void usage(const char *what, const char *word) {
  fprintf(stderr, "load: %s%s%s\n", what, word ? " " : "", word ? word : "");
  exit(2);
}

static long long number(const char *option, const char *text, long long least, long long most) {
  char *end;
  long long value = strtoll(text, &end, 10);
  if (end == text || *end || value < least || value > most)
    usage("not a number in its range:", option);
  return value;
}

/* HOST:PORT with an IPv4 address, or unix:PATH */
static void read_address(const char *text, struct options *options) {
  if (!strncmp(text, "unix:", 5)) {
    struct sockaddr_un *address = (struct sockaddr_un *)&options->address;
    if (strlen(text + 5) >= sizeof address->sun_path)
      usage("the path is too long:", text);
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, text + 5, strlen(text + 5) + 1);
    options->address_length = sizeof *address;
    return;
  }
  struct sockaddr_in *address = (struct sockaddr_in *)&options->address;
  const char *colon = strrchr(text, ':');
  char host[64] = "";
  if (!colon || (size_t)(colon - text) >= sizeof host)
    usage("not an address:", text);
  memcpy(host, text, (size_t)(colon - text));
  address->sin_family = AF_INET;
  address->sin_port = htons((uint16_t)number("--to", colon + 1, 1, 65535));
  if (inet_pton(AF_INET, host, &address->sin_addr) != 1)
    usage("not an IPv4 address:", host);
  options->address_length = sizeof *address;
}

/* MS, or LEAST-MOST */
static void read_think(const char *text, struct options *options) {
  const char *dash = strchr(text, '-');
  options->think_least = strtoll(text, NULL, 10) * MS;
  options->think_most = dash ? number("--think", dash + 1, 0, 3600000) * MS : options->think_least;
  if (options->think_least < 0 || options->think_most < options->think_least)
    usage("not a time or two:", text);
}

void read_options(int argc, char **argv, struct options *options) {
  *options = (struct options){.path = "/load", .connections = 1, .timeout = 20 * SECOND, .size = 64};
  for (int i = 1; i < argc; i++) {
    const char *option = argv[i];
    if (!strcmp(option, "--keep")) {
      options->keep = true;
      continue;
    }
    if (!strcmp(option, "--raw")) {
      options->protocol = RAW;
      continue;
    }
    if (++i == argc)
      usage("unknown, or without its value:", option);
    const char *value = argv[i];
    if (!strcmp(option, "--to"))
      read_address(value, options);
    else if (!strcmp(option, "--connections"))
      options->connections = number(option, value, 1, MOST_CONNECTIONS);
    else if (!strcmp(option, "--requests"))
      options->requests = number(option, value, 1, 1LL << 40);
    else if (!strcmp(option, "--each"))
      options->each = number(option, value, 1, 1LL << 40);
    else if (!strcmp(option, "--for"))
      options->lasts = number(option, value, 1, 86400000) * MS;
    else if (!strcmp(option, "--think"))
      read_think(value, options);
    else if (!strcmp(option, "--rate"))
      options->rate = (double)number(option, value, 1, 10000000);
    else if (!strcmp(option, "--timeout"))
      options->timeout = number(option, value, 1, 3600000) * MS;
    else if (!strcmp(option, "--size"))
      options->size = number(option, value, 8, MOST_PAYLOAD - 4);
    else if (!strcmp(option, "--path") && strlen(value) < 1024)
      options->path = value;
    else if (!strcmp(option, "--tally"))
      options->tally = value;
    else if (!strcmp(option, "--progress"))
      options->progress = number(option, value, 1, 3600000) * MS;
    else if (!strcmp(option, "--buckets"))
      options->bucket = number(option, value, 1, 60000) * MS;
    else
      usage("unknown option", option);
  }
  if (options->address_length == 0)
    usage("--to says where", NULL);
}
