/* Writes the activity page: what the threads of this program have in their hands, for the supervisor to look at. */
#pragma once
#include <stdint.h>

/* Maps the page that BULKHEAD_ACTIVITY names; without one, all of the below does nothing. */
void activity_open(void);

/* The main loop is alive. To be said about once a second, always by the same thread. */
void activity_tick(void);

/* The calling thread has begun a request in its slot; `deadline_ms` from now, 0: none. A request that is begun while
 * another is in flight is counted, but the slot goes on telling of the older one. */
void activity_begin(int slot, const char *method, const uint8_t trace[16], uint64_t deadline_ms);

/* It gets on with it. */
void activity_progress(int slot);

/* It has ended, well or not. */
void activity_end(int slot, int well);
