"""What the suite drives of the Python SDK. To be run as it is, by a Python that has msgpack."""

import asyncio
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "src" / "rpc" / "python"))

from bulkhead import Plugin, PluginError  # noqa: E402

plugin = Plugin()
counts = {"cancelled": 0, "streams": 0, "bumps": 0}


@plugin.method
async def echo(call, x):
    return x


@plugin.method
async def add(call, a, b):
    if any(isinstance(each, bool) or not isinstance(each, (int, float)) for each in (a, b)):
        raise PluginError("bad-params", "two numbers are wanted")
    return a + b


@plugin.method
async def fail(call, code, message, data=None):
    raise PluginError(code, message, data)


@plugin.method
async def throw(call, text):
    raise RuntimeError(text)


@plugin.method
async def sleep(call, ms):
    try:
        await asyncio.sleep(ms / 1000)
    finally:
        counts["cancelled"] += call.cancelled
    return "slept"


@plugin.method
async def cancelled(call):
    return counts["cancelled"]


@plugin.stream
async def count(call, n, delay_ms=0):
    counts["streams"] += 1
    try:
        for number in range(n):
            if delay_ms:
                await asyncio.sleep(delay_ms / 1000)
            yield number
        call.result = n
    finally:
        counts["streams"] -= 1
        counts["cancelled"] += call.cancelled


@plugin.stream
async def forever(call):
    counts["streams"] += 1
    try:
        number = 0
        while True:
            yield number
            number += 1
    finally:
        counts["streams"] -= 1
        counts["cancelled"] += call.cancelled


@plugin.method
async def streams(call):
    return counts["streams"]


@plugin.method
async def context(call):
    return {
        "deadline": call.deadline_ms,
        "traceparent": call.traceparent,
        "idempotency": call.idempotency,
        "greeted": call.greeted,
    }


@plugin.method
async def bump(call):
    counts["bumps"] += 1


@plugin.method
async def bumped(call):
    return counts["bumps"]


@plugin.method
async def size(call, data):
    return len(data)


@plugin.method(name="bytes")
async def many_bytes(call, n):
    return b"\x62" * n


@plugin.method
async def save(call, name, schema, data):
    await plugin.checkpoint(name, schema).save(data)


@plugin.method
async def load(call, name, schema):
    return await plugin.checkpoint(name, schema).restore()


@plugin.method
def accept(call, data):
    return plugin.journal().accept_sync(data)


@plugin.method
def finish(call, work):
    plugin.journal().finish_sync(work)


@plugin.method
async def replay(call):
    pieces = []
    await plugin.journal().replay(lambda work, content: pieces.append(content))
    return pieces


@plugin.method
async def note(call, text):
    call.note(text)


@plugin.method
async def audit(call, text):
    call.audit(text)


@plugin.method
async def flag(call):
    call.progress()


@plugin.method
async def block(call, ms):
    time.sleep(ms / 1000)


plugin.run()
