/* A plugin in C that is called: it keeps notes and finds them by their words (docs/plugin-authors.md).
 *
 *   cp /usr/share/bulkhead/sdk/c/bulkhead.* . && cc -O2 -static -pthread -o main main.c bulkhead.c
 *
 * What makes it a good plugin, and is worth copying:
 *   - It loads what it needs before bulkhead_run(): until then no calls come.
 *   - What must not be lost is saved before the call is answered, not when the plugin ends: it may never be told.
 *   - What waits for the disk or takes long is in a thread, and looks whether anybody still waits for it.
 */
#include <ctype.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bulkhead.h"

enum { MOST_NOTES = 10000, MOST_TEXT = 10000, SCHEMA = 1 };

/* Methods run in several threads; notes are only ever added. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *notes[MOST_NOTES];
static uint32_t note_count;

/* All notes as an array of MessagePack. With the lock held. */
static int save(void) {
  struct bulkhead_writer *content = bulkhead_writer_new();
  size_t length;
  if (!content)
    return -1;
  bulkhead_write_array(content, note_count);
  for (uint32_t i = 0; i < note_count; i++)
    bulkhead_write_text(content, notes[i]);
  const void *bytes = bulkhead_writer_bytes(content, &length);
  int error = bytes ? bulkhead_save("notes", SCHEMA, bytes, length) : -1;
  bulkhead_writer_free(content);
  return error;
}

/* By hand there may be no place for state: then it begins with nothing. */
static void restore(void) {
  void *bytes;
  size_t length;
  uint32_t count;
  const char *text;
  if (bulkhead_restore("notes", SCHEMA, &bytes, &length, NULL) < 0)
    return;
  struct bulkhead_reader reader = bulkhead_reader_of(bytes, length);
  if (bulkhead_read_array(&reader, &count))
    while (note_count < MOST_NOTES && bulkhead_read_text(&reader, &text, &length) && (notes[note_count] = strndup(text, length)))
      note_count++;
  free(bytes);
}

/* Keeps a note; its number is the result. */
static void add(struct bulkhead_call *call, void *context) {
  const char *text;
  size_t length;
  (void)context;
  if (bulkhead_param_count(call) != 1 || !bulkhead_read_text(bulkhead_params(call), &text, &length) || length > MOST_TEXT) {
    bulkhead_fail(call, "bad-params", "a note is a string of at most %d bytes", MOST_TEXT);
    return;
  }
  pthread_mutex_lock(&lock);
  char *note = note_count < MOST_NOTES ? strndup(text, length) : NULL;
  if (!note) {
    bulkhead_fail(call, "full", "there is no room for another note");
  } else {
    notes[note_count++] = note;
    if (save() < 0) {
      free(notes[--note_count]);
      bulkhead_fail(call, "failed", "the note could not be saved; is there `state` in the declaration?");
    } else {
      bulkhead_write_uint(bulkhead_result(call), note_count - 1);
      bulkhead_return(call);
    }
  }
  pthread_mutex_unlock(&lock);
}

/* Note number AT, or NULL. They stay where they are. */
static const char *note_at(uint32_t at) {
  pthread_mutex_lock(&lock);
  const char *note = at < note_count ? notes[at] : NULL;
  pthread_mutex_unlock(&lock);
  return note;
}

static bool has_word(const char *note, const char *word, size_t length) {
  for (const char *at = note; *at;) {
    at += strspn(at, " \t\n");
    size_t found = strcspn(at, " \t\n");
    if (found == length && !strncasecmp(at, word, length))
      return true;
    at += found;
  }
  return false;
}

/* The notes that have the word, one by one. bulkhead_item() waits when the client has enough for the moment. */
static void find(struct bulkhead_call *call, void *context) {
  const char *word, *note;
  size_t length;
  uint32_t found = 0;
  (void)context;
  if (bulkhead_param_count(call) != 1 || !bulkhead_read_text(bulkhead_params(call), &word, &length)) {
    bulkhead_fail(call, "bad-params", "find takes a word");
    return;
  }
  for (uint32_t i = 0; (note = note_at(i)); i++) {
    if (!has_word(note, word, length))
      continue;
    bulkhead_write_text(bulkhead_result(call), note);
    if (bulkhead_item(call) < 0)
      break;
    found++;
  }
  bulkhead_write_uint(bulkhead_result(call), found);
  bulkhead_return(call);
}

/* How many words there are. Pretends to take long, if it is told for how many milliseconds. */
static void count(struct bulkhead_call *call, void *context) {
  int64_t ms = 0, words = 0;
  const char *note;
  (void)context;
  bulkhead_read_int(bulkhead_params(call), &ms);
  for (; ms > 0 && !bulkhead_sleep(call, 10); ms -= 10)
    bulkhead_progress(call);
  for (uint32_t i = 0; !bulkhead_ended(call) && (note = note_at(i)); i++)
    for (const char *at = note; *at; at++)
      words += !isspace((unsigned char)*at) && (at == note || isspace((unsigned char)at[-1]));
  bulkhead_write_int(bulkhead_result(call), words);
  bulkhead_return(call);
}

int main(void) {
  struct bulkhead_plugin *plugin = bulkhead_plugin_new();
  if (!plugin)
    return 1;
  restore();
  bulkhead_thread_method(plugin, "add", add, NULL);
  bulkhead_thread_stream(plugin, "find", find, NULL);
  bulkhead_thread_method(plugin, "count", count, NULL);
  int error = bulkhead_run(plugin);
  bulkhead_plugin_free(plugin);
  return error < 0;
}
