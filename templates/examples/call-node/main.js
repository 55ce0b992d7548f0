// A plugin in JavaScript that is called: it keeps notes and finds them by their words (docs/plugin-authors.md).
//
// What makes it a good plugin, and is worth copying:
//   * It loads what it needs before serve(): until then no calls come.
//   * What must not be lost is saved before the call is answered, not when the plugin ends: it may never be told.
//   * Long work lets others have the event loop, and looks whether anybody still waits for it.
import { Plugin, PluginError } from '/usr/lib/node_modules/bulkhead/plugin.js';

const MOST_NOTES = 10_000;
const MOST_TEXT = 10_000;

const plugin = new Plugin();
const state = plugin.checkpoint('notes', { schema: 1 });
const notes = [];

/** Keeps a note; its number is the result. */
plugin.method('add', async (call, text) => {
  if (typeof text !== 'string' || text.length > MOST_TEXT)
    throw new PluginError('bad-params', `a note is a string of at most ${MOST_TEXT} characters`);
  if (notes.length >= MOST_NOTES) throw new PluginError('full', `there are ${MOST_NOTES} notes already`);
  const number = notes.push(text) - 1;
  await state.save(Buffer.from(JSON.stringify(notes)));
  call.audit(`note ${number} was added`);
  return number;
});

/** The notes that have the word, one by one. */
plugin.stream('find', async function* (call, word) {
  let found = 0;
  for (const note of notes.slice()) {
    if (!note.toLowerCase().split(/\s+/).includes(String(word).toLowerCase())) continue;
    found += 1;
    yield note;
  }
  return found;
});

/** How often each word is there. Pretends to take long, if it is told to. */
plugin.method('count', async (call, seconds = 0) => {
  const counts = new Map();
  for (const note of notes)
    for (const word of note.toLowerCase().match(/\w+/g) ?? []) counts.set(word, (counts.get(word) ?? 0) + 1);
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) {
    call.signal.throwIfAborted();
    call.progress();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return counts;
});

const saved = await state.restore();
if (saved !== undefined) notes.push(...JSON.parse(saved));
await plugin.serve();
