#include "stdio/options.h"

#include <signal.h>
#include <string.h>

#include "base/text.h"
#include "stdio/say.h"

enum { MOST_CONNECTIONS = 1024, MOST_START_MS = 3600000, LEAST_MESSAGE = 1024, MOST_MESSAGE = 67108864 };

/* What follows `name` in the argument; NULL when it is another option. */
static const char *value_of(const char *argument, const char *name) {
    const size_t length = strlen(name);
    return strncmp(argument, name, length) == 0 ? argument + length : NULL;
}

static unsigned long number(const char *argument, const char *text, unsigned long least, unsigned long most) {
    unsigned long value;
    if (!text_number(text, least, most, &value)) die("'%s' is not a number from %lu to %lu", argument, least, most);
    return value;
}

static enum protocol protocol(const char *name) {
    if (strcmp(name, "mcp") == 0) return PROTOCOL_MCP;
    if (strcmp(name, "lines") == 0) return PROTOCOL_LINES;
    if (strcmp(name, "raw") != 0) die("'%s' is not a protocol: there are mcp, lines and raw", name);
    return PROTOCOL_RAW;
}

static bool is_shared(const char *process) {
    if (strcmp(process, "shared") == 0) return true;
    if (strcmp(process, "connection") != 0) die("'%s' is not how processes are made: there are connection and shared", process);
    return false;
}

void options_read(struct options *options, char **argv) {
    *options = (struct options){.protocol = PROTOCOL_MCP, .connections = 16, .message = 4194304, .start_ms = 30000, .stop_signal = SIGTERM};
    char **argument = argv + 1;
    for (; *argument != NULL && strcmp(*argument, "--") != 0; argument++) {
        const char *value;
        if ((value = value_of(*argument, "--protocol=")) != NULL) options->protocol = protocol(value);
        else if ((value = value_of(*argument, "--process=")) != NULL) options->shared = is_shared(value);
        else if ((value = value_of(*argument, "--connections=")) != NULL) options->connections = number(*argument, value, 1, MOST_CONNECTIONS);
        else if ((value = value_of(*argument, "--message=")) != NULL) options->message = number(*argument, value, LEAST_MESSAGE, MOST_MESSAGE);
        else if ((value = value_of(*argument, "--start-ms=")) != NULL) options->start_ms = (int64_t)number(*argument, value, 1, MOST_START_MS);
        else if ((value = value_of(*argument, "--stop-signal=")) != NULL) options->stop_signal = (int)number(*argument, value, 1, 31);
        else if ((value = value_of(*argument, "--socket=")) != NULL) options->socket = value;
        else die("unknown option '%s'", *argument);
    }
    if (*argument == NULL || argument[1] == NULL) die("usage: plugin-stdio [--protocol=mcp|lines|raw] [--process=connection|shared] [--socket=PATH] -- PROGRAM ARGUMENTS...");
    if (options->shared && options->protocol == PROTOCOL_RAW) die("bytes without messages cannot be shared: give --process=connection");
    options->command = argument + 1;
}
