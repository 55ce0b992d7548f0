"""One client: messages in, messages out, and what keeps either from growing without end."""

import asyncio

from .call import Call
from .channel import Channel
from .codec import MOST_LEVELS, array_header, check_outgoing, encode
from .descriptor_socket import DescriptorSocket
from .enclosed import MOST_BODIES_HELD, Enclosed, count_of
from .enclosing import encode_response
from .errors import BadFrame, PluginError, error_map
from .frames import BARE_FIRST_BYTES, BARE_FRAME_LIMIT, FRAME_LIMIT, LENGTH, NOTHING, BareFrames, Frames
from .greeting import parse_hello
from .messages import NOTIFICATION, RESPONSE, parse, parse_cancel, parse_close, parse_credit
from .running import PART_LEVELS, start

WINDOW = 64  # requests at a time; as many notifications
FLUSH_AT = 64 * 1024  # bytes: what is to be sent goes out with the turn of the loop, or when it is so much
HIGH_WATER = 256 * 1024  # bytes that wait for the client before nothing more is made for it, nor read of it
STALLED_AFTER = 30  # seconds in which it takes nothing of what waits
FAREWELL = 1.0  # seconds for the last message to get out
BESIDE = ("body", "descriptor")  # features, of Unix sockets
IDLE_WHEN_DRAINING = 1.0  # seconds without a request, for one that cannot be told of the draining


class Connection(asyncio.Protocol):
    def __init__(self, server):
        self.server = server
        self.client_name, self.client_features, self.client_limit = None, frozenset(), FRAME_LIMIT
        self.greeted = self.blocked = self.closing = self.closed = self._paused = False
        self._channel = self._frames = None
        self._enclosed = None  # what came with the message that is being looked at, until a call has it
        self._fresh, self._bare = True, False
        self._calls = {}  # by id, those without an answer
        self._work = set()  # all that is being done, also for notifications, and after an answer
        self._notifications = 0
        self._held = 0  # as it was counted last
        self._out, self._out_size, self._flushing = [], 0, False
        self._unblocked = asyncio.Event()
        self._written, self._taken, self._stalled = 0, 0, 0
        self._told_to_drain = False
        self._asked_at = server.loop.time()

    def client_takes(self, feature: str) -> bool:
        return feature in self.client_features

    # In.

    def connection_made(self, transport):
        self._channel = Channel(transport, HIGH_WATER, FLUSH_AT)
        if not self.server.joined(self):
            self._send(encode((NOTIFICATION, "$close", ("overloaded", "there are too many connections"))))
            self.leave()

    def data_received(self, data):
        if self.closing:
            return
        if self._frames is None:
            self._bare = data[0] in BARE_FIRST_BYTES
            self._frames = BareFrames() if self._bare else Frames()
            if self._bare:
                self.client_limit = BARE_FRAME_LIMIT
        try:
            self._frames.feed(data)
        except BadFrame as wrong:
            self.shut("bad-frame", str(wrong))
        self._read_on()

    def _read_on(self):
        """Takes what has come, as far as more can be taken at the moment."""
        self._asked_at = self.server.loop.time()
        try:
            while not (self.closing or self._is_full()) and (message := self._frames.next()) is not NOTHING:
                self._receive(message)
        except BadFrame as wrong:
            self.shut("bad-frame", str(wrong))
        if self.closing:
            return
        more = self._frames.held() - self._held
        self._held += more
        if not self.server.hold(more):
            self.shut("overloaded", "too much is on its way in")
            return
        self.regulate()
        self._flush()
        # What was begun runs in the next turn of the loop, before the flush.
        if self._work:
            self._flush_soon()

    def _receive(self, message):
        if self._frames.mentions:
            self._enclosed = self._take_mentioned(self._frames.mentions)
        try:
            self._received(message)
        finally:
            if self._enclosed is not None:
                self._enclosed.close()
                self._enclosed = None

    def _take_mentioned(self, mentions):
        if any(not self.client_takes("descriptor" if mention.length is None else "body") for mention in mentions):
            raise BadFrame("an extension type that was not agreed on")
        return Enclosed(mentions, self._channel.take(count_of(mentions)))

    def _received(self, message):
        call_id, name, params, meta = parse(message)
        if call_id is None:
            self._notified(name, params, meta)
        elif call_id in self._calls:
            raise BadFrame(f"the id {call_id} is in use")
        else:
            try:
                self._requested(call_id, name, params, meta)
            except PluginError as refused:
                self.respond_error(call_id, refused)
            self._fresh = False

    def _requested(self, call_id, name, params, meta):
        method = self.server.methods.get(name)
        if method is None:
            self._requested_of_protocol(call_id, name, params)
            return
        size = self._frames.size
        bodies = 0 if self._enclosed is None else self._enclosed.size
        if bodies > MOST_BODIES_HELD:
            raise PluginError("too-large", f"bodies of {bodies} bytes; {MOST_BODIES_HELD} are possible")
        if len(self._work) - self._notifications >= WINDOW or not self.server.has_room(size, bodies):
            raise PluginError("overloaded", f"more than {WINDOW} requests at a time, or too large ones", retry=True)
        refusal = method.refusal(len(params))
        if refusal is not None:
            raise PluginError("bad-params", refusal)
        self._calls[call_id] = call = Call(self, call_id, name, meta, size)
        self._begin(call, method, params)

    def _requested_of_protocol(self, call_id, name, params):
        if name == "$hello" and not self._bare:
            if not self._fresh:
                raise PluginError("bad-params", "$hello is the first request, or none")
            self.client_limit, self.client_features, self.client_name = parse_hello(params)
            self.greeted = True
            self._frames.limit = self.server.frame_limit
            self.respond(call_id, self.server.greeting(WINDOW, self._open_beside()))
            if self.server.draining:
                self.drain()
        elif name == "$ping" and self.greeted:
            self.respond(call_id, None)
        else:
            raise PluginError("unknown-method", f"there is no method '{name}'")

    def _open_beside(self):
        """Agrees on what goes beside messages, before it is told: from then on it may come. Returns what can be agreed on."""
        if not self._channel.is_local():
            self.client_features -= set(BESIDE)
            return []
        if not self.client_features.isdisjoint(BESIDE):
            try:
                self._channel = DescriptorSocket(self._channel, self)
            except OSError:
                self.client_features -= set(BESIDE)
                return []
            self._frames.mentions = []
        return list(BESIDE)

    def _notified(self, name, params, meta):
        method = self.server.methods.get(name)
        if name == "$cancel":
            call = self._calls.get(parse_cancel(params))
            if call is not None and self.greeted:
                call._cancel()
        elif name == "$credit":
            call_id, parts = parse_credit(params)
            call = self._calls.get(call_id)
            if call is not None:
                call._give(parts)
        elif name == "$close":
            parse_close(params)
            self.leave()
        elif method is not None and method.refusal(len(params)) is None:
            if self._enclosed is not None and not self.server.has_room(0, self._enclosed.size):
                self.shut("overloaded", "there is no room for what came with a notification")
                return
            self._notifications += 1
            self._begin(Call(self, None, name, meta, self._frames.size), method, params)

    def _begin(self, call, method, params):
        call._enclosed, self._enclosed = self._enclosed, None
        self._work.add(call)
        self.server.began(call)
        start(self.server, self, call, method, params)

    def settle(self, call_id) -> bool:
        """A call gets its answer now. False for a notification, and when nobody is there to get it."""
        return self._calls.pop(call_id, None) is not None and not self.closed

    def work_ended(self, call):
        self._work.discard(call)
        self._notifications -= call._id is None
        self.server.ended(call)
        if call._enclosed is not None:
            call._enclosed.close()
        if call._timer is not None:
            call._timer.cancel()
        if self.server.draining:
            self._asked_at = self.server.loop.time()
        if self._paused:
            self.regulate()

    # Out.

    def respond(self, call_id, result):
        try:
            body, enclosing = encode_response(call_id, result, self.client_limit, self.client_features)
        except (ValueError, TypeError, OverflowError) as error:
            self.respond_error(call_id, PluginError("failed", f"the result cannot be sent: {error}"))
            return
        if len(body) > self.client_limit:
            enclosing.close()
            self.respond_error(call_id, self.too_large())
        elif enclosing.fds:
            self._send_with(body, enclosing)
        else:
            self._send(body)

    def respond_array(self, call_id, encoded):
        """`encoded` are the members, each in MessagePack."""
        head = encode((RESPONSE, call_id, None, 0))[:-1]
        body = b"".join((head, array_header(len(encoded)), *encoded))
        if len(body) > self.client_limit:
            self.respond_error(call_id, self.too_large())
        else:
            self._send(body)

    def respond_error(self, call_id, error: PluginError):
        told = error_map(error)
        try:
            check_outgoing(told, MOST_LEVELS - 1)
            body = encode((RESPONSE, call_id, told, None))
        except (ValueError, TypeError, OverflowError):
            body = b""
        if not body or len(body) > self.client_limit:
            told.pop("data", None)
            body = encode((RESPONSE, call_id, told, None))
        self._send(body)

    def send_part(self, call_id, part):
        try:
            check_outgoing(part, PART_LEVELS)
            body = encode((NOTIFICATION, "$item", (call_id, part)))
        except (ValueError, TypeError, OverflowError) as error:
            raise PluginError("failed", f"a part cannot be sent: {error}") from None
        if len(body) > self.client_limit:
            raise self.too_large()
        self._send(body)

    def too_large(self) -> PluginError:
        return PluginError("too-large", f"the client takes {self.client_limit} bytes")

    def _send(self, body: bytes):
        if self.closed or self.closing:
            return
        if not self._bare:
            self._out.append(LENGTH.pack(len(body)))
        self._out.append(body)
        self._out_size += len(body)
        if self._out_size >= FLUSH_AT:
            self._flush()
        else:
            self._flush_soon()

    def _send_with(self, body: bytes, enclosing):
        """As _send(), with descriptors, which are taken over."""
        if self.closed or self.closing:
            enclosing.close()
            return
        self._flush()
        self._written += LENGTH.size + len(body)
        self._channel.write(LENGTH.pack(len(body)) + body, enclosing)

    def _flush_soon(self):
        if not self._flushing:
            self._flushing = True
            self.server.loop.call_soon(self._flush_turn)

    def _flush_turn(self):
        self._flushing = False
        self._flush()

    def _flush(self):
        if not self._out or self.closed:
            return
        data = b"".join(self._out)
        self._out, self._out_size = [], 0
        self._written += len(data)
        self._channel.write(data)

    # Bounds.

    def _is_full(self) -> bool:
        return self.blocked or self._notifications >= WINDOW

    def regulate(self):
        """Reads of the client, or leaves it in its queue."""
        if self.closing or self.closed:
            return
        full = self._is_full()
        if full and not self._paused:
            self._channel.pause_reading()
        elif self._paused and not full:
            self._channel.resume_reading()
            self.server.loop.call_soon(self._read_on)
        self._paused = full

    def pause_writing(self):
        self.blocked = True
        self._unblocked.clear()
        self.regulate()

    def resume_writing(self):
        self.blocked = False
        self._channel.advance()
        if self.blocked:
            return
        self._unblocked.set()
        self.regulate()

    async def writable(self):
        """Returns when more may be sent, or nobody is there any more."""
        while self.blocked and not self.closed:
            await self._unblocked.wait()

    def look(self):
        """Once a second: ends one that takes nothing of what is there for it."""
        waiting = self._channel.waiting()
        taken = self._written - waiting
        self._stalled = self._stalled + 1 if waiting > 0 and taken == self._taken else 0
        self._taken = taken
        if self._stalled >= STALLED_AFTER:
            self._channel.abort()

    # The end.

    def shut(self, code: str, message: str):
        """Ends the connection with a reason, if that can be said without waiting. What was still on its way in is read for
        a moment: who is written to while he writes would not get to the reason.
        """
        if self.closing or self.closed:
            return
        if self.blocked:
            self._out.clear()
            self._channel.drop_waiting()
        elif not self._bare:
            self._send(encode((NOTIFICATION, "$close", (code, message))))
        self._flush()
        self.closing = True
        self._forget_input()
        for call in tuple(self._work):
            call._abandon()
        try:
            self._channel.discard()
        except OSError:
            self._channel.abort()
        self.server.loop.call_later(FAREWELL, self._channel.abort)

    def leave(self):
        """Ends the connection when what was written is out."""
        self._flush()
        self.closing = True
        self._channel.finish()

    def drain(self):
        if self.client_takes("drain"):
            self._told_to_drain = True
            self._send(encode((NOTIFICATION, "$drain", ())))

    def leave_if_idle(self):
        """While draining: of those that could not be told."""
        resting = self.server.loop.time() - self._asked_at
        if not (self._told_to_drain or self._work or self.closing) and resting >= IDLE_WHEN_DRAINING:
            self.leave()

    def connection_lost(self, error):
        self.closed = self.closing = True
        for call in tuple(self._work):
            call._abandon()
        self._unblocked.set()
        self._out.clear()
        self._channel.release()
        self._forget_input()
        self.server.left(self)

    def _forget_input(self):
        self._frames = None
        self.server.hold(-self._held)
        self._held = 0
