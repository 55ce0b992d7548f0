"""Bytes to messages, of which no more is kept than the frame limit."""

import struct

import msgpack

from .codec import decode
from .errors import BadFrame

LENGTH = struct.Struct(">I")
FRAME_LIMIT = 4 * 1024 * 1024  # until a greeting says otherwise
LEAST_FRAME_LIMIT, MOST_FRAME_LIMIT = 64 * 1024, 64 * 1024 * 1024
BARE_FRAME_LIMIT = 1024 * 1024
# Of arrays of three to five members, which a MessagePack-RPC message without a length begins with.
BARE_FIRST_BYTES = (0x93, 0x94, 0x95)
NOTHING = object()  # has come as a whole; None would be a message, if a wrong one


class Frames:
    """Messages behind their lengths."""

    def __init__(self):
        self.limit = FRAME_LIMIT
        self.size = 0  # bytes of the last message
        self.mentions = None  # of the last message, where both sides have agreed on what can be
        self._data = b""
        self._at = 0

    def feed(self, data: bytes):
        if self._at == len(self._data):
            self._data, self._at = data, 0
            return
        if isinstance(self._data, bytearray):
            del self._data[: self._at]
        else:
            self._data = bytearray(self._data[self._at :])
        self._at = 0
        self._data += data

    def held(self) -> int:
        """Bytes that are not a whole message yet, or were not asked for."""
        return len(self._data) - self._at

    def next(self):
        """The next whole message, decoded, or NOTHING. Raises BadFrame; there is nothing to be had then any more."""
        start = self._at + LENGTH.size
        if start > len(self._data):
            return NOTHING
        (length,) = LENGTH.unpack_from(self._data, self._at)
        if not 1 <= length <= self.limit:
            raise BadFrame(f"a length of {length}; 1 to {self.limit} are possible")
        end = start + length
        if end > len(self._data):
            return NOTHING
        self._at, self.size = end, length
        if self.mentions:
            self.mentions = []
        with memoryview(self._data) as whole, whole[start:end] as payload:
            return decode(payload, self.mentions)


class BareFrames:
    """Messages without lengths, as of a plain MessagePack-RPC peer."""

    mentions = None

    def __init__(self):
        self.size = 0
        self._taken = 0
        self._data = bytearray()
        # It goes on where it stopped, so that what comes in pieces is looked through once.
        self._finder = msgpack.Unpacker(max_buffer_size=2 * BARE_FRAME_LIMIT)

    def feed(self, data: bytes):
        self._data += data
        try:
            self._finder.feed(data)
        except (msgpack.BufferFull, ValueError):
            raise BadFrame(f"a message of more than {BARE_FRAME_LIMIT} bytes") from None

    def held(self) -> int:
        return len(self._data)

    def next(self):
        """As of Frames."""
        try:
            self._finder.skip()
        except msgpack.OutOfData:
            if len(self._data) > BARE_FRAME_LIMIT:
                raise BadFrame(f"a message of more than {BARE_FRAME_LIMIT} bytes") from None
            return NOTHING
        except (ValueError, msgpack.UnpackException) as error:
            raise BadFrame(f"no MessagePack value: {error or type(error).__name__}") from None
        self.size = self._finder.tell() - self._taken
        if self.size > BARE_FRAME_LIMIT:
            raise BadFrame(f"a message of {self.size} bytes; {BARE_FRAME_LIMIT} are possible")
        payload = bytes(self._data[: self.size])
        del self._data[: self.size]
        self._taken += self.size
        return decode(payload)
