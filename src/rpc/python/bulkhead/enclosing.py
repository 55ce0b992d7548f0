"""What goes beside a message: copies of descriptors, and large binaries as sealed files in memory."""

import fcntl
import os

import msgpack

from .codec import BODY, BODY_FORM, DESCRIPTOR, MOST_ENCLOSED, MOST_LEVELS, check_outgoing, encode
from .descriptor import Descriptor
from .enclosed import MOST_BODY, SEALS
from .messages import RESPONSE

# From so much on it is faster: docs/decisions/0030-bodies-as-files.md.
FASTER = 16 * 1024 * 1024  # bytes
# None is smaller, and so much of a frame is left to what is no large binary.
LEAST = 64 * 1024  # bytes

BINARIES = (bytes, bytearray, memoryview)


def encode_response(call_id, result, limit: int, features):
    """The response, and what goes with it, which is the caller's to close. It may still be over the limit. `features` are
    those that the client has agreed on. Raises ValueError, TypeError or OverflowError for what cannot be sent.
    """
    takes_bodies, descriptors = "body" in features, [] if "descriptor" in features else None
    check_outgoing(result, MOST_LEVELS - 1, descriptors)
    enclosing = Enclosing()
    stand_in = enclosing.stand_in if descriptors else None
    try:
        if not (takes_bodies and isinstance(result, BINARIES) and _size(result) >= FASTER):
            encoded = encode((RESPONSE, call_id, None, result), stand_in)
            if len(encoded) <= limit or not takes_bodies:
                return encoded, enclosing
            enclosing.close()
        divided = _Division(limit, MOST_ENCLOSED - len(descriptors or ())).of(result)
        return encode((RESPONSE, call_id, None, divided), enclosing.stand_in), enclosing
    except BaseException:
        enclosing.close()
        raise


def close_all(fds):
    for fd in fds:
        os.close(fd)


class Enclosing:
    """Collects descriptors while a message is encoded."""

    def __init__(self):
        self.fds = []
        self.size = 0  # bytes of all bodies

    def stand_in(self, value):
        """What the message has in place of a value that goes beside it."""
        if type(value) is _Body:
            try:
                fd = make_body(value.content)
            except OSError:
                return value.content  # as bytes, if the frame has room for it
            size = _size(value.content)
            self.size += size
            return msgpack.ExtType(BODY, BODY_FORM.pack(self._add(fd), size))
        if type(value) is Descriptor:
            if len(self.fds) >= MOST_ENCLOSED:
                raise ValueError(f"there are more than {MOST_ENCLOSED} descriptors in it")
            try:
                fd = os.dup(value.fileno())
            except OSError as error:
                raise ValueError(f"a descriptor cannot be copied: {error.strerror}") from None
            return msgpack.ExtType(DESCRIPTOR, bytes((self._add(fd),)))
        raise TypeError(f"a {type(value).__name__} cannot be sent")

    def close(self):
        close_all(self.fds)
        self.fds, self.size = [], 0

    def _add(self, fd) -> int:
        self.fds.append(fd)
        return len(self.fds) - 1


class _Body:
    """In place of a large binary, until the message is encoded."""

    def __init__(self, content):
        self.content = content


class _Division:
    """Which binaries go beside a message."""

    def __init__(self, limit: int, most: int):
        self._room, self._left = limit - LEAST, most

    def of(self, value):
        """A copy, with bodies in it."""
        if isinstance(value, BINARIES):
            size = _size(value)
            if LEAST <= size <= MOST_BODY and self._left > 0 and (size >= FASTER or size > self._room):
                self._left -= 1
                return _Body(value)
            self._room -= size
        elif isinstance(value, (list, tuple)):
            return [self.of(member) for member in value]
        elif isinstance(value, dict):
            return {key: self.of(member) for key, member in value.items()}
        return value


def make_body(content) -> int:
    """A sealed file in memory. Raises OSError."""
    fd = os.memfd_create("bulkhead-body", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with memoryview(content) as view, view.cast("B") as left:
            written = 0
            while written < len(left):
                written += os.write(fd, left[written:])
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALS)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _size(binary) -> int:
    return binary.nbytes if isinstance(binary, memoryview) else len(binary)
