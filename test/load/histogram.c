#include "load.h"

/* Values below 128 exactly; then 64 places for each power of two. */
enum { PLACES = 64, ROWS = 42 };

static uint64_t counts[ROWS][PLACES], total;
static long long most;
static double sum;

void histogram_add(long long ns) {
  uint64_t us = ns < 0 ? 0 : (uint64_t)ns / 1000;
  int row = us < PLACES ? 0 : 58 - __builtin_clzll(us); /* 64..127 is row 1 */
  counts[row][row == 0 ? us : (us >> (row - 1)) - PLACES]++;
  total++;
  sum += (double)ns;
  if (ns > most)
    most = ns;
}

long long histogram_at(double share) {
  uint64_t wanted = (uint64_t)((double)total * share), seen = 0;
  for (int row = 0; row < ROWS; row++)
    for (int place = 0; place < PLACES; place++) {
      seen += counts[row][place];
      if (seen > wanted)
        return (row == 0 ? place : (long long)(PLACES + place) << (row - 1)) * 1000;
    }
  return most;
}

long long histogram_mean(void) { return total == 0 ? 0 : (long long)(sum / (double)total); }

long long histogram_most(void) { return most; }
