/* Writes the page that activity-writers.test.ts expects, then changes one slot until it is killed. */
#define _GNU_SOURCE
#include "activity.h"

#include <stdio.h>

int main(void) {
  struct activity *page = activity_open(2);
  struct activity_slot *slot = &page->slot[0], *other = &page->slot[1];
  unsigned char ids[16], oldest[16];
  char text[512], line[16];
  activity_tick(page);
  for (int i = 0; i < 16; i++)
    ids[i] = (unsigned char)i;
  memset(oldest, 0xab, sizeof oldest);
  activity_begin(page, slot, "/ended", 0, ids);
  activity_end(page, slot, true);
  activity_begin(page, slot, "/failed", 0, NULL);
  activity_end(page, slot, false);
  for (int number = 0; number < 300; number++) {
    (void)snprintf(text, sizeof text, "note %d", number);
    activity_record(page, ACTIVITY_NOTE, text, 0, 0, NULL);
  }
  for (int i = 0; i < 200; i++)
    (void)strcpy(text + 2 * i, "ä");
  activity_record(page, ACTIVITY_AUDIT, text, 0, 0, NULL);
  (void)snprintf(text, sizeof text, "/oldest/%0100d", 0);
  activity_begin(page, slot, text, activity_now() + 5000000000ULL, oldest);
  (void)puts("written");
  (void)fflush(stdout);
  if (fgets(line, sizeof line, stdin) == NULL)
    return 1;
  for (;;)
    for (char digit = '0'; digit <= '9'; digit++) {
      memset(text, digit, 51);
      text[0] = '/';
      text[51] = '\0';
      memset(ids, digit, sizeof ids);
      activity_begin(page, other, text, 0, ids);
      activity_end(page, other, true);
    }
}
