"""How a method is run: awaited in the loop, or in a thread, at once or in parts."""

import asyncio
import inspect

from .activity import Label
from .codec import MOST_LEVELS, check_outgoing, encode
from .errors import Cancelled, PluginError
from .messages import MOST_METHOD, trace_id

# Parts of a stream after which the loop may do something else, although nothing had to be waited for.
TURN = 32
PART_LEVELS = MOST_LEVELS - 2  # of arrays and maps in a part: the message and its params are two
DONE = object()
NO_TRACE = bytes(16)


class Method:
    """A function of the plugin's, and how many parameters it takes behind the call."""

    def __init__(self, name: str, function, streams: bool):
        if not isinstance(name, str) or not 1 <= len(name.encode()) <= MOST_METHOD or name.startswith("$"):
            raise ValueError(f"a method's name is 1 to {MOST_METHOD} bytes that do not begin with '$', not {name!r}")
        asynchronous = inspect.isasyncgenfunction(function) if streams else inspect.iscoroutinefunction(function)
        if streams and not asynchronous and not inspect.isgeneratorfunction(function):
            raise TypeError(f"the stream '{name}' has to be a function with 'yield' in it")
        if not streams and (inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function)):
            raise TypeError(f"'{name}' has 'yield' in it: use @plugin.stream")
        self.name, self.function, self.streams, self.threaded = name, function, streams, not asynchronous
        self.label = Label(name)
        self.least, self.most = _positional(name, function)

    def refusal(self, given: int):
        """Why so many parameters are too few or too many, or None."""
        if self.least <= given and (self.most is None or given <= self.most):
            return None
        if self.most is None:
            takes = f"at least {self.least}"
        else:
            takes = f"{self.least}" if self.most == self.least else f"{self.least} to {self.most}"
        return f"'{self.name}' takes {takes} parameter{'' if takes.split()[-1] == '1' else 's'}, not {given}"


def _positional(name, function):
    """The least and the most parameters behind the call; None for any number."""
    least = most = 0
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            most += 1
            least += parameter.default is parameter.empty
        elif parameter.kind == parameter.VAR_POSITIONAL:
            return max(0, least - 1), None
        elif parameter.kind == parameter.KEYWORD_ONLY and parameter.default is parameter.empty:
            raise TypeError(f"'{name}' has a parameter that only a keyword can give: '{parameter.name}'")
    if most == 0:
        raise TypeError(f"'{name}' takes no parameter, and has to take the call as its first one")
    return max(0, least - 1), most - 1


def start(server, connection, call, method: Method, params):
    """Begins the work; connection.work_ended(call) is called when it is over, however it ends."""
    running = _run(server, connection, call, method, params)
    if server.eager:
        task = asyncio.Task(running, loop=server.loop, eager_start=True)
    else:
        task = asyncio.Task(running, loop=server.loop)
    # What runs in a thread cannot be ended; its result is waited for, and dropped.
    if not method.threaded and not task.done():
        call._stop = lambda: _cancel(task, call)


def _cancel(task, call):
    # A task that is cancelled before its first step never runs, and could not say that it is over.
    if call._begun:
        task.cancel()


async def _run(server, connection, call, method, params):
    call._begun = True
    try:
        if connection.blocked:
            await connection.writable()
        if call._answered:
            return
        if call._enclosed is not None and call._enclosed.has_bodies():
            await _read_enclosed(server, call)
            if call._answered:
                return
        if method.threaded and not method.streams:
            result = await server.in_thread(call, method, params)
        else:
            result = await _in_loop(server, connection, call, method, params)
        if connection.blocked:
            await connection.writable()
        if result is not DONE:
            call._succeed(result)
    except (asyncio.CancelledError, Cancelled):
        call._fail(PluginError("failed", f"'{method.name}' was cancelled, but not by its client"))
    except PluginError as error:
        call._fail(error)
    except Exception as error:
        if not call._answered:
            server.report(method.name, error)
        call._fail(PluginError("failed", str(error) or type(error).__name__))
    finally:
        connection.work_ended(call)


async def _read_enclosed(server, call):
    # Not to be cancelled: what is being read has to be counted until that is over.
    call._begun = False
    await server.read_enclosed(call._enclosed)
    call._begun = True


async def _in_loop(server, connection, call, method, params):
    call._slot = slot = server.slot
    well = False
    expires = 0 if call._expires is None else int(call._expires * 1e9)
    slot.begin(call, method.label, trace_id(call.traceparent) if call.traceparent else NO_TRACE, expires)
    try:
        if not method.streams:
            result = await method.function(call, *params)
        elif call._credit is None:
            result = await _collect(connection, call, _parts(server, call, method, params))
        else:
            result = await _send_parts(connection, call, _parts(server, call, method, params))
        well = not call._cancelled
        return result
    finally:
        slot.end(call, well)


def _parts(server, call, method, params):
    if method.threaded:
        return _steps(server, call, method, method.function(call, *params))
    return method.function(call, *params)


async def _steps(server, call, method, generator):
    """What a plain generator yields, each step of it in a thread."""
    try:
        while True:
            part = await server.step_in_thread(call, method, lambda: next(generator, DONE))
            if part is DONE:
                return
            yield part
    finally:
        await server.step_in_thread(call, method, generator.close)


async def _send_parts(connection, call, parts):
    sent = 0
    try:
        async for part in parts:
            await call._take_credit()
            if connection.blocked:
                await connection.writable()
            if call._answered:
                return DONE
            connection.send_part(call._id, part)
            call.progress()
            sent += 1
            if sent % TURN == 0:
                await asyncio.sleep(0)
    finally:
        await parts.aclose()
    return call.result


async def _collect(connection, call, parts):
    """All parts as one array, of which no more is kept than the client takes."""
    encoded, size = [], 0
    try:
        async for part in parts:
            if call._answered:
                return DONE
            check_outgoing(part, PART_LEVELS)
            encoded.append(encode(part))
            size += len(encoded[-1])
            if size > connection.client_limit:
                raise connection.too_large()
            if len(encoded) % TURN == 0:
                await asyncio.sleep(0)
    finally:
        await parts.aclose()
    if call._settle():
        connection.respond_array(call._id, encoded)
    return DONE
