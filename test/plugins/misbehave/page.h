/* The activity page of a program whose threads serve: a slot for each of them. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

void page_open(void);

/* The main loop is alive. To be said about once a second, always by the same thread. */
void page_tick(void);

/* The calling thread has begun a request in its slot; `deadline_ms` from now, 0: none. */
void page_begin(int slot, const char *method, const uint8_t trace[16], uint64_t deadline_ms);

/* It gets on with it. */
void page_progress(int slot);

/* `well`: not badly. */
void page_end(int slot, bool well);
