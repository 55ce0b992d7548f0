#pragma once
#include "stdio/bridge.h"

/* Reads the command line, or says what is wrong with it and ends the process. Keeps pointers into `argv`. */
void options_read(struct options *options, char **argv);
