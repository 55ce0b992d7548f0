#pragma once
#include <stdbool.h>
#include <sys/types.h>

#include "stdio/calls.h"

/* The sandbox's activity page (docs/activity-page.md). Slot N is that of the Nth program; there are 31. */
enum { PAGE_SLOTS = 31 };

void page_open(void);

/* The bridge goes round. To be called about once a second. */
void page_tick(void);

/* A program has these requests in hand now, the oldest of which is told. `pid`: who works on them. */
void page_show(int slot, const struct calls *calls, pid_t pid);

void page_began(const struct call *call);

/* Whether the request ended well; before it is taken out of those in hand. */
void page_ended(int slot, const struct call *call, bool well);

/* A program gets on with what it has in hand. */
void page_progress(int slot);

/* To be read after a death. */
void page_note(const char *text);
