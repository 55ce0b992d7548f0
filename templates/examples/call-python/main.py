"""A plugin in Python that is called: it keeps notes and finds them by their words (docs/plugin-authors.md).

What makes it a good plugin, and is worth copying:
  * It loads what it needs before serve(): until then no calls come.
  * What must not be lost is saved before the call is answered, not when the plugin ends: it may never be told.
  * Long work is in a plain function, which runs in a thread, and looks whether anybody still waits for it.
"""

import asyncio
import json
import re
import time

from bulkhead import Plugin, PluginError

MOST_NOTES = 10_000
MOST_TEXT = 10_000

plugin = Plugin()
state = plugin.checkpoint("notes", schema=1)
notes: list[str] = []


@plugin.method
async def add(call, text):
    """Keeps a note; its number is the result."""
    if not isinstance(text, str) or len(text) > MOST_TEXT:
        raise PluginError("bad-params", f"a note is a string of at most {MOST_TEXT} characters")
    if len(notes) >= MOST_NOTES:
        raise PluginError("full", f"there are {MOST_NOTES} notes already")
    notes.append(text)
    number = len(notes) - 1
    await state.save(json.dumps(notes).encode())
    return number


@plugin.stream
async def find(call, word):
    """The notes that have the word, one by one."""
    found = 0
    for note in tuple(notes):
        if word.lower() in note.lower().split():
            found += 1
            yield note
    call.result = found


@plugin.method
def count(call, seconds=0):
    """How often each word is there. Pretends to take long, if it is told to."""
    counts = {}
    for note in tuple(notes):
        call.check()
        for word in re.findall(r"\w+", note.lower()):
            counts[word] = counts.get(word, 0) + 1
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        call.check()
        call.progress()
        time.sleep(0.01)
    return counts


async def main():
    saved = await state.restore()
    if saved is not None:
        notes.extend(json.loads(saved))
    await plugin.serve()


asyncio.run(main())
