#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

struct loss {
  enum outcome outcome;
  int error;
  long long at, opened, began;
  long long served;
};

struct bucket {
  uint32_t good, lost;
  uint32_t most_us;
};

struct name {
  char text[64];
  uint64_t good, lost;
};

/* A day of buckets of 100 ms is below this. */
enum { MOST_BUCKETS = 1 << 20 };

static uint64_t counts[OUTCOMES], opened_count, idle_ends;
static struct loss told[MOST_TOLD];
static size_t told_count, name_count;
static struct name names[MOST_NAMES];
static struct bucket *buckets;
static size_t bucket_count;
static long long began, bucket_ns, last_good, longest_gap, gap_at;

void account_begin(const struct options *options, long long now) {
  began = last_good = now;
  bucket_ns = options->bucket;
  if (bucket_ns > 0 && !(buckets = calloc(MOST_BUCKETS, sizeof *buckets)))
    abort();
}

/* The number of the name; -1 when there are too many. */
int account_name(const char *text, size_t length) {
  if (length >= sizeof names[0].text)
    length = sizeof names[0].text - 1;
  for (size_t i = 0; i < name_count; i++)
    if (strlen(names[i].text) == length && !memcmp(names[i].text, text, length))
      return (int)i;
  if (name_count == MOST_NAMES)
    return -1;
  for (size_t i = 0; i < length; i++)
    names[name_count].text[i] = text[i] >= ' ' && text[i] <= '~' && text[i] != '"' && text[i] != '\\' ? text[i] : '?';
  return (int)name_count++;
}

static void add_to_bucket(bool good, long long took, long long now) {
  size_t index = (size_t)((now - began) / bucket_ns);
  if (index >= MOST_BUCKETS)
    return;
  if (index >= bucket_count)
    bucket_count = index + 1;
  struct bucket *bucket = &buckets[index];
  *(good ? &bucket->good : &bucket->lost) += 1;
  if ((uint32_t)(took / 1000) > bucket->most_us)
    bucket->most_us = (uint32_t)(took / 1000);
}

void account(const struct connection *connection, enum outcome outcome, int error, long long now) {
  bool good = outcome == GOOD;
  counts[outcome]++;
  if (connection->name >= 0)
    *(good ? &names[connection->name].good : &names[connection->name].lost) += 1;
  if (bucket_ns > 0)
    add_to_bucket(good, now - connection->began, now);
  if (good) {
    histogram_add(now - connection->began);
    if (now - last_good > longest_gap) {
      longest_gap = now - last_good;
      gap_at = last_good;
    }
    last_good = now;
  } else if (told_count < MOST_TOLD) {
    told[told_count++] = (struct loss){outcome, error, now, connection->opened, connection->began, connection->served};
  }
}

void account_opened(void) { opened_count++; }

void account_idle_end(void) { idle_ends++; }

uint64_t account_good(void) { return counts[GOOD]; }

uint64_t account_lost(void) {
  uint64_t lost = 0;
  for (int outcome = GOOD + 1; outcome < OUTCOMES; outcome++)
    lost += counts[outcome];
  return lost;
}

void print_progress(long long now) {
  printf("{\"progress\":true,\"ms\":%lld,\"good\":%llu,\"lost\":%llu}\n", (now - began) / MS,
         (unsigned long long)account_good(), (unsigned long long)account_lost());
  fflush(stdout);
}

static const char *const outcome_names[OUTCOMES] = {"good",         "refused",     "closedBefore", "resetBefore",
                                                    "closedWithin", "resetWithin", "late",         "wrong"};

static void print_losses(void) {
  printf(",\"losses\":[");
  for (size_t i = 0; i < told_count; i++)
    printf("%s{\"why\":\"%s\",\"error\":%d,\"atNs\":%lld,\"openedNs\":%lld,\"askedNs\":%lld,\"served\":%lld}", i ? "," : "",
           outcome_names[told[i].outcome], told[i].error, told[i].at, told[i].opened, told[i].began, told[i].served);
  printf("]");
}

void print_account(const struct options *options, uint64_t begun, long long asked_until, long long now) {
  /* What is waited for when nobody asks any more is no gap. */
  if (asked_until - last_good > longest_gap) {
    longest_gap = asked_until - last_good;
    gap_at = last_good;
  }
  printf("{\"progress\":false,\"beganNs\":%lld,\"ms\":%lld,\"askedMs\":%lld,\"asked\":%llu,\"lost\":%llu", began,
         (now - began) / MS, (asked_until - began) / MS, (unsigned long long)begun, (unsigned long long)account_lost());
  for (int outcome = 0; outcome < OUTCOMES; outcome++)
    printf(",\"%s\":%llu", outcome_names[outcome], (unsigned long long)counts[outcome]);
  printf(",\"connections\":%llu,\"idleEnds\":%llu", (unsigned long long)opened_count, (unsigned long long)idle_ends);
  printf(",\"latencyUs\":{\"mean\":%lld,\"p50\":%lld,\"p90\":%lld,\"p99\":%lld,\"p999\":%lld,\"max\":%lld}",
         histogram_mean() / 1000, histogram_at(0.5) / 1000, histogram_at(0.9) / 1000, histogram_at(0.99) / 1000,
         histogram_at(0.999) / 1000, histogram_most() / 1000);
  printf(",\"longestGapMs\":%.3f,\"longestGapAtNs\":%lld", (double)longest_gap / (double)MS, gap_at);
  print_losses();
  printf(",\"by\":{");
  for (size_t i = 0; i < name_count; i++)
    printf("%s\"%s\":{\"good\":%llu,\"lost\":%llu}", i ? "," : "", names[i].text, (unsigned long long)names[i].good,
           (unsigned long long)names[i].lost);
  printf("}");
  if (options->bucket > 0) {
    printf(",\"bucketMs\":%lld,\"buckets\":[", options->bucket / MS);
    for (size_t i = 0; i < bucket_count; i++)
      printf("%s[%u,%u,%u]", i ? "," : "", buckets[i].good, buckets[i].lost, buckets[i].most_us);
    printf("]");
  }
  printf("}\n");
  fflush(stdout);
}
