#pragma once
#include <stdbool.h>

/*
 * Whether the programs are well, for whoever asks: a probe by a connection to the sandbox's own socket, which is ended
 * when it passes, and WATCHDOG=1. With the Model Context Protocol it passes when each program has answered a ping that
 * runs and whose client reads; with others, when the bridge goes round and the shared program is there.
 */

/* `listener`: where probes connect to; -1 for nowhere. WATCHDOG_USEC is read from the environment. */
void probe_open(int listener);

/* A program ended that may have had a ping in hand. */
void probe_again(void);

void probe_turn(void);
